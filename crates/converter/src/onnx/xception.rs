//! What an ONNX graph computes, told as what Xception does, step by step.
//!
//! Names are whatever an exporter made of them, so the network is found by following the data: convolutions by kernel,
//! group and stride, a block's shortcut by the addition that it ends in. The steps found must then be exactly those of the
//! architecture's table.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use onnx_ir::{ModelProto, NodeProto};
use xception_model::{
    IntermediateActivation, LayerKind, OutputStride, Pooling, Relu, SeparableOrder, Shortcut, Variant, XceptionConfig,
};

use super::tensor::{self, Constant, Place};

/// One step of the network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Step {
    Conv { stride: usize },
    Depthwise { dilation: usize },
    Pointwise,
    Relu,
    Elu,
    Pool { stride: usize, dilation: usize },
    Add { projection: Option<usize> },
}

/// A batch norm, as far as an exporter left it.
#[derive(Clone, Debug)]
pub(super) enum Norm {
    Whole {
        /// gamma, beta, mean, variance.
        parts: Box<[Constant; 4]>,
        epsilon: f32,
        /// Of the convolution before it: the mean stands for both.
        bias: Option<Constant>,
    },
    /// Folded into the convolution, or given as a factor and a term. Without a constant they are 1 and 0.
    Folded {
        scale: Option<Constant>,
        shift: Option<Constant>,
    },
}

/// A convolution and the norm behind it; depthwise convolutions have none.
#[derive(Clone, Debug)]
pub(super) struct Convolution {
    pub(super) kernel: Constant,
    pub(super) norm: Option<Norm>,
}

/// A dense layer.
#[derive(Clone, Debug)]
pub(super) struct Dense {
    pub(super) kernel: Constant,
    /// `[out, in]` as in a Gemm with transB.
    pub(super) transposed: bool,
    pub(super) bias: Option<Constant>,
}

/// What the addition at a block's end adds: the block's input, through a convolution or as it is.
struct Side {
    stride: usize,
    projection: Option<Convolution>,
}

/// Everything found in a graph, in the order of computation.
#[derive(Debug, Default)]
pub(super) struct Walk {
    pub(super) steps: Vec<Step>,
    /// Ordinary convolutions, and the halves of separable ones.
    pub(super) convolutions: Vec<Convolution>,
    pub(super) projections: Vec<Convolution>,
    /// Explicit padding of each pool, `[top, left, bottom, right]`; `None` where it is `SAME_UPPER`.
    pub(super) pads: Vec<Option<[usize; 4]>>,
    /// What a Pad before the next pool has padded.
    padded: Option<[usize; 4]>,
    pub(super) pooling: Option<Pooling>,
    pub(super) denses: Vec<Dense>,
    pub(super) softmax: Option<String>,
}

pub(super) struct Graph<'a> {
    model: &'a ModelProto,
    path: &'a Path,
    nodes: &'a [NodeProto],
    constants: HashMap<&'a str, Constant>,
    /// Vectors of zeros that the graph makes: PyTorch's exporter gives them to convolutions without a bias.
    zeros: HashSet<&'a str>,
    consumers: HashMap<&'a str, Vec<usize>>,
}

/// More than any Xception has; a graph that goes round in a circle ends here.
const MAX_STEPS: usize = 20_000;

impl<'a> Graph<'a> {
    pub(super) fn new(model: &'a ModelProto, path: &'a Path) -> Result<Self, String> {
        let graph = model.graph.as_ref().ok_or("it has no graph")?;
        let nodes = graph.node.as_slice();
        let mut this = Self {
            model,
            path,
            nodes,
            constants: HashMap::new(),
            zeros: HashSet::new(),
            consumers: HashMap::new(),
        };
        for (index, tensor) in graph.initializer.iter().enumerate() {
            this.constant(&tensor.name, Place::Initializer(index));
        }
        for (index, node) in nodes.iter().enumerate() {
            let value = node.attribute.iter().position(|attribute| attribute.name == "value");
            if let ("Constant", Some(value), [output]) = (node.op_type.as_str(), value, node.output.as_slice()) {
                this.constant(output, Place::Attribute(index, value));
            }
        }
        // Exporters turn kernels around in the graph. A node stands behind what it reads.
        for node in nodes {
            this.rearranged(node);
        }
        for (index, node) in nodes.iter().enumerate() {
            for input in &node.input {
                if !this.constants.contains_key(input.as_str()) {
                    this.consumers.entry(input.as_str()).or_default().push(index);
                }
            }
        }
        Ok(this)
    }

