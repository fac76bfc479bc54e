//! Reads an ONNX graph as a network's graph, in one walk over its nodes that classifies each value.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use graph::{Activation, Graph, Layer, LayerId, MAX_NODES, Naming, Node, NodeId, Op, Roles, ScaleShift, Shape};
use onnx_ir::{ModelProto, NodeProto, ValueInfoProto};
use xception_model::zoo::FileGraph;

use super::curve::Curve;
use super::layout::{Axis, CHANNELS_FIRST, CHANNELS_LAST, PIXEL, Size, permuted};
use super::node::{MAX_NAME, groups, ints, shown, title};
use super::tensor::{self, Constant, Place};
use super::weights::{Network, Weights};

/// The kind of a value of the ONNX graph.
#[derive(Clone, Debug)]
pub(super) enum Value {
    /// Numbers from the file.
    Constant(Constant),
    /// One number repeated.
    Filled(f64),
    /// A shape, or a part of one.
    Sizes(Vec<Size>),
    /// Sizes in rows of two: PyTorch's exporter reverses the padding of `F.pad` so.
    Pairs(Vec<[Size; 2]>),
    Data(Data),
    /// A map with borders that never win a maximum: rows above, columns left, rows below, columns right.
    Bordered([usize; 4], Data),
    /// Several values beside each other along a new axis at this place.
    Stacked(usize, Vec<Data>),
    /// A map pooled along one of its sides.
    Halved(graph::PoolKind, Data),
    /// A map whose channels lie in this many groups, each as one row of values: `x.reshape(batch, groups, -1)`.
    Grouped(usize, Data),
    /// The length of a value's vectors, and that length with a lower bound.
    Length(Data),
    /// A step in the computation of a value's softmax.
    Softmax(SoftmaxStep, Data),
    /// The reason why the value cannot be computed.
    Unknown(Rc<str>),
}

/// The steps of `exp(x - max(x)) / sum(exp(x - max(x)))`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum SoftmaxStep {
    Max,
    Difference,
    Exponential,
    Sum,
}

/// A value that depends on the picture.
#[derive(Clone, Debug)]
pub(super) struct Data {
    pub(super) node: NodeId,
    pub(super) axes: Vec<Axis>,
    /// The function applied to the node's output, and the ONNX node that does its last step.
    pub(super) curve: Option<(Rc<Curve>, usize)>,
    /// Whether no other node reads the value.
    pub(super) is_private: bool,
}

impl Data {
    /// The value after a node.
    pub(super) fn at(self, node: NodeId) -> Value {
        let (curve, is_private) = (None, true);
        Value::Data(Self {
            node,
            curve,
            is_private,
            ..self
        })
    }

    /// The value after a function of the node's output, whose last step is the ONNX node `maker`.
    pub(super) fn along(&self, curve: Curve, maker: usize) -> Value {
        let (curve, is_private) = (Some((Rc::new(curve), maker)), true);
        Value::Data(Self {
            curve,
            is_private,
            ..self.clone()
        })
    }

    /// The function of the node's output that gives this value.
    pub(super) fn function(&self) -> Curve {
        let own = self.curve.as_ref();
        own.map_or_else(Curve::identity, |(curve, _)| Curve::clone(curve))
    }
}

/// Convolutions of whole numbers.
const QUANTIZED: [&str; 2] = ["ConvInteger", "QLinearConv"];

/// The state of the walk.
pub(super) struct Reader<'a> {
    pub(super) model: &'a Arc<ModelProto>,
    pub(super) path: &'a Path,
    nodes: &'a [NodeProto],
    /// The node that is being read.
    pub(super) at: usize,
    /// Number of readers of each value.
    readers: HashMap<&'a str, usize>,
    values: HashMap<&'a str, Value>,
    pub(super) graph: Graph,
    /// The shape of each node of the graph, if known.
    shapes: Vec<Option<Shape>>,
    /// The activations of each node.
    activations: HashMap<NodeId, Vec<(Activation, NodeId)>>,
    pub(super) weights: Vec<Option<Weights>>,
    layers: HashMap<usize, LayerId>,
    names: BTreeSet<String>,
    /// All paths of modules and all their prefixes before a dot.
    paths: BTreeSet<String>,
    parents: BTreeSet<String>,
    /// Remaining number of constants that the graph itself may hold.
    pub(super) budget: usize,
    pub(super) batch: Option<usize>,
    /// Whether a convolution or pool follows after something unknown.
    goes_on: bool,
}

