//! Writes ONNX with burn-onnx.
//!
//! burn-onnx 0.22 exports few operations (`src/export/lower`). For an operation that it lacks, a stand-in that it can
//! export is traced; afterwards the ONNX operation replaces the stand-in in the exported model.

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;

use ::graph::{Activation, ChannelOrder, Graph, GraphError, Node, NodeId, Op, Padding, Pool, PoolKind, Shape};
use burn::tensor::{Device, Tensor};
use burn_onnx::export::OnnxExporter;
use burn_store::ModuleSnapshot;
use onnx_ir::{AttributeProto, GraphProto, Message, ModelProto, NodeProto, TensorProto};
use xception_model::{Architecture, ModelSpec, Network};

use crate::error::ConvertError;

/// Number of pictures in the traced batch; the model then takes any number.
const BATCH: usize = 3;

/// Writes a network. The input is `images`, `[batch, channels, height, width]`, with any batch size. The output is
/// `logits`; without a classifier it is `embedding` (the pooled vector) or `feature_map`.
pub(crate) fn write(model: &Network, spec: &ModelSpec, path: &Path, overwrite: bool) -> Result<(), ConvertError> {
    let failed = |problem: String| ConvertError::write(path, problem);
    let size = [spec.input.height, spec.input.width];
    let graph = model.graph();
    let shapes = graph.shapes(size).map_err(|error| failed(error.to_string()))?;
    // burn-onnx has no mean over channels, and ONNX's norm is over the last axes.
    for (id, node) in graph.iter() {
        let input = node.inputs.first().map(|input| shapes[input.0]);
        if let (Op::LayerNorm { .. }, Some(Shape::Map(_))) = (&node.op, input) {
            return Err(failed(format!(
                "layer {}: a norm over the channels of a map is not written as ONNX; write a record (.bpk), \
                 .safetensors or .keras",
                graph.layer_of(id).name
            )));
        }
        if let Op::GroupNorm { .. } | Op::Resize { .. } = &node.op {
            return Err(failed(format!(
                "layer {}: a {} is not written as ONNX; write a record (.bpk), .safetensors or .keras",
                graph.layer_of(id).name,
                node.op.name()
            )));
        }
    }
    let traced = Traced::new(graph, size).map_err(|error| failed(error.to_string()))?;
    let device = Device::flex();
    let mut network = Architecture::Graph(Arc::new(traced.graph))
        .init(&device)
        .map_err(|error| failed(error.to_string()))?;
    let applied = network.apply(model.collect(None, None, false), None, None, false);
    if let Some(error) = applied.errors.first() {
        return Err(failed(error.to_string()));
    }
    let pictures = Tensor::<4>::zeros([BATCH, graph.in_channels(), size[0], size[1]], &device);
    let exporter = OnnxExporter::new();
    let (output, result) = match (graph.roles.embedding, graph.roles.logits) {
        (_, Some(_)) => ("logits", exporter.export(&network, pictures, logits)),
        (Some(_), None) => ("embedding", exporter.export(&network, pictures, embedding)),
        (None, None) => ("feature_map", exporter.export(&network, pictures, feature_map)),
    };
    let onnx = result.map_err(|error| failed(format!("burn-onnx: {error}")))?;
    let mut proto = ModelProto::parse_from_bytes(onnx.as_bytes()).map_err(|error| failed(error.to_string()))?;
    drop(onnx);
    if let Some(graph) = proto.graph.as_mut() {
        replace(graph, traced.stand_ins).map_err(failed)?;
        open_batch(graph);
        name_boundaries(graph, "images", output);
    }
    let text = spec.to_toml().map_err(failed)?;
    // onnx-ir does not export the type of the entries.
    let entries = proto.metadata_props.len();
    proto.metadata_props.resize_with(entries + 1, Default::default);
    if let Some(entry) = proto.metadata_props.last_mut() {
        entry.key.push_str(ModelSpec::KEY);
        entry.value = text;
    }
    files::write_with(path, overwrite, |file| Ok(proto.write_to_writer(file)?))
        .map_err(|error| ConvertError::not_written(path, error))
}