    fn constant(&mut self, name: &'a str, place: Place) {
        let Some(tensor) = tensor::proto(self.model, place) else {
            return;
        };
        // Shapes and axes are integers; a float that is broken is named when it is used.
        let dims = tensor
            .dims
            .iter()
            .map(|&side| usize::try_from(side).unwrap_or(0))
            .collect();
        self.constants.insert(
            name,
            Constant {
                name: name.to_owned(),
                place,
                dims,
                order: Vec::new(),
            },
        );
    }

    /// A Transpose, Identity or reshaping of a constant is a constant.
    fn rearranged(&mut self, node: &'a NodeProto) {
        let ([output], Some(input)) = (node.output.as_slice(), node.input.first()) else {
            return;
        };
        let Some(mut constant) = self.constants.get(input.as_str()).cloned() else {
            return;
        };
        let rank = constant.dims.len();
        match node.op_type.as_str() {
            "Identity" | "Dropout" | "CastLike" => {}
            "Transpose" => {
                let perm: Vec<usize> = match ints(node, "perm") {
                    Some(perm) => perm
                        .iter()
                        .map(|&axis| usize::try_from(axis).unwrap_or(usize::MAX))
                        .collect(),
                    None => (0..rank).rev().collect(),
                };
                let mut sorted = perm.clone();
                sorted.sort_unstable();
                if !sorted.into_iter().eq(0..rank) {
                    return;
                }
                let order = if constant.order.is_empty() {
                    (0..rank).collect()
                } else {
                    constant.order
                };
                constant.order = perm.iter().map(|&axis| order[axis]).collect();
                constant.dims = perm.iter().map(|&axis| constant.dims[axis]).collect();
            }
            // The values keep their order; what is asked of them is only their number.
            "Reshape" | "Squeeze" | "Unsqueeze" | "Flatten" if constant.order.is_empty() => {
                constant.dims = vec![constant.dims.iter().product()];
            }
            "Expand" => {
                let value = tensor::proto(self.model, constant.place).and_then(tensor::scalar);
                if constant.dims.iter().product::<usize>() == 1 && value == Some(0.0) {
                    self.zeros.insert(output);
                }
                return;
            }
            _ => return,
        }
        self.constants.insert(output, constant);
    }

    fn float(&self, node: &NodeProto, input: usize) -> Result<Constant, String> {
        let name = node.input.get(input).map_or("", String::as_str);
        let constant = self
            .constants
            .get(name)
            .ok_or_else(|| format!("{}: its input `{name}` is no constant of the file", title(node)))?;
        let tensor = tensor::proto(self.model, constant.place).ok_or("a constant is gone")?;
        tensor::dims(tensor, self.path).map_err(|problem| format!("constant {} {problem}", constant.name))?;
        Ok(constant.clone())
    }

    fn optional(&self, node: &NodeProto, input: usize) -> Result<Option<Constant>, String> {
        match node.input.get(input) {
            Some(name) if !name.is_empty() => self.float(node, input).map(Some),
            _ => Ok(None),
        }
    }

