//! Makes a network's tensors from the constants of an ONNX graph.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;

use burn::tensor::TensorData;
use burn_store::bridge;
use graph::{Correspondence, Graph, NodeId, Op, Parameter, ParameterKind};
use onnx_ir::ModelProto;
use xception_model::zoo::FileGraph;

use super::node::shown;
use super::tensor::{self, Constant};
use crate::dtype::{minus, values};
use crate::weight_file::FileTensor;

/// The constants of a node.
#[derive(Clone, Debug)]
pub(super) enum Weights {
    Linear(Box<Linear>),
    /// Gamma, beta, mean, variance.
    Norm(Box<[Constant; 4]>),
}

/// The constants of a convolution or dense layer.
#[derive(Clone, Debug)]
pub(super) struct Linear {
    /// `[out, in / groups, height, width]` or `[in, out]`.
    pub(super) kernel: Constant,
    /// The bias, or the shift of a folded norm.
    pub(super) bias: Option<Constant>,
    /// The scale of a folded norm.
    pub(super) factor: Option<Constant>,
    /// The factors that a Gemm applies to the product and to the bias.
    pub(super) times: [f64; 2],
}

impl Weights {
    fn constants(&self) -> Vec<&Constant> {
        match self {
            Self::Linear(linear) => {
                let others = [&linear.bias, &linear.factor].into_iter().flatten();
                others.chain([&linear.kernel]).collect()
            }
            Self::Norm(parts) => parts.iter().collect(),
        }
    }
}

/// A network found in an ONNX file.
#[derive(Debug)]
pub(crate) struct Network {
    pub(crate) file: FileGraph,
    /// For each node of the graph, the name of its ONNX tensor, and whether the tensor has its channels last.
    pub(super) outputs: Vec<Option<(String, bool)>>,
    /// The constants, by the path of the node.
    constants: HashMap<String, Weights>,
    model: Arc<ModelProto>,
    path: PathBuf,
}

/// How many times a network may use each number of its file, on average.
const MAX_REUSE: usize = 4;

impl Network {
    pub(super) fn new(
        file: FileGraph,
        constants: HashMap<String, Weights>,
        model: Arc<ModelProto>,
        path: PathBuf,
    ) -> Result<Self, String> {
        let all = constants.values().flat_map(Weights::constants);
        let stored: BTreeMap<_, _> = all.map(|constant| (constant.place, constant.count())).collect();
        let stored = stored.into_values().flatten().fold(0, usize::saturating_add);
        let used = file.graph.num_params();
        if used / MAX_REUSE > stored {
            return Err(format!("its network has {used} parameters, made of {stored} numbers"));
        }
        Ok(Self {
            file,
            outputs: Vec::new(),
            constants,
            model,
            path,
        })
    }

    /// The tensors of the file's own network.
    #[cfg(test)]
    pub(crate) fn own_tensors(&self) -> Result<Vec<FileTensor>, String> {
        let graph = &self.file.graph;
        let pairs = graph.iter().map(|(id, _)| Some(id)).collect();
        self.tensors(graph, graph, &pairs)
    }

    /// The tensors of the graph `ours`. For each of its nodes, `pairs` gives the node of `theirs`, the file's graph.
    ///
    /// A norm that the file has folded is rebuilt so that no number changes: gamma is the scale after the convolution,
    /// or 1; beta is the shift or bias, or 0; mean and variance are equivalent to 0 and 1. For a norm after a biased
    /// convolution, `x + bias - mean`, the mean includes the bias if our convolution has none.
    pub(crate) fn tensors(
        &self,
        ours: &Graph,
        theirs: &Graph,
        pairs: &Correspondence,
    ) -> Result<Vec<FileTensor>, String> {
        let paired = |id: NodeId| pairs.get(id.0).copied().flatten();
        let weights = |id: NodeId| paired(id).and_then(|found| self.constants.get(&theirs.node(found).path));
        // The norm after each node, and whether the file has folded it.
        let mut norms = vec![None; ours.nodes.len()];
        for (id, node) in ours.iter() {
            if let Op::BatchNorm(norm) = &node.op {
                norms[node.inputs[0].0] = Some((norm, paired(id).is_none()));
                // ONNX's norm always has a scale and a shift.
                if let Some(Weights::Norm(parts)) = weights(id) {
                    let [gamma, beta, ..] = &**parts;
                    for (is_ours, constant, neutral) in [(norm.scale, gamma, 1.0), (norm.center, beta, 0.0)] {
                        if !is_ours && !self.is_all(constant, norm.channels, neutral)? {
                            let layer = &ours.layer_of(id).name;
                            let constant = shown(&constant.name);
                            return Err(format!(
                                "{layer} has the factors or terms {constant}, and the network's layer has none"
                            ));
                        }
                    }
                }
            }
        }
        let mut tensors = Vec::new();
        for parameter in ours.parameters() {
            let node = ours.node(parameter.node);
            let before = node.inputs.first().copied();
            let has_bias = |id: NodeId| ours.node(id).op.parameters().len() == 2;
            let own_norm = norms[parameter.node.0];
            tensors.push(match (weights(parameter.node), before.and_then(weights), &node.op) {
                (Some(Weights::Linear(linear)), ..) if parameter.kind == ParameterKind::Weight => {
                    let lost = own_norm.is_none_or(|(norm, folded)| folded && !norm.center);
                    if linear.bias.is_some() && !has_bias(parameter.node) && lost {
                        let layer = &ours.layer_of(parameter.node).name;
                        return Err(format!("{layer} has a bias, and the network's layer has none"));
                    }
                    let is_taken = own_norm.is_some_and(|(norm, folded)| folded && norm.scale);
                    self.kernel(linear, !is_taken, &parameter)?
                }
                (Some(Weights::Linear(linear)), ..) => {
                    let is_taken = own_norm.is_some_and(|(norm, folded)| folded && norm.center);
                    match linear.bias.as_ref().filter(|_| !is_taken) {
                        Some(bias) => self.bias(linear, bias, &parameter)?,
                        None => filled(&parameter, 0.0),
                    }
                }
                (Some(Weights::Norm(parts)), conv, _) => {
                    let [gamma, beta, mean, variance] = &**parts;
                    let mut part = match parameter.kind {
                        ParameterKind::Gamma => self.constant(gamma, &parameter)?,
                        ParameterKind::Beta => self.constant(beta, &parameter)?,
                        ParameterKind::RunningVar => self.constant(variance, &parameter)?,
                        _ => self.constant(mean, &parameter)?,
                    };
                    if let (ParameterKind::RunningMean, Some(Weights::Linear(linear))) = (parameter.kind, conv)
                        && let Some(bias) = linear.bias.as_ref().filter(|_| !before.is_some_and(has_bias))
                    {
                        part.tensor = minus(part.tensor, self.bias(linear, bias, &parameter)?.tensor);
                    }
                    part
                }
                (None, Some(Weights::Linear(linear)), Op::BatchNorm(norm)) => match parameter.kind {
                    ParameterKind::Gamma => self.optional(linear.factor.as_ref(), &parameter, 1.0)?,
                    ParameterKind::Beta => self.optional(linear.bias.as_ref(), &parameter, 0.0)?,
                    ParameterKind::RunningVar => filled(&parameter, unit_variance(norm.epsilon)),
                    _ => filled(&parameter, 0.0),
                },
                _ => continue,
            });
        }
        Ok(tensors)
    }