/// The input.
struct Picture<'a> {
    name: &'a str,
    channels: usize,
    axes: Vec<Axis>,
    batch: Option<usize>,
    size: Option<[usize; 2]>,
}

/// Reads a model; without `top`, only up to the last feature map or to the vector pooled from it.
pub(super) fn read(model: &Arc<ModelProto>, path: &Path, top: bool) -> Result<Network, String> {
    let graph = model.graph.as_ref().ok_or("it has no graph")?;
    let count = graph.node.len();
    if count > MAX_NODES {
        return Err(format!(
            "its graph has {count} nodes, and no network has more than {MAX_NODES}"
        ));
    }
    let mut reader = Reader {
        model,
        path,
        nodes: &graph.node,
        at: 0,
        readers: HashMap::new(),
        values: HashMap::new(),
        graph: Graph {
            title: "ONNX".into(),
            min_size: 1,
            nodes: vec![],
            layers: vec![],
            roles: Roles::default(),
        },
        shapes: Vec::new(),
        activations: HashMap::new(),
        weights: Vec::new(),
        layers: HashMap::new(),
        names: BTreeSet::new(),
        paths: BTreeSet::new(),
        parents: BTreeSet::new(),
        budget: 1 << 22,
        batch: None,
        goes_on: false,
    };
    for (index, tensor) in graph.initializer.iter().enumerate() {
        let constant = tensor::constant(tensor, &tensor.name, Place::Initializer(index));
        let value = constant.map_or_else(|problem| Value::Unknown(problem.into()), Value::Constant);
        reader.values.insert(&tensor.name, value);
    }
    let asks = |node: &NodeProto, at: usize| matches!((&*node.op_type, at), ("Shape" | "Size", _) | ("CastLike", 1));
    for node in &graph.node {
        for (_, input) in node.input.iter().enumerate().filter(|(at, _)| !asks(node, *at)) {
            *reader.readers.entry(input).or_default() += 1;
        }
    }
    for output in &graph.output {
        *reader.readers.entry(&output.name).or_default() += 1;
    }
    let picture = reader.picture(&graph.input)?;
    reader.batch = picture.batch;
    let layer = reader.layer("input");
    reader.graph.layers.push(layer);
    reader.push(
        Op::Input {
            channels: picture.channels,
        },
        &[],
        picture.size,
    )?;
    let is_private = reader.readers.get(picture.name) == Some(&1);
    let data = Data {
        node: NodeId(0),
        axes: picture.axes,
        curve: None,
        is_private,
    };
    reader.values.insert(picture.name, Value::Data(data));
    for at in 0..graph.node.len() {
        reader.node(at)?;
    }
    let output = match (&graph.output[..], top) {
        ([output], true) => reader.output(&output.name)?,
        ([output, ..], false) => {
            let output = reader.data(&output.name).map(|data| data.node);
            reader.body(output.ok()).ok_or("it has no feature map")?
        }
        (outputs, _) => {
            let names: Vec<_> = outputs.iter().take(4).map(|output| shown(&output.name)).collect();
            let [input, first] = [picture.name, names.first().map_or("", String::as_str)];
            return Err(format!(
                "it has {} outputs, and a classifier has one: {}; onnx.utils.extract_model(\"model.onnx\", \
                 \"one.onnx\", [\"{}\"], [\"{first}\"]) keeps the first, and with --no-top the backbone can be used",
                outputs.len(),
                names.join(", "),
                shown(input)
            ));
        }
    };
    reader.finish(output, picture.size)
}