    /// The nodes that read a value, past those that only move it. Before pooling nothing but the place of the channels may
    /// change; behind it a picture has one number a channel, and any shape of them is the same vector.
    fn readers(&self, value: &str, pooled: bool) -> Vec<&'a NodeProto> {
        self.follow(value, pooled).0
    }

    /// What [`readers`](Self::readers) finds, and whether the value, moved or not, is an output of the graph.
    fn follow(&self, value: &str, pooled: bool) -> (Vec<&'a NodeProto>, bool) {
        let outputs = self.model.graph.as_ref().map_or(&[][..], |graph| &graph.output);
        let mut leaves = false;
        let mut found = Vec::new();
        let mut left = vec![value.to_owned()];
        let mut steps = 0;
        while let Some(value) = left.pop() {
            steps += 1;
            if steps > MAX_STEPS {
                break;
            }
            leaves |= outputs.iter().any(|output| output.name == value);
            for &index in self.consumers.get(value.as_str()).into_iter().flatten() {
                let node = &self.nodes[index];
                match node.op_type.as_str() {
                    "Identity" | "Dropout" => left.extend(node.output.first().cloned()),
                    "Transpose" if moves_channels(node) => left.extend(node.output.first().cloned()),
                    "Cast" if casts_to_float(node) => left.extend(node.output.first().cloned()),
                    "Flatten" | "Reshape" | "Squeeze" | "Unsqueeze" if pooled => {
                        left.extend(node.output.first().cloned());
                    }
                    "CastLike" if node.input.first() == Some(&value) => left.extend(node.output.first().cloned()),
                    // What only asks for a size or a type computes nothing.
                    "Shape" | "Size" | "CastLike" => {}
                    _ => found.push(node),
                }
            }
        }
        (found, leaves)
    }

    /// Follows the data from the input to the output.
    pub(super) fn walk(&self) -> Result<Walk, String> {
        let graph = self.model.graph.as_ref().ok_or("it has no graph")?;
        let inputs: Vec<&str> = graph
            .input
            .iter()
            .map(|input| input.name.as_str())
            .filter(|name| !self.constants.contains_key(name))
            .collect();
        let [input] = inputs.as_slice() else {
            return Err(format!("it has {} inputs, and Xception has one", inputs.len()));
        };
        let mut walk = Walk::default();
        let mut value = (*input).to_owned();
        let mut shortcut: Option<Side> = None;
        for _ in 0..MAX_STEPS {
            let (readers, leaves) = self.follow(&value, walk.pooling.is_some());
            let node = match readers.as_slice() {
                [] if leaves => return Ok(walk),
                [] => {
                    return Err(format!(
                        "its last value, `{}`, is no output of the graph",
                        value.escape_debug()
                    ));
                }
                [node] => *node,
                [one, two] if shortcut.is_none() => {
                    let (main, side) = match (self.shortcut(one)?, self.shortcut(two)?) {
                        (None, Some(side)) => (one, side),
                        (Some(side), None) => (two, side),
                        _ => {
                            return Err(format!(
                                "{} and {} go on from one value, and no block does",
                                title(one),
                                title(two)
                            ));
                        }
                    };
                    shortcut = Some(side);
                    *main
                }
                many => {
                    let names: Vec<String> = many.iter().map(|node| title(node)).collect();
                    return Err(format!(
                        "{} all go on from one value, and no block does",
                        names.join(", ")
                    ));
                }
            };
            value = self.step(node, &mut walk, &mut shortcut)?;
        }
        Err("its graph does not end".to_owned())
    }

    /// The shortcut that a node begins, if it begins one: it is the addition itself, or a convolution right before it.
    fn shortcut(&self, node: &'a NodeProto) -> Result<Option<Side>, String> {
        if node.op_type == "Add" {
            return Ok(Some(Side {
                stride: 1,
                projection: None,
            }));
        }
        if node.op_type != "Conv" || group(node) != 1 || kernel_side(node, &self.float(node, 1)?) != 1 {
            return Ok(None);
        }
        let (convolution, end) = self.convolution(node)?;
        match self.readers(&end, false).as_slice() {
            [next] if next.op_type == "Add" && is_unpadded(node)? => Ok(Some(Side {
                stride: square(node, "strides", 1)?,
                projection: Some(convolution),
            })),
            _ => Ok(None),
        }
    }

    /// The padding of a Pad whose pixels never win: `[top, left, bottom, right]`.
    fn pad(&self, node: &'a NodeProto) -> Result<[usize; 4], String> {
        let stored = |input: usize| {
            let constant = self.constants.get(node.input.get(input)?.as_str())?;
            tensor::proto(self.model, constant.place)
        };
        let pads = stored(1).map(tensor::integers).unwrap_or_default();
        let value = stored(2).and_then(tensor::scalar).unwrap_or(0.0);
        match pads[..] {
            [0, 0, top, left, 0, 0, bottom, right] if value < -1e30 => {
                let sides = [top, left, bottom, right].map(usize::try_from);
                let [Ok(top), Ok(left), Ok(bottom), Ok(right)] = sides else {
                    return Err(format!("{} cuts off pixels", title(node)));
                };
                Ok([top, left, bottom, right])
            }
            _ => Err(format!(
                "{} pads {pads:?} with {value}, and Xception's pools do not",
                title(node)
            )),
        }
    }

    fn step(&self, node: &'a NodeProto, walk: &mut Walk, shortcut: &mut Option<Side>) -> Result<String, String> {
        let output = node.output.first().cloned().unwrap_or_default();
        if walk.padded.is_some() && node.op_type != "MaxPool" {
            return Err(format!(
                "{} reads padded pixels, and only Xception's pools pad",
                title(node)
            ));
        }
        match node.op_type.as_str() {
            "Conv" => self.convolve(node, walk),
            "Relu" if walk.pooling.is_none() => {
                walk.steps.push(Step::Relu);
                Ok(output)
            }
            "Elu" if attribute(node, "alpha").is_none_or(is_one) => {
                walk.steps.push(Step::Elu);
                Ok(output)
            }
            // Between dense layers, where `dense` has asked for it.
            "Relu" => Ok(output),
            // Ours pads by itself where the padding is of two kinds.
            "Pad" if walk.padded.is_none() => {
                walk.padded = Some(self.pad(node)?);
                Ok(output)
            }
            "MaxPool" if square(node, "kernel_shape", 0)? == 3 => {
                if attribute(node, "ceil_mode").is_some_and(|mode| mode.i != 0) {
                    return Err(format!(
                        "{} rounds its size up (ceil_mode), and Xception's pools do not",
                        title(node)
                    ));
                }
                walk.steps.push(Step::Pool {
                    stride: square(node, "strides", 1)?,
                    dilation: square(node, "dilations", 1)?,
                });
                let own = padding(node)?;
                walk.pads.push(match walk.padded.take() {
                    None => own,
                    Some(padded) if own == Some([0; 4]) => Some(padded),
                    Some(_) => return Err(format!("{} pads what is padded", title(node))),
                });
                Ok(output)
            }
            "Add" | "Sum" if walk.pooling.is_none() => {
                let Side { stride, projection } = shortcut
                    .take()
                    .ok_or_else(|| format!("{} adds what does not come from its block", title(node)))?;
                walk.steps.push(Step::Add {
                    projection: projection.is_some().then_some(stride),
                });
                walk.projections.extend(projection);
                Ok(output)
            }
            "GlobalAveragePool" | "ReduceMean" if walk.denses.is_empty() && walk.pooling != Some(Pooling::Max) => {
                self.over_both_sides(node)?;
                walk.pooling = Some(Pooling::Average);
                Ok(output)
            }
            "GlobalMaxPool" | "ReduceMax" if walk.denses.is_empty() && walk.pooling != Some(Pooling::Average) => {
                self.over_both_sides(node)?;
                walk.pooling = Some(Pooling::Max);
                Ok(output)
            }
            // How burn-onnx 0.22 writes a maximum over a side.
            "TopK" if walk.denses.is_empty() && walk.pooling != Some(Pooling::Average) => {
                let count = node.input.get(1).and_then(|name| self.constants.get(name.as_str()));
                let count = count.and_then(|constant| tensor::proto(self.model, constant.place));
                if count.map(tensor::integers) != Some(vec![1])
                    || attribute(node, "largest").is_some_and(|found| found.i == 0)
                {
                    return Err(format!("{} is no maximum", title(node)));
                }
                walk.pooling = Some(Pooling::Max);
                Ok(output)
            }
            "Gemm" | "MatMul" if walk.pooling.is_some() => self.dense(node, walk),
            "Softmax" if walk.pooling.is_some() => {
                walk.softmax = Some(title(node));
                Ok(output)
            }
            _ => Err(format!("{} is no step of Xception's", title(node))),
        }
    }

    /// Checks that a pooling is over height and width, wherever the channels stand.
    fn over_both_sides(&self, node: &'a NodeProto) -> Result<(), String> {
        if node.op_type.starts_with("Global") {
            return Ok(());
        }
        let stored = || {
            let constant = self.constants.get(node.input.get(1)?.as_str())?;
            tensor::proto(self.model, constant.place).map(tensor::integers)
        };
        let axes = ints(node, "axes")
            .map(<[i64]>::to_vec)
            .or_else(stored)
            .unwrap_or_default();
        let mut axes: Vec<i64> = axes
            .into_iter()
            .map(|axis| if axis < 0 { axis + 4 } else { axis })
            .collect();
        axes.sort_unstable();
        let expected = if self.has_channels_last(node) { [1, 2] } else { [2, 3] };
        if axes == expected {
            Ok(())
        } else {
            Err(format!(
                "{} is over the axes {axes:?}, not over height and width",
                title(node)
            ))
        }
    }

    /// Whether channels come last in what a node reads: a Transpose has put them there.
    fn has_channels_last(&self, node: &NodeProto) -> bool {
        let mut value = node.input.first();
        for _ in 0..8 {
            let Some(name) = value else { return false };
            let Some(maker) = self.nodes.iter().find(|maker| maker.output.first() == Some(name)) else {
                return false;
            };
            match maker.op_type.as_str() {
                "Transpose" => return ints(maker, "perm") == Some(&[0, 2, 3, 1]),
                "Relu" | "Identity" | "Dropout" | "Cast" => value = maker.input.first(),
                _ => return false,
            }
        }
        false
    }

    /// A convolution on the main path; gives the value behind it and its norm.
    fn convolve(&self, node: &'a NodeProto, walk: &mut Walk) -> Result<String, String> {
        let kernel = self.float(node, 1)?;
        let [_, inner, _, _] = kernel.dims[..] else {
            return Err(format!("{}: its kernel has the shape {:?}", title(node), kernel.dims));
        };
        let stride = square(node, "strides", 1)?;
        let dilation = square(node, "dilations", 1)?;
        let side = kernel_side(node, &kernel);
        let depthwise = inner == 1 && (group(node) > 1 || group(node) == kernel.dims[0]);
        let step = match (side, depthwise) {
            (3, true) if stride == 1 && padding(node)? == Some([dilation; 4]) => Step::Depthwise { dilation },
            (1, false) if stride == 1 && group(node) == 1 && is_unpadded(node)? => Step::Pointwise,
            (3, false) if dilation == 1 && group(node) == 1 && padding(node)? == Some([0; 4]) => Step::Conv { stride },
            _ => return Err(format!("{} is no convolution of Xception's", title(node))),
        };
        walk.steps.push(step);
        // In a separable convolution the norm stands behind its second half.
        let (mut convolution, end) = self.convolution(node)?;
        let bare = matches!(
            &convolution.norm,
            Some(Norm::Folded {
                scale: None,
                shift: None
            })
        );
        if bare && matches!(step, Step::Depthwise { .. } | Step::Pointwise) {
            convolution.norm = None;
        }
        walk.convolutions.push(convolution);
        Ok(end)
    }

    /// A convolution, the norm behind it, and the value behind both.
    fn convolution(&self, node: &'a NodeProto) -> Result<(Convolution, String), String> {
        let kernel = self.float(node, 1)?;
        let bias = match node.input.get(2) {
            Some(bias) if self.zeros.contains(bias.as_str()) => None,
            _ => self.optional(node, 2)?,
        };
        let mut value = node.output.first().cloned().unwrap_or_default();
        let next = |value: &str| match self.readers(value, false).as_slice() {
            [next] => Some(*next),
            _ => None,
        };
        if let Some(norm) = next(&value)
            && norm.op_type == "BatchNormalization"
        {
            if attribute(norm, "training_mode").is_some_and(|mode| mode.i != 0) {
                return Err(format!(
                    "{} is of a network in training; export it in evaluation mode",
                    title(norm)
                ));
            }
            let parts = [
                self.float(norm, 1)?,
                self.float(norm, 2)?,
                self.float(norm, 3)?,
                self.float(norm, 4)?,
            ];
            let epsilon = attribute(norm, "epsilon").map_or(1e-5, |epsilon| epsilon.f);
            value = norm.output.first().cloned().unwrap_or_default();
            let norm = Some(Norm::Whole {
                parts: Box::new(parts),
                epsilon,
                bias,
            });
            return Ok((Convolution { kernel, norm }, value));
        }
        let channels = kernel.dims.first().copied().unwrap_or(0);
        let (mut scale, mut shift) = (None, bias);
        for kind in ["Mul", "Add"] {
            let Some(norm) = next(&value).filter(|norm| norm.op_type == kind) else {
                continue;
            };
            let constant = (0..norm.input.len()).find_map(|input| self.float(norm, input).ok());
            let Some(constant) = constant.filter(|found| found.dims.iter().product::<usize>() == channels) else {
                continue;
            };
            if kind == "Mul" && shift.is_some() || kind == "Add" && shift.is_some() {
                return Err(format!("{} has a bias and a norm behind it", title(node)));
            }
            value = norm.output.first().cloned().unwrap_or_default();
            *(if kind == "Mul" { &mut scale } else { &mut shift }) = Some(constant);
        }
        let norm = Some(Norm::Folded { scale, shift });
        Ok((Convolution { kernel, norm }, value))
    }

    fn dense(&self, node: &'a NodeProto, walk: &mut Walk) -> Result<String, String> {
        let kernel = self.float(node, 1)?;
        let mut value = node.output.first().cloned().unwrap_or_default();
        let mut bias = self.optional(node, 2)?;
        let one = |name: &str| attribute(node, name).is_none_or(is_one);
        if kernel.dims.len() != 2
            || !one("alpha")
            || !one("beta")
            || attribute(node, "transA").is_some_and(|a| a.i != 0)
        {
            return Err(format!("{} is no dense layer", title(node)));
        }
        if bias.is_none()
            && let [add] = self.readers(&value, true).as_slice()
            && add.op_type == "Add"
        {
            bias = (0..add.input.len()).find_map(|input| self.float(add, input).ok());
            value = add.output.first().cloned().unwrap_or_default();
        }
        let readers = self.readers(&value, true);
        let last = readers.iter().all(|next| next.op_type == "Softmax");
        let relu = match readers.as_slice() {
            [next] if next.op_type == "Relu" => {
                let behind = next.output.first().map(|value| self.readers(value, true));
                matches!(behind.as_deref(), Some([dense]) if ["Gemm", "MatMul"].contains(&dense.op_type.as_str()))
            }
            _ => false,
        };
        if !last && !relu {
            return Err(format!(
                "{}: neither a hidden layer with ReLU nor the last",
                title(node)
            ));
        }
        walk.denses.push(Dense {
            kernel,
            transposed: attribute(node, "transB").is_some_and(|found| found.i != 0),
            bias,
        });
        Ok(value)
    }
}

