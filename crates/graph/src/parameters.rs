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
    /// The tensor's name in a record: its node's path, a dot, and [`ParameterKind::name`].
    pub name: String,
    /// The node that the tensor belongs to.
    pub node: NodeId,
    /// The tensor's role.
    pub kind: ParameterKind,
    /// The shape: kernels `[out, in / groups, height, width]`, dense weights `[in, out]`, all others `[channels]`.
    pub shape: Vec<usize>,
}

/// The role of a tensor in its operation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum ParameterKind {
    /// A convolution's kernel or a dense layer's matrix.
    Weight,
    /// Added to the output.
    Bias,
    /// A batch norm's scale.
    Gamma,
    /// A batch norm's shift.
    Beta,
    /// A batch norm's running mean.
    RunningMean,
    /// A batch norm's running variance.
    RunningVar,
}

impl ParameterKind {
    /// The role's name in a record.
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

    /// The role's name in PyTorch.
    pub const fn torch_name(self) -> &'static str {
        match self {
            Self::Weight | Self::Gamma => "weight",
            Self::Bias | Self::Beta => "bias",
            Self::RunningMean => "running_mean",
            Self::RunningVar => "running_var",
        }
    }

    /// Whether gradient descent changes the tensor.
    pub const fn is_trainable(self) -> bool {
        !matches!(self, Self::RunningMean | Self::RunningVar)
    }
}

impl Op {
    /// The tensors of this operation, with their shapes.
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
    /// Every tensor of the network, in the order of computation. Only shapes are listed: no tensor is allocated.
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

    /// Number of values in all tensors, running statistics included; at most `usize::MAX`.
    pub fn num_params(&self) -> usize {
        let count = |shape: Vec<usize>| shape.into_iter().fold(1, usize::saturating_mul);
        self.nodes
            .iter()
            .flat_map(|node| node.op.parameters())
            .fold(0, |sum: usize, (_, shape)| sum.saturating_add(count(shape)))
    }
}