/// An ONNX operation with one input and one output.
struct Operator {
    name: &'static str,
    floats: Vec<(&'static str, f32)>,
    ints: Vec<(&'static str, Vec<i64>)>,
    /// Constant inputs after the first one.
    constants: Vec<Constant>,
}

/// A constant input.
enum Constant {
    Number(f32),
    /// Ones, one for each channel.
    Ones(usize),
    Indices(Vec<i64>),
}

impl Operator {
    fn new(name: &'static str) -> Self {
        Self {
            name,
            floats: Vec::new(),
            ints: Vec::new(),
            constants: Vec::new(),
        }
    }

    fn with(mut self, attribute: &'static str, value: f64) -> Self {
        self.floats.push((attribute, value as f32));
        self
    }
}

/// A network prepared for tracing.
struct Traced {
    graph: Graph,
    /// For each exponential and each max pooling of the graph, in the order of computation, the operation that replaces
    /// it.
    stand_ins: Vec<Option<Operator>>,
}

impl Traced {
    /// The network of `graph` for pictures of this size.
    fn new(graph: &Graph, size: [usize; 2]) -> Result<Self, GraphError> {
        let graph = graph.up_to(graph.output());
        let shapes = graph.shapes(size)?;
        let mut traced = Self {
            graph: Graph {
                nodes: Vec::with_capacity(graph.nodes.len()),
                ..graph.clone()
            },
            stand_ins: Vec::new(),
        };
        let mut places: Vec<NodeId> = Vec::with_capacity(graph.nodes.len());
        for node in &graph.nodes {
            let read = node.inputs.first().map(|input| shapes[input.0]);
            let mut node = Node {
                inputs: node.inputs.iter().map(|input| places[input.0]).collect(),
                ..node.clone()
            };
            traced.stand_in(&mut node, read);
            places.push(traced.push(node));
        }
        let roles = &mut traced.graph.roles;
        roles.levels.clear();
        for node in [&mut roles.feature_map, &mut roles.embedding, &mut roles.logits] {
            *node = node.map(|node| places[node.0]);
        }
        Ok(traced)
    }

    fn push(&mut self, node: Node) -> NodeId {
        self.graph.nodes.push(node);
        NodeId(self.graph.nodes.len() - 1)
    }

    /// Replaces a node by a stand-in, if it needs one. The node reads a value of this shape.
    fn stand_in(&mut self, node: &mut Node, read: Option<Shape>) {
        let before = |op: Op, node: &Node| Node {
            op,
            inputs: node.inputs.clone(),
            layer: node.layer,
            path: String::new(),
            torch: String::new(),
        };
        match (&node.op, read) {
            (Op::Activation(activation), _) => {
                if let Some(operator) = operator(*activation) {
                    self.stand_ins.push(Some(operator));
                    node.op = STAND_IN;
                }
            }
            (Op::Pool(pool), _) if pool.kind == PoolKind::Max => self.stand_ins.push(None),
            // With unequal padding, Burn divides by the number of pixels itself.
            (Op::Pool(pool), Some(read)) => {
                let pads = pool.padding.pads(read.size(), pool.window, pool.stride, pool.dilation);
                let pads = pads.unwrap_or_default();
                let numbers = |sides: &[usize]| sides.iter().map(|side| *side as i64).collect();
                self.stand_ins.push(Some(Operator {
                    ints: vec![
                        ("kernel_shape", numbers(&pool.window)),
                        ("strides", numbers(&pool.stride)),
                        ("pads", numbers(&pads)),
                        ("count_include_pad", vec![i64::from(pool.count_padding)]),
                    ],
                    ..Operator::new("AveragePool")
                }));
                let maximum = Pool {
                    kind: PoolKind::Max,
                    padding: Padding::Valid,
                    ..pool.clone()
                };
                if pads != [0; 4] {
                    let padded = before(Op::Pad { pads }, node);
                    node.inputs = vec![self.push(padded)];
                }
                node.op = Op::Pool(maximum);
            }
            (Op::GlobalPool(pool), Some(Shape::Map([_, height, width]))) => {
                self.stand_ins.push(Some(Operator::new(match pool.kind {
                    PoolKind::Average => "GlobalAveragePool",
                    PoolKind::Max => "GlobalMaxPool",
                })));
                let whole = Op::Pool(Pool {
                    window: [height, width],
                    ..Pool::max(1, 1, Padding::Valid)
                });
                if pool.keep_dims {
                    node.op = whole;
                } else {
                    let pooled = before(whole, node);
                    node.inputs = vec![self.push(pooled)];
                    node.op = FLATTEN;
                }
            }
            // burn-onnx would cut the batch to that of the tracing.
            (
                Op::Crop {
                    crops: [top, left, bottom, right],
                },
                Some(Shape::Map(_)),
            ) => {
                self.stand_ins.push(Some(slice([*top, *left, *bottom, *right])));
                node.op = Op::Pool(Pool {
                    window: [top + bottom + 1, left + right + 1],
                    ..Pool::max(1, 1, Padding::Valid)
                });
            }
            // An order of channels leaves the shape as it is.
            (Op::Take { channels }, Some(read)) if channels.len() == read.channels() => {
                self.stand_ins.push(Some(Operator {
                    ints: vec![("axis", vec![1])],
                    constants: vec![Constant::Indices(
                        channels.iter().map(|channel| *channel as i64).collect(),
                    )],
                    ..Operator::new("Gather")
                }));
                node.op = STAND_IN;
            }
            (Op::LayerNorm { epsilon }, Some(Shape::Vector(channels))) => {
                self.stand_ins.push(Some(Operator {
                    ints: vec![("axis", vec![-1])],
                    constants: vec![Constant::Ones(channels)],
                    ..Operator::new("LayerNormalization").with("epsilon", *epsilon)
                }));
                node.op = STAND_IN;
            }
            (Op::Flatten { order }, Some(Shape::Map(_))) if *order == ChannelOrder::ChannelsLast => {
                self.stand_ins.push(Some(Operator {
                    ints: vec![("perm", vec![0, 2, 3, 1])],
                    ..Operator::new("Transpose")
                }));
                let turned = before(STAND_IN, node);
                node.inputs = vec![self.push(turned)];
                node.op = FLATTEN;
            }
            _ => {}
        }
    }
}

/// The operator that cuts off rows and columns: above, left, below, right.
fn slice([top, left, bottom, right]: [usize; 4]) -> Operator {
    // Counted from the end, as the size of the picture is open.
    let end = |cropped: usize| if cropped == 0 { i64::MAX } else { -(cropped as i64) };
    Operator {
        constants: vec![
            Constant::Indices(vec![top as i64, left as i64]),
            Constant::Indices(vec![end(bottom), end(right)]),
            Constant::Indices(vec![2, 3]),
        ],
        ..Operator::new("Slice")
    }
}

/// A function that burn-onnx exports as one node and that no network uses.
const STAND_IN: Op = Op::Activation(Activation::Exponential);
/// The only order that burn-onnx exports.
const FLATTEN: Op = Op::Flatten {
    order: ChannelOrder::ChannelsFirst,
};

/// ONNX's operation for an activation; `None` for one that burn-onnx exports.
fn operator(activation: Activation) -> Option<Operator> {
    let new = Operator::new;
    let clip = |min: f64, max: f64| Operator {
        constants: vec![Constant::Number(min as f32), Constant::Number(max as f32)],
        ..new("Clip")
    };
    let over_channels = |name: &'static str| Operator {
        ints: vec![("axis", vec![1])],
        ..new(name)
    };
    Some(match activation {
        Activation::Relu | Activation::Sigmoid | Activation::Swish | Activation::Tanh => return None,
        Activation::Relu6 => clip(0.0, 6.0),
        Activation::Clip { min, max } => clip(min, max),
        Activation::LeakyRelu { slope } => new("LeakyRelu").with("alpha", slope),
        Activation::Elu { alpha } => new("Elu").with("alpha", alpha),
        Activation::Selu => new("Selu"),
        Activation::HardSwish => new("HardSwish"),
        Activation::HardSigmoid { slope } => new("HardSigmoid").with("alpha", slope).with("beta", 0.5),
        // ONNX has this operation from opset 20 on; the model uses opset 18.
        Activation::Gelu { approximate: false } => new("Gelu"),
        Activation::Gelu { approximate: true } => new("Gelu tanh"),
        Activation::Softplus => new("Softplus"),
        Activation::Softsign => new("Softsign"),
        Activation::Mish => new("Mish"),
        Activation::Exponential => new("Exp"),
        Activation::Power { exponent } => Operator {
            constants: vec![Constant::Number(exponent as f32)],
            ..new("Pow")
        },
        Activation::Softmax => over_channels("Softmax"),
        Activation::LogSoftmax => over_channels("LogSoftmax"),
    })
}

/// Replaces the stand-ins by ONNX's own operations.
fn replace(graph: &mut GraphProto, stand_ins: Vec<Option<Operator>>) -> Result<(), String> {
    let mut stand_ins = stand_ins.into_iter();
    let mut nodes = Vec::with_capacity(graph.node.len());
    for node in std::mem::take(&mut graph.node) {
        let operator = match node.op_type.as_str() {
            "Exp" | "MaxPool" => stand_ins.next().ok_or("burn-onnx: an operation too many")?,
            _ => None,
        };
        match operator {
            None => nodes.push(node),
            Some(Operator { name: "Gelu", .. }) => gelu(&node, false, graph, &mut nodes),
            Some(Operator { name: "Gelu tanh", .. }) => gelu(&node, true, graph, &mut nodes),
            Some(operator) => {
                let mut node = operator.node(node, graph);
                // The operation has its own padding, so the stand-in's padding is removed.
                let pad = nodes
                    .last()
                    .filter(|last: &&NodeProto| last.op_type == "Pad" && last.output == node.input);
                if let (Some(pad), "AveragePool") = (pad, node.op_type.as_str()) {
                    node.input = vec![pad.input[0].clone()];
                    nodes.pop();
                }
                nodes.push(node);
            }
        }
    }
    graph.node = nodes;
    match stand_ins.next() {
        Some(_) => Err("burn-onnx: an operation was not exported".to_owned()),
        None => Ok(()),
    }
}

impl Operator {
    /// The operation, connected in the place of a node.
    fn node(self, mut node: NodeProto, graph: &mut GraphProto) -> NodeProto {
        node.op_type.clear();
        node.op_type.push_str(self.name);
        node.attribute.clear();
        for (name, value) in self.floats {
            let mut attribute = attribute(name, 1);
            attribute.f = value;
            node.attribute.push(attribute);
        }
        for (name, values) in self.ints {
            let is_one = ["axis", "count_include_pad"].contains(&name);
            let mut attribute = attribute(name, if is_one { 2 } else { 7 });
            if is_one {
                attribute.i = values[0];
            } else {
                attribute.ints = values;
            }
            node.attribute.push(attribute);
        }
        for value in self.constants {
            node.input.push(constant(graph, &value));
        }
        node
    }
}

/// An attribute of a type of `AttributeProto.AttributeType`.
fn attribute(name: &str, kind: i32) -> AttributeProto {
    let mut attribute = AttributeProto::new();
    attribute.name.push_str(name);
    attribute.type_ = protobuf::EnumOrUnknown::from_i32(kind);
    attribute
}

/// Adds a constant and returns its name.
fn constant(graph: &mut GraphProto, value: &Constant) -> String {
    let name = match value {
        Constant::Number(number) => format!("constant_{number}"),
        Constant::Ones(channels) => format!("ones_{channels}"),
        Constant::Indices(indices) => {
            let indices: Vec<String> = indices.iter().map(i64::to_string).collect();
            format!("indices_{}", indices.join("_"))
        }
    };
    if graph.initializer.iter().any(|tensor| tensor.name == name) {
        return name;
    }
    let mut tensor = TensorProto::new();
    tensor.name.clone_from(&name);
    // TensorProto.DataType
    let (float, int64) = (1, 7);
    match value {
        Constant::Number(number) => {
            tensor.data_type = float;
            tensor.float_data = vec![*number];
        }
        Constant::Ones(channels) => {
            tensor.data_type = float;
            tensor.dims = vec![*channels as i64];
            tensor.float_data = vec![1.0; *channels];
        }
        Constant::Indices(indices) => {
            tensor.data_type = int64;
            tensor.dims = vec![indices.len() as i64];
            tensor.int64_data.clone_from(indices);
        }
    }
    graph.initializer.push(tensor);
    name
}

/// `0.5 x (1 + erf(x / sqrt 2))`, or its approximation by a hyperbolic tangent.
fn gelu(stand_in: &NodeProto, approximate: bool, graph: &mut GraphProto, nodes: &mut Vec<NodeProto>) {
    let (Some(x), Some(output)) = (stand_in.input.first(), stand_in.output.first()) else {
        return;
    };
    let mut step = |op: &str, inputs: [&str; 2]| {
        let mut node = NodeProto::new();
        let name = format!("{}_{}", stand_in.name, nodes.len());
        node.op_type.push_str(op);
        node.input = inputs
            .iter()
            .filter(|input| !input.is_empty())
            .map(ToString::to_string)
            .collect();
        node.output = vec![name.clone()];
        node.name.clone_from(&name);
        nodes.push(node);
        name
    };
    let mut number = |value: f32| constant(graph, &Constant::Number(value));
    let [one, half] = [number(1.0), number(0.5)];
    let curve = if approximate {
        let square = step("Mul", [x, x]);
        let cube = step("Mul", [&square, x]);
        let small = step("Mul", [&cube, &number(0.044_715)]);
        let sum = step("Add", [x, &small]);
        // sqrt(2 / pi)
        let inner = step("Mul", [&sum, &number(0.797_884_6)]);
        step("Tanh", [&inner, ""])
    } else {
        let inner = step("Mul", [x, &number(std::f32::consts::FRAC_1_SQRT_2)]);
        step("Erf", [&inner, ""])
    };
    let above = step("Add", [&curve, &one]);
    let product = step("Mul", [x, &above]);
    step("Mul", [&product, &half]);
    if let Some(last) = nodes.last_mut() {
        last.output = vec![output.clone()];
    }
}

/// Makes the batch of the graph open. burn-onnx's own way fails on reshapes and on padding with a stride.
fn open_batch(graph: &mut GraphProto) {
    for value in graph.input.iter_mut().chain(&mut graph.output) {
        let value = value.type_.as_mut().map(onnx_ir::TypeProto::mut_tensor_type);
        let shape = value.and_then(|value| value.shape.as_mut());
        if let Some(first) = shape.and_then(|shape| shape.dim.first_mut()) {
            first.set_dim_param("batch".to_owned());
        }
    }
    let constants: HashSet<String> = graph.initializer.iter().map(|tensor| tensor.name.clone()).collect();
    let is_computed = |node: &&NodeProto| node.op_type == "Reshape" && !constants.contains(&node.input[0]);
    let shapes: HashSet<String> = graph
        .node
        .iter()
        .filter(is_computed)
        .map(|node| node.input[1].clone())
        .collect();
    for shape in graph
        .initializer
        .iter_mut()
        .filter(|tensor| shapes.contains(&tensor.name))
    {
        let mut numbers = shape.raw_data.to_vec();
        if let Some(first) = numbers.first_chunk_mut()
            && i64::from_le_bytes(*first) == BATCH as i64
        {
            // 0 stands for the length of that axis of the input.
            *first = 0_i64.to_le_bytes();
            shape.raw_data = numbers.into();
        }
    }
}

/// Gives the graph's input and output readable names; burn-onnx numbers them.
fn name_boundaries(graph: &mut GraphProto, input: &str, output: &str) {
    let mut names = Vec::new();
    for (values, name) in [(&mut graph.input, input), (&mut graph.output, output)] {
        if let [value] = values.as_mut_slice() {
            names.push((std::mem::replace(&mut value.name, name.to_owned()), name));
        }
    }
    let used = graph
        .node
        .iter_mut()
        .flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    for value in used {
        if let Some((_, name)) = names.iter().find(|(old, _)| old == value) {
            value.clear();
            value.push_str(name);
        }
    }
}

/// # Panics
///
/// If the pictures are smaller than the network takes. Their size comes from the description, which was checked.
fn logits(model: &Network, images: Tensor<4>) -> Tensor<2> {
    model.forward(images).expect(FITS)
}

/// # Panics
///
/// As [`logits`].
fn embedding(model: &Network, images: Tensor<4>) -> Tensor<2> {
    model.embed(images).expect(FITS)
}

/// # Panics
///
/// As [`logits`].
fn feature_map(model: &Network, images: Tensor<4>) -> Tensor<4> {
    model.feature_map(images).expect(FITS)
}

const FITS: &str = "pictures of the network's own size";