impl Walk {
    /// Channels of the pictures.
    pub(super) fn in_channels(&self) -> usize {
        let kernel = self
            .convolutions
            .first()
            .map(|convolution| convolution.kernel.dims.as_slice());
        kernel.and_then(|dims| dims.get(1)).copied().unwrap_or(0)
    }

    /// The network that does these steps; widths and classes are the tensors'.
    pub(super) fn network(&self) -> Result<XceptionConfig, String> {
        let separables = self.steps.iter().filter(|step| **step == Step::Pointwise).count();
        let middle_blocks = match separables.checked_sub(10) {
            Some(middle) if middle % 3 == 0 => middle / 3,
            _ => {
                return Err(format!(
                    "expected Xception's 34 separable convolutions (10 and three a middle block), found {separables}"
                ));
            }
        };
        let base = XceptionConfig::new()
            .with_middle_blocks(middle_blocks)
            .with_residual(self.steps.iter().any(|step| matches!(step, Step::Add { .. })));
        let mut nearest = (0, String::new());
        for stride in [OutputStride::S32, OutputStride::S16, OutputStride::S8] {
            for activation in [
                IntermediateActivation::None,
                IntermediateActivation::Relu,
                IntermediateActivation::Elu,
            ] {
                for order in [SeparableOrder::DepthwiseFirst, SeparableOrder::PointwiseFirst] {
                    let network = base
                        .clone()
                        .with_output_stride(stride)
                        .with_intermediate_activation(activation)
                        .with_order(order);
                    let expected = steps(&network);
                    let same = self.steps.iter().zip(&expected).take_while(|(a, b)| a == b).count();
                    if same == expected.len() && same == self.steps.len() {
                        return Ok(network);
                    }
                    if same >= nearest.0 {
                        let at =
                            |steps: &[Step]| steps.get(same).map_or("its end".to_owned(), |step| format!("{step:?}"));
                        nearest = (
                            same,
                            format!("step {same}: expected {}, found {}", at(&expected), at(&self.steps)),
                        );
                    }
                }
            }
        }
        Err(nearest.1)
    }