impl<'a> Reader<'a> {
    /// The input pictures, with the axes that the first convolution implies.
    fn picture(&self, inputs: &'a [ValueInfoProto]) -> Result<Picture<'a>, String> {
        let is_given = |input: &&ValueInfoProto| !self.values.contains_key(&*input.name);
        let mut inputs: Vec<&ValueInfoProto> = inputs.iter().filter(is_given).collect();
        // tf2onnx may leave inputs that nothing reads.
        if inputs.len() > 1 {
            inputs.retain(|input| self.readers.contains_key(&*input.name));
        }
        let [input] = inputs[..] else {
            return Err(format!(
                "it has {} inputs, and a classifier has one, the pictures",
                inputs.len()
            ));
        };
        let tensor = input
            .type_
            .as_ref()
            .filter(|found| found.has_tensor_type())
            .map(onnx_ir::TypeProto::tensor_type);
        // An open side has the value 0. A model may have no shape for its input.
        let dims = tensor.and_then(|tensor| tensor.shape.as_ref()).map(|shape| &shape.dim);
        let length = |at: usize| {
            dims.and_then(|dims| usize::try_from(dims.get(at)?.dim_value()).ok())
                .filter(|side| *side > 0)
        };
        let sides = [length(0), length(1), length(2), length(3)];
        if dims.is_some_and(|dims| dims.len() != 4) {
            return Err(format!(
                "its input `{}` does not have the four axes of pictures",
                shown(&input.name)
            ));
        }
        let (first, inner) = self
            .first_convolution(&input.name)
            .ok_or_else(|| self.without_convolution())?;
        // tf2onnx moves a single channel with a Reshape.
        let fits = |place: &usize| inner.is_none() || sides[*place].is_none() || sides[*place] == inner;
        let found = [first, 3, 1].into_iter().find(fits);
        // Pictures have few channels, and sides that are longer.
        let is_few = |place: &usize| sides[*place].is_some_and(|count| count <= 4);
        let place = found
            .or_else(|| [first, 3, 1].into_iter().find(is_few))
            .unwrap_or(first);
        // A network that chooses channels first has a convolution of fewer.
        let channels = match found {
            Some(_) => inner.or(sides[place]),
            None => sides[place].or(inner),
        };
        let channels = channels.ok_or("the number of its channels is not known")?;
        let axes = if place == 3 { CHANNELS_LAST } else { CHANNELS_FIRST };
        let [height, width] = if place == 3 {
            [sides[1], sides[2]]
        } else {
            [sides[2], sides[3]]
        };
        let size = height.zip(width).map(|(height, width)| [height, width]);
        Ok(Picture {
            name: &input.name,
            channels,
            axes: axes.to_vec(),
            batch: sides[0],
            size,
        })
    }

    /// The axis of the input that the first convolution reads as channels, and the number of channels that it reads.
    fn first_convolution(&self, input: &str) -> Option<(usize, Option<usize>)> {
        let mut orders = HashMap::from([(input, vec![0, 1, 2, 3])]);
        for node in self.nodes {
            let Some(order) = node.input.iter().find_map(|input| orders.get(&**input)) else {
                continue;
            };
            let order = match (&*node.op_type, ints(node, "perm")) {
                ("Conv", _) => {
                    let inner = match node.input.get(1).and_then(|kernel| self.values.get(&**kernel)) {
                        Some(Value::Constant(kernel)) => kernel.dims.get(1)?.checked_mul(groups(node)),
                        _ => None,
                    };
                    return Some((order[1], inner));
                }
                ("Transpose", Some(perm)) => permuted(order, perm)?,
                _ => order.clone(),
            };
            orders.extend(node.output.iter().map(|output| (&**output, order.clone())));
        }
        None
    }

    /// Why a graph without a convolution of its input is refused.
    fn without_convolution(&self) -> String {
        let quantized = self.nodes.iter().find(|node| QUANTIZED.contains(&&*node.op_type));
        match quantized {
            Some(node) => format!(
                "its convolutions are quantized ({}), which rounds pictures on the way; export the model as it was \
                 before it was quantized",
                node.op_type
            ),
            None => "no convolution reads its input".to_owned(),
        }
    }

    /// Reads a node. A node that cannot be read is an error only if the output depends on it.
    fn node(&mut self, at: usize) -> Result<(), String> {
        let node = &self.nodes[at];
        self.at = at;
        let unknown = node.input.iter().find_map(|input| match self.values.get(&**input) {
            Some(Value::Unknown(problem)) => Some(Rc::clone(problem)),
            _ => None,
        });
        let values = match unknown {
            Some(problem) => {
                self.goes_on |= matches!(
                    &*node.op_type,
                    "Conv" | "BatchNormalization" | "MaxPool" | "AveragePool"
                );
                vec![Value::Unknown(problem)]
            }
            None => self.step(node).unwrap_or_else(|problem| {
                // With `--no-top` the network ends here.
                for input in &node.input {
                    let _ = self.data(input);
                }
                vec![Value::Unknown(format!("{}: {problem}", title(node)).into())]
            }),
        };
        for (index, output) in node.output.iter().enumerate().filter(|(_, output)| !output.is_empty()) {
            let value = values.get(index).cloned();
            let mut value = value.unwrap_or_else(|| {
                Value::Unknown(
                    format!(
                        "{}: nothing in a network corresponds to its output {index}",
                        title(node)
                    )
                    .into(),
                )
            });
            if let Value::Data(data) = &mut value {
                data.is_private &= self.readers.get(&**output) == Some(&1);
            }
            if self.values.insert(output, value).is_some() {
                return Err(format!(
                    "{}: another node outputs `{}`, too",
                    title(node),
                    shown(output)
                ));
            }
        }
        Ok(())
    }

    pub(super) fn value(&self, node: &NodeProto, at: usize) -> Result<Value, String> {
        let name = node
            .input
            .get(at)
            .filter(|name| !name.is_empty())
            .ok_or_else(|| format!("it has no input {at}"))?;
        let value = self.values.get(&**name);
        value
            .cloned()
            .ok_or_else(|| format!("its input `{}` is output by no node before it", shown(name)))
    }

    /// An input as a node of the graph, which is added if necessary.
    pub(super) fn input(&mut self, node: &'a NodeProto, at: usize) -> Result<Data, String> {
        self.value(node, at)?;
        self.data(&node.input[at])
    }

    /// A value as a node of the graph. A curve becomes one operation if one fits, otherwise the steps it was made of.
    fn data(&mut self, name: &'a str) -> Result<Data, String> {
        let reader = self.at;
        let mut left = vec![name];
        while let Some(&name) = left.last() {
            let (data, curve, maker) = match self.values.get(name) {
                Some(Value::Data(Data { curve: None, .. })) => {
                    left.pop();
                    continue;
                }
                Some(Value::Data(
                    data @ Data {
                        curve: Some((curve, maker)),
                        ..
                    },
                )) => (data.clone(), Rc::clone(curve), *maker),
                Some(Value::Unknown(problem)) => return Err(problem.to_string()),
                _ => return Err(format!("`{}` is no feature map and no vector", shown(name))),
            };
            self.at = maker;
            let computed = match curve.operation() {
                Some(op) => Some(self.add(op, &[data.node])?),
                None if curve.is_square() => Some(self.add(Op::Multiply, &[data.node, data.node])?),
                None => match curve.floor() {
                    Some(floor) => Some(self.bounded(data.node, floor)?),
                    None => None,
                },
            };
            if let Some(node) = computed {
                self.values.insert(
                    name,
                    Value::Data(Data {
                        node,
                        curve: None,
                        ..data
                    }),
                );
                continue;
            }
            let node = &self.nodes[maker];
            let is_open =
                |input: &&str| matches!(self.values.get(*input), Some(Value::Data(Data { curve: Some(_), .. })));
            let open: Vec<&str> = node.input.iter().map(String::as_str).filter(is_open).collect();
            if !open.is_empty() {
                left.extend(open);
                continue;
            }
            let mut value = self.only_output(node)?;
            match &mut value {
                Value::Data(Data {
                    curve: Some((curve, _)),
                    ..
                }) if curve.operation().is_none() => {
                    return Err(format!("{} computes something that no network here does", title(node)));
                }
                Value::Data(step) => step.is_private &= data.is_private,
                _ => {}
            }
            self.values.insert(name, value);
        }
        self.at = reader;
        match self.values.get(name) {
            Some(Value::Data(data)) => Ok(data.clone()),
            _ => Err(format!("`{}` is no feature map and no vector", shown(name))),
        }
    }

    /// `max(x, floor) = max(x - floor, 0) + floor`.
    fn bounded(&mut self, node: NodeId, floor: f64) -> Result<NodeId, String> {
        let id = self.add(Op::ScaleShift(ScaleShift::new(1.0, -floor)), &[node])?;
        let id = self.add(Op::Activation(Activation::Relu), &[id])?;
        self.add(Op::ScaleShift(ScaleShift::new(1.0, floor)), &[id])
    }

    /// Adds an operation to the layer of the node that is being read. The same activation of the same value is one
    /// node, however often a file has it.
    pub(super) fn add(&mut self, op: Op, inputs: &[NodeId]) -> Result<NodeId, String> {
        let (&[input], Op::Activation(activation)) = (inputs, &op) else {
            return self.push(op, inputs, None);
        };
        let activation = *activation;
        let mut known = self.activations.get(&input).into_iter().flatten();
        if let Some((_, node)) = known.find(|(known, _)| *known == activation) {
            return Ok(*node);
        }
        let node = self.push(op, inputs, None)?;
        self.activations.entry(input).or_default().push((activation, node));
        Ok(node)
    }

    fn push(&mut self, op: Op, inputs: &[NodeId], size: Option<[usize; 2]>) -> Result<NodeId, String> {
        op.check()?;
        let known: Option<Vec<Shape>> = inputs.iter().map(|input| self.shapes[input.0]).collect();
        let shape = match (&op, known) {
            (Op::Input { channels }, _) => size.map(|[height, width]| Shape::Map([*channels, height, width])),
            (_, Some(shapes)) => Some(op.output_shape(&shapes, [1; 2])?),
            (Op::GlobalPool(_), None) => self.graph.features(inputs[0]).map(Shape::Vector),
            (Op::Dense(dense), None) => Some(Shape::Vector(dense.features[1])),
            _ => None,
        };
        if self.graph.nodes.len() >= MAX_NODES {
            return Err(format!("it makes more than {MAX_NODES} operations"));
        }
        let layer = match self.layers.get(&self.at) {
            _ if inputs.is_empty() => LayerId(0),
            Some(layer) => *layer,
            None => {
                let node = &self.nodes[self.at];
                let name = if node.name.is_empty() {
                    node.output.first()
                } else {
                    Some(&node.name)
                };
                let layer = self.layer(name.map_or("", String::as_str));
                self.graph.layers.push(layer);
                let layer = LayerId(self.graph.layers.len() - 1);
                self.layers.insert(self.at, layer);
                layer
            }
        };
        let mut path = String::new();
        if !op.parameters().is_empty() {
            path = self.path(&self.graph.layers[layer.0].name.clone());
            self.graph.layers[layer.0].path.clone_from(&path);
        }
        self.graph.nodes.push(Node {
            op,
            inputs: inputs.to_vec(),
            layer,
            path,
            torch: String::new(),
        });
        self.shapes.push(shape);
        self.weights.push(None);
        Ok(NodeId(self.graph.nodes.len() - 1))
    }

    /// A layer with a new name.
    fn layer(&mut self, name: &str) -> Layer {
        let clean: String = name.chars().filter(|c| !c.is_control()).take(MAX_NAME).collect();
        let clean = clean.trim_matches('/');
        let mut name = if clean.is_empty() {
            "node".to_owned()
        } else {
            clean.to_owned()
        };
        if self.names.contains(&name) {
            name = format!("{name}#{}", self.names.len());
        }
        self.names.insert(name.clone());
        Layer {
            name,
            naming: Naming::Given,
            block: "body".into(),
            path: String::new(),
        }
    }

    /// A new path that lies within no other.
    fn path(&mut self, layer: &str) -> String {
        let part = |part: &str| part.replace(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != '-', "_");
        let parts: Vec<String> = layer
            .split(['/', '.'])
            .filter(|part| !part.is_empty())
            .map(part)
            .collect();
        let mut path = parts.join(".");
        let lies_within = |path: &str| {
            path.match_indices('.')
                .any(|(dot, _)| self.paths.contains(&path[..dot]))
        };
        if path.is_empty() || self.paths.contains(&path) || self.parents.contains(&path) || lies_within(&path) {
            path = format!("{}_{}", parts.join("_"), self.graph.nodes.len());
        }
        self.parents
            .extend(path.match_indices('.').map(|(dot, _)| path[..dot].to_owned()));
        self.paths.insert(path.clone());
        path
    }

    /// Whether a node outputs a vector.
    pub(super) fn is_vector(&self, mut id: NodeId) -> bool {
        loop {
            let node = self.graph.node(id);
            match (self.shapes[id.0], &node.op) {
                (Some(shape), _) => return matches!(shape, Shape::Vector(_)),
                (None, Op::Flatten { .. } | Op::Dense(_) | Op::GlobalPool(_)) => return true,
                (None, Op::Input { .. } | Op::Conv(_) | Op::Pool(_) | Op::Pad { .. } | Op::Crop { .. } | Op::ToMap) => {
                    return false;
                }
                _ => id = node.inputs[0],
            }
        }
    }

    /// The input as a map with the axes of a convolution.
    pub(super) fn map(&mut self, node: &'a NodeProto, at: usize) -> Result<NodeId, String> {
        let data = self.input(node, at)?;
        if data.axes == CHANNELS_FIRST || data.axes == PIXEL {
            return self.as_map(data.node);
        }
        Err(format!(
            "it reads a value with the axes {:?}, not {CHANNELS_FIRST:?}",
            data.axes
        ))
    }

    pub(super) fn as_map(&mut self, node: NodeId) -> Result<NodeId, String> {
        if self.is_vector(node) {
            self.add(Op::ToMap, &[node])
        } else {
            Ok(node)
        }
    }

    /// The node as one that outputs a vector.
    pub(super) fn as_vector(&mut self, node: NodeId, order: graph::ChannelOrder) -> Result<NodeId, String> {
        if self.is_vector(node) {
            Ok(node)
        } else {
            self.add(Op::Flatten { order }, &[node])
        }
    }

    /// Several values as nodes that are all maps or all vectors.
    pub(super) fn alike(&mut self, values: &[Data]) -> Result<Vec<NodeId>, String> {
        let are_vectors = values.iter().all(|data| self.is_vector(data.node));
        values
            .iter()
            .map(|data| {
                if are_vectors {
                    Ok(data.node)
                } else {
                    self.as_map(data.node)
                }
            })
            .collect()
    }

    /// The value of a map that a convolution or pool has computed.
    pub(super) fn mapped(&self, node: NodeId) -> Value {
        let axes = match self.shapes[node.0] {
            Some(Shape::Map([_, 1, 1])) => PIXEL,
            _ => CHANNELS_FIRST,
        };
        Value::Data(Data {
            node,
            axes: axes.to_vec(),
            curve: None,
            is_private: true,
        })
    }

    /// Channels or features of a node, if known.
    pub(super) fn channels(&self, node: NodeId) -> Option<usize> {
        let features = || self.graph.features(node).filter(|_| !self.is_vector(node));
        self.shapes[node.0].map(Shape::channels).or_else(features)
    }

    /// The length of each axis of a value.
    pub(super) fn lengths(&self, data: &Data) -> Vec<Option<usize>> {
        let size = match self.shapes[data.node.0] {
            Some(Shape::Map([_, height, width])) => [Some(height), Some(width)],
            _ => [None; 2],
        };
        let channels = self.channels(data.node);
        let length = |axis: &Axis| match axis {
            Axis::Batch => self.batch,
            Axis::Channels => channels,
            Axis::Height => size[0],
            Axis::Width => size[1],
            Axis::One => Some(1),
        };
        data.axes.iter().map(length).collect()
    }

    /// The output's node, or the reason why there is none and what `--no-top` would read.
    fn output(&mut self, name: &'a str) -> Result<NodeId, String> {
        if !self.values.contains_key(name) {
            return Err(format!("no node outputs its output `{}`", shown(name)));
        }
        self.at = self.nodes.len().saturating_sub(1);
        self.data(name)
            .map(|data| data.node)
            .map_err(|problem| match self.body(None) {
                Some(body) if !self.goes_on => {
                    let layer = &self.graph.layer_of(body).name;
                    format!("{problem}; --no-top reads the network up to `{}`", shown(layer))
                }
                _ => format!("{problem}; --no-top would not help, because the backbone continues after it"),
            })
    }

    /// The last feature map that an output depends on, or the vector pooled from it.
    fn body(&self, output: Option<NodeId>) -> Option<NodeId> {
        let mut needed = vec![output.is_none(); self.graph.nodes.len()];
        for (id, node) in self.graph.iter().rev() {
            needed[id.0] |= Some(id) == output;
            if needed[id.0] {
                node.inputs.iter().for_each(|input| needed[input.0] = true);
            }
        }
        let is_map = |id: NodeId| !matches!(self.shapes[id.0], Some(Shape::Map([_, 1, 1]))) && !self.is_vector(id);
        let ids = (1..needed.len()).map(NodeId).filter(|id| needed[id.0]);
        let map = ids.clone().rfind(|id| is_map(*id))?;
        let is_pool = |id: &NodeId| {
            let node = self.graph.node(*id);
            matches!(node.op, Op::GlobalPool(_)) && node.inputs[0] == map
        };
        Some(ids.clone().find(is_pool).unwrap_or(map))
    }

    fn finish(self, output: NodeId, size: Option<[usize; 2]>) -> Result<Network, String> {
        let constants = self.graph.nodes.iter().zip(self.weights);
        let constants = constants
            .filter_map(|(node, weights)| Some((node.path.clone(), weights?)))
            .collect();
        let mut needed = self.graph.needed(output);
        needed[0] = true;
        let (graph, places) = self.graph.retained(&needed);
        graph.validate().map_err(|error| error.to_string())?;
        let mut outputs = vec![None; graph.nodes.len()];
        for name in self.nodes.iter().flat_map(|node| &node.output) {
            if let Some(Value::Data(data @ Data { curve: None, .. })) = self.values.get(&**name)
                && let (Some(place), Some(channels_last)) = (places[data.node.0], is_channels_last(&data.axes))
            {
                // Operations after a convolution may have become its bias: the last one is the node's output.
                outputs[place.0] = Some((name.clone(), channels_last));
            }
        }
        let output = NodeId(graph.nodes.len() - 1);
        let file = FileGraph {
            graph,
            output,
            size,
            preset: None,
        };
        let (model, path) = (Arc::clone(self.model), self.path.to_owned());
        let mut network = Network::new(file, constants, model, path)?;
        network.outputs = outputs;
        Ok(network)
    }
}

/// Whether the channels are after the sides; `None` for a value that is neither a map nor a vector.
fn is_channels_last(axes: &[Axis]) -> Option<bool> {
    match axes {
        [Axis::Batch, Axis::Channels] | [Axis::Batch, Axis::Channels, _, _] => Some(false),
        [Axis::Batch, _, _, Axis::Channels] => Some(true),
        _ => None,
    }
}
