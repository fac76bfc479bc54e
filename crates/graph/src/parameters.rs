//! The tensors of a network.

use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{Graph, NodeId};
use crate::op::Op;

/// A tensor of a network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Parameter {
    /// Its name in a record: its node's path, and [`ParameterKind::name`].
    pub name: String,
    /// The node it belongs to.
    pub node: NodeId,
    /// What it is.
    pub kind: ParameterKind,
    /// Its shape: kernels `[out, in / groups, height, width]`, dense weights `[in, out]`, the others `[channels]`.
    pub shape: Vec<usize>,
}

/// What a tensor is to its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A kernel, or a matrix.
    Weight,
    /// Added to the output.
    Bias,
    /// A batch norm's factor.
    Gamma,
    /// A batch norm's term.
    Beta,
    /// A batch norm's mean.
    RunningMean,
    /// A batch norm's variance.
    RunningVar,
}

impl ParameterKind {
    /// Its name in a record.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Weight => "weight",
            Self::Bias => "bias",
            Self::Gamma => "gamma",
            Self::Beta => "beta",
            Self::RunningMean => "running_mean",
            Self::RunningVar => "running_var",
        }
    }

    /// Its name in PyTorch.
    pub const fn torch_name(self) -> &'static str {
        match self {
            Self::Weight | Self::Gamma => "weight",
            Self::Bias | Self::Beta => "bias",
            Self::RunningMean => "running_mean",
            Self::RunningVar => "running_var",
        }
    }

    /// Whether training changes it by a gradient.
    pub const fn is_trainable(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

impl Op {
    /// The tensors of an operation, with their shapes.
    pub fn parameters(&self) -> Vec<(ParameterKind, Vec<usize>)> {
        use ParameterKind::{Beta, Bias, Gamma, RunningMean, RunningVar, Weight};
        match self {
            Self::Conv(conv) => {
                let [input, output] = conv.channels;
                let kernel = vec![output, input / conv.groups, conv.kernel[0], conv.kernel[1]];
                let bias = conv.bias.then(|| (Bias, vec![output]));
                [(Weight, kernel)].into_iter().chain(bias).collect()
            }
            Self::Dense(dense) => {
                let bias = dense.bias.then(|| (Bias, vec![dense.features[1]]));
                [(Weight, dense.features.to_vec())].into_iter().chain(bias).collect()
            }
            Self::BatchNorm(norm) => [
                (Gamma, norm.scale),
                (Beta, norm.center),
                (RunningMean, true),
                (RunningVar, true),
            ]
            .into_iter()
            .filter(|(_, present)| *present)
            .map(|(kind, _)| (kind, vec![norm.channels]))
            .collect(),
            _ => Vec::new(),
        }
    }
}

impl Graph {
    /// Every tensor of the network, in the order of computation. Counts alone: nothing is allocated for the tensors.
    pub fn parameters(&self) -> Vec<Parameter> {
        self.iter()
            .flat_map(|(id, node)| {
                node.op.parameters().into_iter().map(move |(kind, shape)| Parameter {
                    name: format!("{}.{}", node.path, kind.name()),
                    node: id,
                    kind,
                    shape,
                })
            })
            .collect()
    }

    /// Numbers in all tensors, running statistics among them; at most `usize::MAX`.
    pub fn num_params(&self) -> usize {
        let count = |shape: Vec<usize>| shape.into_iter().fold(1, usize::saturating_mul);
        self.nodes
            .iter()
            .flat_map(|node| node.op.parameters())
            .fold(0, |sum: usize, (_, shape)| sum.saturating_add(count(shape)))
    }
}