    /// Whose constants the network has, where its norms or its pools tell. `size` is the input's.
    pub(super) fn variant(
        &self,
        network: &XceptionConfig,
        size: Option<[usize; 2]>,
    ) -> Result<Option<Variant>, String> {
        let mut variants = Vec::new();
        for convolution in self.convolutions.iter().chain(&self.projections) {
            if let Some(Norm::Whole { epsilon, .. }) = convolution.norm {
                let same =
                    |variant: &Variant| (f64::from(epsilon) - variant.epsilon()).abs() < 1e-3 * variant.epsilon();
                let found = [Variant::Keras, Variant::Torch].into_iter().find(same);
                variants.push(
                    found
                        .ok_or_else(|| format!("a norm has the epsilon {epsilon:e}, neither Keras's 1e-3 nor 1e-5"))?,
                );
            }
        }
        let mut sides = size;
        let mut pads = self.pads.iter();
        for stage in network.stages() {
            if stage.name == "block1" {
                sides = sides.map(|sides| sides.map(|side| ((side.saturating_sub(3)) / 2 + 1).saturating_sub(2)));
            }
            let Some(pool) = stage.pool else { continue };
            let Some(found) = pads.next() else { break };
            let symmetric = [pool.dilation; 4];
            let same = sides.map(|sides| {
                let [top, left] = sides.map(|side| same_padding(side, pool.stride, pool.dilation));
                [top.0, left.0, top.1, left.1]
            });
            match (found, same) {
                (None, _) => variants.push(Variant::Keras),
                (Some(found), Some(same)) if found == &same && same == symmetric => {}
                (Some(found), Some(same)) if *found == same => variants.push(Variant::Keras),
                (Some(found), _) if *found == symmetric => {
                    // Without a size this may be either's.
                    if same.is_some() {
                        variants.push(Variant::Torch);
                    }
                }
                (Some(found), None) if found[0] == 0 && found[2] == 1 => variants.push(Variant::Keras),
                (Some(found), _) => return Err(format!("{}'s pool has the padding {found:?}", stage.name)),
            }
            let halve = |side: usize| side.div_ceil(pool.stride);
            sides = sides.map(|sides| sides.map(halve));
        }
        match variants.first() {
            Some(first) if variants.iter().any(|variant| variant != first) => {
                Err("its norms and pools are of two kinds of network".to_owned())
            }
            first => Ok(first.copied()),
        }
    }
}