    /// A kernel, multiplied by the scale after it if no norm takes that scale.
    fn kernel(&self, linear: &Linear, with_factor: bool, parameter: &Parameter) -> Result<FileTensor, String> {
        // `run` consecutive values belong to one output.
        let (outputs, run) = match parameter.shape[..] {
            [_, outputs] => (outputs, 1),
            _ => (parameter.shape[0], parameter.shape[1..].iter().product()),
        };
        let factor = linear.factor.as_ref().filter(|_| with_factor);
        let factor = factor
            .map(|factor| self.read(factor, &parameter.name, vec![outputs]))
            .transpose()?;
        Ok(scaled(
            self.constant(&linear.kernel, parameter)?,
            linear.times[0],
            factor,
            run,
        ))
    }

    fn bias(&self, linear: &Linear, bias: &Constant, parameter: &Parameter) -> Result<FileTensor, String> {
        Ok(scaled(self.constant(bias, parameter)?, linear.times[1], None, 1))
    }

    fn optional(&self, part: Option<&Constant>, parameter: &Parameter, otherwise: f32) -> Result<FileTensor, String> {
        part.map_or_else(
            || Ok(filled(parameter, otherwise)),
            |part| self.constant(part, parameter),
        )
    }

    /// Whether a constant is this number for every channel.
    fn is_all(&self, constant: &Constant, channels: usize, number: f32) -> Result<bool, String> {
        let entry = self.read(constant, "norm", vec![channels])?;
        let data = bridge::to_data(&entry.tensor).map_err(|error| error.to_string())?;
        Ok(data.iter::<f32>().all(|value| value.to_bits() == number.to_bits()))
    }

    fn constant(&self, constant: &Constant, parameter: &Parameter) -> Result<FileTensor, String> {
        self.read(constant, &parameter.name, parameter.shape.clone())
    }

    fn read(&self, constant: &Constant, name: &str, shape: Vec<usize>) -> Result<FileTensor, String> {
        if constant.count() != Some(shape.iter().product()) {
            let (found, dims) = (shown(&constant.name), &constant.dims);
            return Err(format!("constant {found} has the shape {dims:?}, for {name} {shape:?}"));
        }
        let tensor = tensor::tensor(&self.model, &self.path, constant, name.to_owned(), shape)?;
        Ok(FileTensor {
            origin: constant.name.clone(),
            tensor,
        })
    }
}

/// A tensor with one value everywhere, for a tensor that the file omits.
fn filled(parameter: &Parameter, value: f32) -> FileTensor {
    vector(&parameter.name, parameter.shape[0], value)
}

/// A vector with one value everywhere.
pub(super) fn vector(name: &str, length: usize, value: f32) -> FileTensor {
    FileTensor {
        origin: format!("({value})"),
        tensor: bridge::from_data(TensorData::new(vec![value; length], [length]), name.to_owned(), None),
    }
}

/// The variance that gives 1 when the epsilon is added, in 32 bits.
pub(super) fn unit_variance(epsilon: f64) -> f32 {
    let epsilon = epsilon as f32;
    let near = 1.0 - epsilon;
    let candidates = [near, near.next_up(), near.next_down()];
    candidates
        .into_iter()
        .find(|variance| (variance + epsilon).to_bits() == 1.0_f32.to_bits())
        .unwrap_or(near)
}

/// The tensor multiplied by `by` and by a factor for each output; `run` consecutive values belong to one output.
fn scaled(entry: FileTensor, by: f64, factor: Option<FileTensor>, run: usize) -> FileTensor {
    if factor.is_none() && by.to_bits() == 1.0_f64.to_bits() {
        return entry;
    }
    let FileTensor { origin, tensor } = entry;
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
    FileTensor { origin, tensor }
}
