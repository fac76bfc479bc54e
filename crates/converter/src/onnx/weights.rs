//! The tensors of a network, made of an ONNX graph's constants.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::TensorData;
use burn_store::bridge;
use graph::{Correspondence, Graph, NodeId, Op, ParameterKind};
use onnx_ir::ModelProto;
use xception_model::zoo::FileGraph;

use super::tensor::{self, Constant};
use crate::dtype::{minus, values};
use crate::source::SourceTensor;

/// The constants of a node.
#[derive(Clone, Debug)]
pub(super) enum Weights {
    Linear {
        /// `[out, in / groups, height, width]` or `[in, out]`.
        kernel: Constant,
        /// The bias, or the term of a norm that is folded away.
        bias: Option<Constant>,
        /// The factor of a norm that is folded away.
        factor: Option<Constant>,
        /// What a Gemm multiplies the product and the bias by.
        times: [f64; 2],
    },
    /// Gamma, beta, mean, variance.
    Norm(Box<[Constant; 4]>),
}

impl Weights {
    pub(super) fn linear(kernel: Constant, bias: Option<Constant>, times: [f64; 2]) -> Self {
        Self::Linear {
            kernel,
            bias,
            factor: None,
            times,
        }
    }

    fn constants(&self) -> Vec<&Constant> {
        match self {
            Self::Linear {
                kernel, bias, factor, ..
            } => [Some(kernel), bias.as_ref(), factor.as_ref()]
                .into_iter()
                .flatten()
                .collect(),
            Self::Norm(parts) => parts.iter().collect(),
        }
    }
}

/// A network that an ONNX file holds.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) file: FileGraph,
    /// For each node of the graph the tensor that it gives, and whether that has its channels last.
    pub(super) outputs: Vec<Option<(String, bool)>>,
    /// By the path of the node.
    constants: HashMap<String, Weights>,
    model: Arc<ModelProto>,
    path: PathBuf,
}

/// How many times over a network may use the numbers of its file.
const MAX_REUSE: usize = 4;

impl Network {
    pub(super) fn new(
        file: FileGraph,
        constants: HashMap<String, Weights>,
        model: Arc<ModelProto>,
        path: PathBuf,
    ) -> Result<Self, String> {
        let stored: BTreeMap<_, _> = constants
            .values()
            .flat_map(Weights::constants)
            .map(|found| (found.place, found.count()))
            .collect();
        let stored = stored
            .into_values()
            .fold(0, |sum: usize, count| sum.saturating_add(count.unwrap_or(0)));
        let used = file.graph.num_params();
        if used / MAX_REUSE > stored {
            return Err(format!(
                "its network has {used} parameters, made of only {stored} numbers"
            ));
        }
        Ok(Self {
            file,
            outputs: Vec::new(),
            constants,
            model,
            path,
        })
    }