/// Keras's `same`: before and after.
fn same_padding(side: usize, stride: usize, dilation: usize) -> (usize, usize) {
    let total = (side.div_ceil(stride).saturating_sub(1) * stride + 2 * dilation + 1).saturating_sub(side);
    (total / 2, total - total / 2)
}

/// What a network does, by the architecture's table.
fn steps(network: &XceptionConfig) -> Vec<Step> {
    let mut steps = Vec::new();
    for stage in network.stages() {
        for layer in &stage.layers {
            if layer.relu == Relu::Before {
                steps.push(Step::Relu);
            }
            match layer.kind {
                LayerKind::Conv { stride } => steps.push(Step::Conv { stride }),
                LayerKind::Separable { dilation } => {
                    let mut halves = [Step::Depthwise { dilation }, Step::Pointwise];
                    if network.order == SeparableOrder::PointwiseFirst {
                        halves.reverse();
                    }
                    steps.push(halves[0]);
                    match network.intermediate_activation {
                        IntermediateActivation::None => {}
                        IntermediateActivation::Relu => steps.push(Step::Relu),
                        IntermediateActivation::Elu => steps.push(Step::Elu),
                    }
                    steps.push(halves[1]);
                }
            }
            if layer.relu == Relu::After {
                steps.push(Step::Relu);
            }
        }
        if let Some(pool) = stage.pool {
            steps.push(Step::Pool {
                stride: pool.stride,
                dilation: pool.dilation,
            });
        }
        match stage.shortcut {
            Shortcut::Absent => {}
            Shortcut::Identity => steps.push(Step::Add { projection: None }),
            Shortcut::Projection { stride } => steps.push(Step::Add {
                projection: Some(stride),
            }),
        }
    }
    steps
}

/// Where each convolution of a walk lives: the module's path, in the order of the table; then the projections'.
pub(super) fn homes(network: &XceptionConfig) -> (Vec<String>, Vec<String>) {
    let (mut main, mut projections) = (Vec::new(), Vec::new());
    for stage in network.stages() {
        for layer in &stage.layers {
            let path = format!("{}.{}", stage.path(), layer.short_name());
            match (layer.kind, network.order) {
                (LayerKind::Conv { .. }, _) => main.push(format!("{path}.conv")),
                (_, SeparableOrder::DepthwiseFirst) => {
                    main.extend(["depthwise", "pointwise"].map(|half| format!("{path}.{half}")));
                }
                (_, SeparableOrder::PointwiseFirst) => {
                    main.extend(["pointwise", "depthwise"].map(|half| format!("{path}.{half}")));
                }
            }
        }
        if let Shortcut::Projection { .. } = stage.shortcut {
            projections.push(format!("{}.residual.conv", stage.path()));
        }
    }
    (main, projections)
}

fn attribute<'a>(node: &'a NodeProto, name: &str) -> Option<&'a onnx_ir::AttributeProto> {
    node.attribute.iter().find(|attribute| attribute.name == name)
}

fn is_one(attribute: &onnx_ir::AttributeProto) -> bool {
    attribute.f.to_bits() == 1.0_f32.to_bits()
}