    /// The tensors of `ours`, whose nodes are those of `theirs`, the file's graph, that `pairs` says.
    ///
    /// A norm of ours that the file has folded away is made anew so that no number changes: gamma is the factor behind the
    /// convolution or 1, beta the term or bias or 0, mean and variance stand for 0 and 1. The mean of a norm behind a biased
    /// convolution, `x + bias - mean`, takes the bias in where our convolution has none.
    pub(crate) fn tensors(
        &self,
        ours: &Graph,
        theirs: &Graph,
        pairs: &Correspondence,
    ) -> Result<Vec<SourceTensor>, String> {
        let paired = |id: NodeId| pairs.get(id.0).copied().flatten();
        let weights = |id: NodeId| paired(id).and_then(|found| self.constants.get(&theirs.node(found).path));
        let mut norms = vec![None; ours.nodes.len()];
        for (id, node) in ours.iter() {
            if let Op::BatchNorm(norm) = &node.op {
                norms[node.inputs[0].0] = Some((norm, paired(id).is_none()));
            }
        }
        let mut tensors = Vec::new();
        for parameter in ours.parameters() {
            let (id, kind, shape) = (parameter.node, parameter.kind, &parameter.shape);
            let before = ours.node(id).inputs.first().copied();
            let filled = |value: f32| filled(&parameter.name, shape[0], value);
            let read = |constant: &Constant| self.constant(constant, &parameter.name, shape);
            tensors.push(match (weights(id), before.and_then(weights), &ours.node(id).op) {
                (
                    Some(Weights::Linear {
                        kernel,
                        bias,
                        factor,
                        times,
                    }),
                    ..,
                ) => {
                    let takes_in = |part: fn(&graph::BatchNorm) -> bool| {
                        norms[id.0].is_some_and(|(norm, folded)| folded && part(norm))
                    };
                    if kind == ParameterKind::Weight {
                        let has_bias = ours.node(id).op.parameters().len() > 1;
                        if bias.is_some()
                            && !has_bias
                            && norms[id.0].is_none_or(|(norm, folded)| folded && !norm.center)
                        {
                            return Err(format!(
                                "{} has a bias, and in the network it has none",
                                ours.layer_of(id).name
                            ));
                        }
                        let factor = factor.as_ref().filter(|_| !takes_in(|norm| norm.scale));
                        let factor = factor
                            .map(|factor| self.constant(factor, &factor.name, &[factor.dims.iter().product()]))
                            .transpose()?;
                        let run = if matches!(ours.node(id).op, Op::Dense(_)) {
                            1
                        } else {
                            shape[1..].iter().product()
                        };
                        scaled(read(kernel)?, times[0], factor, run)
                    } else {
                        match bias.as_ref().filter(|_| !takes_in(|norm| norm.center)) {
                            Some(bias) => scaled(read(bias)?, times[1], None, 1),
                            None => filled(0.0),
                        }
                    }
                }
                (Some(Weights::Norm(parts)), conv, _) => {
                    let [gamma, beta, mean, variance] = &**parts;
                    let part = match kind {
                        ParameterKind::Gamma => gamma,
                        ParameterKind::Beta => beta,
                        ParameterKind::RunningVar => variance,
                        _ => mean,
                    };
                    let mut part = read(part)?;
                    let is_biased = before.is_some_and(|before| ours.node(before).op.parameters().len() > 1);
                    if let (
                        ParameterKind::RunningMean,
                        Some(Weights::Linear {
                            bias: Some(bias),
                            times,
                            ..
                        }),
                        false,
                    ) = (kind, conv, is_biased)
                    {
                        part.tensor = minus(part.tensor, scaled(read(bias)?, times[1], None, 1).tensor);
                    }
                    part
                }
                (None, Some(Weights::Linear { bias, factor, .. }), Op::BatchNorm(norm)) => match (kind, factor, bias) {
                    (ParameterKind::Gamma, Some(part), _) | (ParameterKind::Beta, _, Some(part)) => read(part)?,
                    (ParameterKind::Gamma, ..) => filled(1.0),
                    (ParameterKind::RunningVar, ..) => filled(unit_variance(norm.epsilon)),
                    _ => filled(0.0),
                },
                _ => continue,
            });
        }
        Ok(tensors)
    }

    fn constant(&self, constant: &Constant, name: &str, shape: &[usize]) -> Result<SourceTensor, String> {
        if constant.count() != Some(shape.iter().product()) {
            return Err(format!(
                "constant {} has the shape {:?}, for {name} {shape:?}",
                constant.name, constant.dims
            ));
        }
        Ok(SourceTensor {
            origin: constant.name.clone(),
            tensor: tensor::tensor(&self.model, &self.path, constant, name.to_owned(), shape.to_vec())?,
        })
    }
}

/// A vector of one value, which the file leaves unsaid.
pub(super) fn filled(name: &str, length: usize, value: f32) -> SourceTensor {
    SourceTensor {
        origin: format!("({value})"),
        tensor: bridge::from_data(TensorData::new(vec![value; length], [length]), name.to_owned(), None),
    }
}

/// The variance that is 1 with the epsilon added, in 32 bits.
pub(super) fn unit_variance(epsilon: f64) -> f32 {
    let epsilon = epsilon as f32;
    let near = 1.0 - epsilon;
    let candidates = [near, near.next_up(), near.next_down()];
    candidates
        .into_iter()
        .find(|variance| (variance + epsilon).to_bits() == 1.0_f32.to_bits())
        .unwrap_or(near)
}

/// The tensor `by` times, and times a factor for each output; so many values in a row are of one output.
fn scaled(source: SourceTensor, by: f64, factor: Option<SourceTensor>, run: usize) -> SourceTensor {
    if factor.is_none() && by.to_bits() == 1.0_f64.to_bits() {
        return source;
    }
    let SourceTensor { origin, tensor } = source;
    let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
    let declared = shape.clone();
    let tensor = bridge::deferred(name, dtype, shape, None, move || {
        let factors = match &factor {
            Some(factor) => values(&bridge::to_data(&factor.tensor)?),
            None => vec![1.0],
        };
        let numbers = values(&bridge::to_data(&tensor)?);
        let scaled = numbers
            .iter()
            .enumerate()
            .map(|(at, number)| number * by * factors[at / run % factors.len()]);
        Ok(TensorData::new(scaled.collect(), declared.clone()).convert_dtype(dtype))
    });
    SourceTensor { origin, tensor }
}