fn ints<'a>(node: &'a NodeProto, name: &str) -> Option<&'a [i64]> {
    attribute(node, name).map(|attribute| attribute.ints.as_slice())
}

fn group(node: &NodeProto) -> usize {
    attribute(node, "group").map_or(1, |group| usize::try_from(group.i).unwrap_or(0))
}

/// Of an attribute with two equal numbers, the number.
fn square(node: &NodeProto, name: &str, default: usize) -> Result<usize, String> {
    match ints(node, name) {
        None | Some([]) => Ok(default),
        Some([one, two]) if one == two => {
            usize::try_from(*one).map_err(|_| format!("{}: {name} is {one}", title(node)))
        }
        Some(other) => Err(format!("{}: {name} is {other:?}", title(node))),
    }
}

fn kernel_side(node: &NodeProto, kernel: &Constant) -> usize {
    let stated = square(node, "kernel_shape", 0).unwrap_or(0);
    match kernel.dims[..] {
        [_, _, height, width] if height == width && (stated == 0 || stated == height) => height,
        _ => 0,
    }
}

/// `[top, left, bottom, right]`; `None` for `SAME_UPPER`.
fn padding(node: &NodeProto) -> Result<Option<[usize; 4]>, String> {
    let auto = attribute(node, "auto_pad").map_or(&b"NOTSET"[..], |auto| &auto.s[..]);
    match auto {
        b"NOTSET" | b"" => {}
        b"VALID" => return Ok(Some([0; 4])),
        b"SAME_UPPER" => {
            // A stride of 1 needs no size to tell.
            if square(node, "strides", 1)? == 1 && node.op_type == "Conv" {
                let dilation = square(node, "dilations", 1)?;
                return Ok(Some([dilation; 4]));
            }
            return Ok(None);
        }
        other => return Err(format!("{}: auto_pad {}", title(node), String::from_utf8_lossy(other))),
    }
    let pads = ints(node, "pads").unwrap_or(&[0; 4]);
    let pads: Option<Vec<usize>> = pads.iter().map(|&pad| usize::try_from(pad).ok()).collect();
    let pads: Option<[usize; 4]> = pads.and_then(|pads| pads.try_into().ok());
    pads.map(Some)
        .ok_or_else(|| format!("{}: its padding is not of four numbers", title(node)))
}

/// Whether a 1 x 1 convolution adds no border. `SAME` never does for such a kernel.
fn is_unpadded(node: &NodeProto) -> Result<bool, String> {
    let same = attribute(node, "auto_pad").is_some_and(|auto| auto.s.starts_with(b"SAME"));
    Ok(same || padding(node)? == Some([0; 4]))
}

/// Whether a Transpose only moves the channels, to the end or back.
fn moves_channels(node: &NodeProto) -> bool {
    matches!(
        ints(node, "perm"),
        Some([0, 3, 1, 2] | [0, 2, 3, 1] | [0, 1, 2, 3] | [0, 1])
    )
}

fn casts_to_float(node: &NodeProto) -> bool {
    // FLOAT, FLOAT16, DOUBLE and BFLOAT16 of `TensorProto.DataType`.
    attribute(node, "to").is_some_and(|to| matches!(to.i, 1 | 10 | 11 | 16))
}

/// A node for messages.
fn title(node: &NodeProto) -> String {
    let name = if node.name.is_empty() {
        node.output.first().map_or("?", String::as_str)
    } else {
        &node.name
    };
    format!("{} `{}`", node.op_type, name.escape_debug())
}
