//! Writes a graph as the config of a functional model, from which Keras 3 builds the network.

use std::collections::{HashMap, HashSet};

use graph::{
    Activation, ChannelOrder, Conv, Filter, Graph, Node, NodeId, Op, Padding, Pool, PoolKind, ScaleShift, Shape,
    keras_order,
};
use serde_json::{Map, Value, json};

use super::layers::rounded;

/// A function added after a network's last layer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// None: the model's output is the graph's.
    #[default]
    Linear,
    /// Probabilities that sum to 1.
    Softmax,
    /// A probability for each output.
    Sigmoid,
}

impl End {
    const fn name(self) -> &'static str {
        match self {
            Self::Linear => "linear",
            Self::Softmax => "softmax",
            Self::Sigmoid => "sigmoid",
        }
    }
}

/// A model's config, and the record path of each layer's parameters.
#[derive(Clone, Debug, PartialEq)]
pub struct KerasModel {
    /// The config of `model.to_json()` in Keras 3, without settings at their defaults.
    pub config: Value,
    /// `(layer, module path)`, for [`KerasStore::with_names`](keras_store::KerasStore::with_names).
    pub names: Vec<(String, String)>,
}

/// An operation for which Keras has no layer.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("layer {layer}: {problem}; save the network as .bpk, .safetensors or .onnx")]
pub struct Inexpressible {
    /// The layer of the graph.
    pub layer: String,
    /// What the layer does and Keras's layers cannot.
    pub problem: String,
}

/// The functional model that computes a graph, followed by `end`, for pictures of this height and width.
///
/// Layers stand in the order of `model.layers`, under their names in a fresh Keras process, because Keras finds the
/// weights of a `.weights.h5` by class and number. An operation that no Keras layer computes alone becomes several
/// layers, if together they compute exactly the same.
///
/// # Errors
///
/// Names the first layer that Keras cannot express, or that cannot take a picture of this size.
pub fn keras_model(graph: &Graph, size: [usize; 2], end: End) -> Result<KerasModel, Inexpressible> {
    let graph = &graph.up_to(graph.output());
    let shapes = graph.shapes(size).map_err(|error| Inexpressible {
        layer: "of the network".into(),
        problem: error.to_string(),
    })?;
    let mut writer = Writer::new(graph, &shapes);
    for (id, node) in graph.iter() {
        writer.node(id, node).map_err(|problem| Inexpressible {
            layer: graph.layer_of(id).name.clone(),
            problem,
        })?;
    }
    writer.end(end);
    Ok(writer.finish())
}

/// A layer of the model.
struct Layer {
    name: String,
    class: &'static str,
    settings: Value,
    inputs: Vec<usize>,
    /// The shape without the batch, channels last.
    shape: Vec<usize>,
    /// Path of the layer's parameters in a record; empty without parameters.
    path: String,
}

struct Writer<'a> {
    graph: &'a Graph,
    shapes: &'a [Shape],
    readers: Vec<usize>,
    /// The nodes of each layer of the graph.
    members: Vec<Vec<NodeId>>,
    /// The name of each layer of the graph.
    names: Vec<String>,
    taken: Names,
    layers: Vec<Layer>,
    /// For each node, the layer that outputs the node, once the layer exists.
    places: Vec<Option<usize>>,
}

impl<'a> Writer<'a> {
    fn new(graph: &'a Graph, shapes: &'a [Shape]) -> Self {
        let mut members = vec![Vec::new(); graph.layers.len()];
        for (id, node) in graph.iter() {
            members[node.layer.0].push(id);
        }
        let mut taken = Names::default();
        let names = graph.keras_names();
        let names = names.iter().map(|name| taken.unique(name)).collect();
        Self {
            graph,
            shapes,
            readers: graph.readers(),
            members,
            names,
            taken,
            layers: Vec::new(),
            places: vec![None; graph.nodes.len()],
        }
    }

    /// Adds the layers that compute a node, unless a later layer includes it.
    fn node(&mut self, id: NodeId, node: &Node) -> Result<(), String> {
        let members = &self.members[node.layer.0];
        if self.is_one_layer(members) {
            if members.last() == Some(&id) {
                let members = members.clone();
                let path = self.graph.layer(node.layer).path.clone();
                let name = self.names[node.layer.0].clone();
                self.whole(&members, name, path)?;
            }
            return Ok(());
        }
        // The name goes to the layer with the parameters, or else to the layer with the output.
        let mut with_parameters = members.iter().filter(|id| !self.graph.node(**id).path.is_empty());
        let named = match (with_parameters.next(), with_parameters.next()) {
            (Some(only), None) => Some(only),
            _ => members.last(),
        };
        let name = if named == Some(&id) {
            self.names[node.layer.0].clone()
        } else {
            let name = format!("{}_{}", self.names[node.layer.0], suffix(&node.op));
            self.taken.unique(&name)
        };
        self.whole(&[id], name, node.path.clone())
    }

    /// Whether one Keras layer computes these nodes, which are one layer of the graph.
    fn is_one_layer(&self, members: &[NodeId]) -> bool {
        // No Keras layer has more than three nodes.
        if members.len() > 3 {
            return false;
        }
        let chained = members
            .windows(2)
            .all(|pair| self.graph.node(pair[1]).inputs == pair[..1] && self.readers[pair[0].0] == 1);
        let ops: Vec<&Op> = members.iter().map(|id| &self.graph.node(*id).op).collect();
        let is_named = |activation: &Activation| activation_name(*activation).is_some();
        chained
            && match ops.as_slice() {
                [_] => true,
                [Op::Conv(_) | Op::Dense(_), Op::Activation(activation)] => is_named(activation),
                [Op::Conv(depthwise), Op::Conv(pointwise)] => self.is_separable(members, depthwise, pointwise),
                [Op::Conv(depthwise), Op::Conv(pointwise), Op::Activation(activation)] => {
                    self.is_separable(members, depthwise, pointwise) && is_named(activation)
                }
                // Keras keeps the sides of a map of 1 x 1.
                [Op::Dense(_), Op::ToMap] => self.reads_map(members[0]),
                [Op::Dense(_), Op::Activation(activation), Op::ToMap] => {
                    self.reads_map(members[0]) && is_named(activation)
                }
                _ => false,
            }
    }

    fn is_separable(&self, members: &[NodeId], depthwise: &Conv, pointwise: &Conv) -> bool {
        let path = &self.graph.layer_of(members[0]).path;
        let within = |id: NodeId, part: &str| self.graph.node(id).path == format!("{path}.{part}");
        depthwise.groups == depthwise.channels[0]
            && !depthwise.bias
            && pointwise.is_pointwise()
            && pointwise.stride == [1; 2]
            && pads(pointwise.padding, pointwise) == Some([0; 4])
            && within(members[0], "depthwise")
            && within(members[1], "pointwise")
    }

    fn reads_map(&self, id: NodeId) -> bool {
        let input = self.graph.node(id).inputs.first();
        input.is_some_and(|input| matches!(self.shapes[input.0], Shape::Map(_)))
    }

    /// Adds the one layer that computes these nodes, and the layers that must stand before it.
    fn whole(&mut self, members: &[NodeId], name: String, path: String) -> Result<(), String> {
        let graph = self.graph;
        let (first, last) = (members[0], members[members.len() - 1]);
        let node = graph.node(first);
        let mut inputs: Vec<usize> = node.inputs.iter().filter_map(|input| self.places[input.0]).collect();
        let activation = members.iter().find_map(|id| match graph.node(*id).op {
            Op::Activation(activation) if members.len() > 1 => activation_name(activation),
            _ => None,
        });
        let mut settings = Map::new();
        let mut set = |key: &str, value: Value| {
            settings.insert(key.to_owned(), value);
        };
        let class = match &node.op {
            Op::Conv(conv) => {
                let pointwise = members.get(1).and_then(|id| match &graph.node(*id).op {
                    Op::Conv(conv) => Some(conv),
                    _ => None,
                });
                let padding = self.padding(&name, conv.padding, conv, &mut inputs);
                let class = convolution(conv, pointwise, padding, &mut set);
                if let Some(activation) = activation {
                    set("activation", activation.into());
                }
                class
            }
            Op::Pool(pool) => {
                let padding = self.pool_padding(&name, first, pool, &mut inputs)?;
                set("pool_size", json!(pool.window));
                set("strides", json!(pool.stride));
                set("padding", padding.into());
                match pool.kind {
                    PoolKind::Max => "MaxPooling2D",
                    PoolKind::Average => "AveragePooling2D",
                }
            }
            Op::Dense(dense) => {
                if self.reads_map(first) && !matches!(graph.node(last).op, Op::ToMap) {
                    self.before(
                        &name,
                        "flatten",
                        "Flatten",
                        json!({}),
                        vec![dense.features[0]],
                        &mut inputs,
                    );
                }
                set("units", dense.features[1].into());
                set("activation", activation.unwrap_or("linear").into());
                if !dense.bias {
                    set("use_bias", false.into());
                }
                "Dense"
            }
            op => plain_layer(
                op,
                [node.inputs.first().copied().unwrap_or(first), first].map(|id| self.shapes[id.0]),
                &mut set,
            )?,
        };
        let shape = keras_shape(self.shapes[last.0]);
        self.places[last.0] = Some(self.layers.len());
        self.layers.push(Layer {
            name,
            class,
            settings: Value::Object(settings),
            inputs,
            shape,
            path,
        });
        Ok(())
    }

    /// Inserts a layer between another layer and its only input.
    fn before(
        &mut self,
        name: &str,
        suffix: &str,
        class: &'static str,
        settings: Value,
        shape: Vec<usize>,
        inputs: &mut [usize],
    ) {
        let layer = Layer {
            name: self.taken.unique(&format!("{name}_{suffix}")),
            class,
            settings,
            inputs: inputs.to_vec(),
            shape,
            path: String::new(),
        };
        inputs.fill(self.layers.len());
        self.layers.push(layer);
    }

    /// Adds zero padding before a layer.
    fn pad(&mut self, name: &str, [top, left, bottom, right]: [usize; 4], inputs: &mut [usize]) {
        let Some(mut shape) = inputs.first().map(|input| self.layers[*input].shape.clone()) else {
            return;
        };
        for (side, pads) in shape.iter_mut().zip([top + bottom, left + right]) {
            *side += pads;
        }
        let settings = json!({"padding": [[top, bottom], [left, right]]});
        self.before(name, "pad", "ZeroPadding2D", settings, shape, inputs);
    }

    /// The name of a convolution's padding; a padding without a name becomes a layer before the convolution.
    fn padding(&mut self, name: &str, padding: Padding, conv: &Conv, inputs: &mut [usize]) -> &'static str {
        match padding {
            Padding::Valid | Padding::Explicit([0, 0, 0, 0]) => "valid",
            Padding::Same => "same",
            Padding::Explicit(pads) if is_same(pads, conv.kernel, conv.stride, conv.dilation) => "same",
            Padding::Explicit(pads) => {
                self.pad(name, pads, inputs);
                "valid"
            }
        }
    }

    fn pool_padding(
        &mut self,
        name: &str,
        id: NodeId,
        pool: &Pool,
        inputs: &mut [usize],
    ) -> Result<&'static str, String> {
        if pool.dilation != [1; 2] {
            return Err(format!(
                "its pooling has a dilation of {:?}, and Keras's have none",
                pool.dilation
            ));
        }
        let counts = pool.kind == PoolKind::Average && pool.count_padding;
        match pool.padding {
            Padding::Valid | Padding::Explicit([0, 0, 0, 0]) => Ok("valid"),
            Padding::Same if !counts => Ok("same"),
            Padding::Explicit(pads) if !counts && is_same(pads, pool.window, pool.stride, pool.dilation) => Ok("same"),
            Padding::Explicit(pads) if counts || (pool.kind == PoolKind::Max && self.is_positive(id)) => {
                self.pad(name, pads, inputs);
                Ok("valid")
            }
            Padding::Explicit(pads) => Err(format!(
                "its pooling pads {pads:?} pixels (top, left, bottom, right), and Keras's pads as its own `same` does"
            )),
            Padding::Same => Err("its average counts the padding, and Keras's does not".into()),
        }
    }

    /// Whether no input of a node is negative. Then padded zeros never change a maximum.
    fn is_positive(&self, id: NodeId) -> bool {
        let input = self.graph.node(id).inputs.first();
        input.is_some_and(|input| {
            matches!(
                self.graph.node(*input).op,
                Op::Activation(Activation::Relu | Activation::Relu6)
            )
        })
    }

    /// Adds the last activation, into the output's layer if possible, otherwise after it.
    fn end(&mut self, end: End) {
        let place = self.layers.len() - 1;
        if end == End::Linear {
            return;
        }
        let layer = &mut self.layers[place];
        if layer.class == "Dense" && layer.settings["activation"] == "linear" {
            layer.settings["activation"] = end.name().into();
            return;
        }
        let shape = layer.shape.clone();
        let name = self.taken.unique("probabilities");
        self.layers.push(Layer {
            name,
            class: "Activation",
            settings: json!({"activation": end.name()}),
            inputs: vec![place],
            shape,
            path: String::new(),
        });
    }

    fn finish(self) -> KerasModel {
        let inputs: Vec<Vec<usize>> = self.layers.iter().map(|layer| layer.inputs.clone()).collect();
        // The last node of the graph is its output.
        let output = self.layers.len() - 1;
        let order = keras_order(&inputs, output);
        let layers: Vec<Value> = order.iter().map(|place| self.json(&self.layers[*place])).collect();
        let with_parameters = order
            .iter()
            .map(|place| &self.layers[*place])
            .filter(|layer| !layer.path.is_empty());
        let names = with_parameters
            .map(|layer| (layer.name.clone(), layer.path.clone()))
            .collect();
        let input = &self.layers[0].name;
        let config = json!({
            "module": "keras.src.models.functional",
            "class_name": "Functional",
            "config": {
                "name": title(&self.graph.title),
                "trainable": true,
                "layers": layers,
                "input_layers": [[input, 0, 0]],
                "output_layers": [[self.layers[output].name, 0, 0]],
            },
            "registered_name": "Functional",
            "build_config": {"input_shape": null},
        });
        KerasModel { config, names }
    }

    fn json(&self, layer: &Layer) -> Value {
        if layer.class == "InputLayer" {
            return json!({
                "module": "keras.layers",
                "class_name": "InputLayer",
                "config": {
                    "batch_shape": batch(&layer.shape), "dtype": "float32", "sparse": false, "name": layer.name,
                },
                "registered_name": null,
                "name": layer.name,
                "inbound_nodes": [],
            });
        }
        if layer.class == "Take" {
            let input: Vec<Value> = layer
                .inputs
                .iter()
                .map(|place| argument(&self.layers[*place]))
                .collect();
            // An operation, not a layer: the numbers are an argument of its call.
            return json!({
                "module": "keras.src.ops.numpy",
                "class_name": "Take",
                "config": {"name": layer.name, "axis": -1},
                "registered_name": "Take",
                "name": layer.name,
                "inbound_nodes": [{"args": [input.first(), layer.settings["indices"]], "kwargs": {}}],
            });
        }
        let mut config = layer.settings.clone();
        config["name"] = layer.name.clone().into();
        config["trainable"] = true.into();
        config["dtype"] = "float32".into();
        let inputs: Vec<&Layer> = layer.inputs.iter().map(|place| &self.layers[*place]).collect();
        let mut arguments: Vec<Value> = inputs.iter().map(|input| argument(input)).collect();
        let mut shapes: Vec<Value> = inputs.iter().map(|input| batch(&input.shape)).collect();
        // A layer with several inputs takes a list.
        let (argument, shape) = match (arguments.len(), arguments.pop(), shapes.pop()) {
            (1, Some(argument), Some(shape)) => (argument, shape),
            (_, argument, shape) => {
                arguments.extend(argument);
                shapes.extend(shape);
                (Value::Array(arguments), Value::Array(shapes))
            }
        };
        json!({
            "module": "keras.layers",
            "class_name": layer.class,
            "config": config,
            "registered_name": null,
            "build_config": {"input_shape": shape},
            "name": layer.name,
            "inbound_nodes": [{"args": [argument], "kwargs": {}}],
        })
    }
}

/// The settings and the class of a layer that computes one operation.
fn plain_layer(
    op: &Op,
    [input, output]: [Shape; 2],
    set: &mut impl FnMut(&str, Value),
) -> Result<&'static str, String> {
    Ok(match op {
        Op::Input { .. } => "InputLayer",
        Op::BatchNorm(norm) => {
            set("axis", (-1).into());
            set("momentum", rounded(1.0 - norm.momentum).into());
            set("epsilon", norm.epsilon.into());
            for (key, on) in [("scale", norm.scale), ("center", norm.center)] {
                if !on {
                    set(key, false.into());
                }
            }
            "BatchNormalization"
        }
        Op::Activation(activation) => return activation_layer(*activation, set),
        Op::GlobalPool(pool) => {
            if pool.keep_dims {
                set("keepdims", true.into());
            }
            match pool.kind {
                PoolKind::Max => "GlobalMaxPooling2D",
                PoolKind::Average => "GlobalAveragePooling2D",
            }
        }
        Op::Flatten { order } => {
            if *order == ChannelOrder::ChannelsFirst && input.size() != [1; 2] {
                return Err(
                    "it flattens a map channel by channel, as PyTorch does, and Keras's Flatten pixel by pixel".into(),
                );
            }
            "Flatten"
        }
        Op::ToMap => {
            set("target_shape", json!([1, 1, output.channels()]));
            "Reshape"
        }
        Op::Pad {
            pads: [top, left, bottom, right],
        } => {
            set("padding", json!([[top, bottom], [left, right]]));
            "ZeroPadding2D"
        }
        Op::Crop {
            crops: [top, left, bottom, right],
        } => {
            set("cropping", json!([[top, bottom], [left, right]]));
            "Cropping2D"
        }
        Op::LayerNorm { epsilon } => {
            set("axis", (-1).into());
            set("epsilon", (*epsilon).into());
            set("center", false.into());
            set("scale", false.into());
            "LayerNormalization"
        }
        Op::GroupNorm { groups, epsilon } => {
            set("groups", (*groups).into());
            set("axis", (-1).into());
            set("epsilon", (*epsilon).into());
            set("center", false.into());
            set("scale", false.into());
            "GroupNormalization"
        }
        Op::Resize {
            size: [height, width],
            filter,
        } => {
            set("height", (*height).into());
            set("width", (*width).into());
            let filter = match filter {
                Filter::Nearest => "nearest",
                Filter::Bilinear => "bilinear",
            };
            set("interpolation", filter.into());
            "Resizing"
        }
        Op::Add => "Add",
        Op::Multiply => "Multiply",
        Op::Concat => {
            set("axis", (-1).into());
            "Concatenate"
        }
        Op::Take { channels } => {
            set("indices", json!(channels));
            "Take"
        }
        Op::ScaleShift(ScaleShift { scale, shift }) => {
            set("scale", constants(scale));
            set("offset", constants(shift));
            "Rescaling"
        }
        Op::Dropout { rate } => {
            set("rate", (*rate).into());
            "Dropout"
        }
        op => return Err(format!("Keras has no layer for a {}", op.name())),
    })
}

/// The settings of a convolution that differ from their defaults, and its class.
fn convolution(
    conv: &Conv,
    pointwise: Option<&Conv>,
    padding: &'static str,
    set: &mut impl FnMut(&str, Value),
) -> &'static str {
    let [channels, filters] = conv.channels;
    let is_depthwise = pointwise.is_some() || (conv.groups > 1 && conv.is_depthwise());
    let last = pointwise.unwrap_or(conv);
    if is_depthwise {
        let multiplier = filters / channels;
        if multiplier != 1 {
            set("depth_multiplier", multiplier.into());
        }
    } else if conv.groups != 1 {
        set("groups", conv.groups.into());
    }
    if pointwise.is_some() || !is_depthwise {
        set("filters", last.channels[1].into());
    }
    set("kernel_size", json!(conv.kernel));
    if pointwise.is_none() || conv.stride != [1; 2] {
        set("strides", json!(conv.stride));
    }
    if conv.dilation != [1; 2] {
        set("dilation_rate", json!(conv.dilation));
    }
    set("padding", padding.into());
    set("use_bias", last.bias.into());
    match (pointwise.is_some(), is_depthwise) {
        (true, _) => "SeparableConv2D",
        (false, true) => "DepthwiseConv2D",
        (false, false) => "Conv2D",
    }
}

/// The name of an activation for Keras's layers; `None` for an activation with settings.
fn activation_name(activation: Activation) -> Option<&'static str> {
    let near = |value: f64, expected: f64| (value - expected).abs() < 1e-9;
    Some(match activation {
        Activation::Relu => "relu",
        Activation::Relu6 => "relu6",
        Activation::LeakyRelu { slope } if near(slope, 0.2) => "leaky_relu",
        Activation::Elu { alpha } if near(alpha, 1.0) => "elu",
        Activation::Selu => "selu",
        Activation::Gelu { approximate: false } => "gelu",
        Activation::Swish => "silu",
        Activation::HardSwish => "hard_silu",
        Activation::Sigmoid => "sigmoid",
        Activation::HardSigmoid { slope } if near(slope, 1.0 / 6.0) => "hard_sigmoid",
        Activation::Tanh => "tanh",
        Activation::Softplus => "softplus",
        Activation::Softsign => "softsign",
        Activation::Mish => "mish",
        Activation::Exponential => "exponential",
        Activation::Softmax => "softmax",
        Activation::LogSoftmax => "log_softmax",
        _ => return None,
    })
}

/// The class of an activation layer, the same as in [`Graph::keras_class`].
fn activation_layer(activation: Activation, set: &mut impl FnMut(&str, Value)) -> Result<&'static str, String> {
    match activation {
        Activation::Relu6 => {
            set("max_value", 6.0.into());
            Ok("ReLU")
        }
        Activation::Clip { min: 0.0, max } => {
            set("max_value", max.into());
            Ok("ReLU")
        }
        Activation::LeakyRelu { slope } => {
            set("negative_slope", slope.into());
            Ok("LeakyReLU")
        }
        Activation::Elu { alpha } if activation_name(activation).is_none() => {
            set("alpha", alpha.into());
            Ok("ELU")
        }
        Activation::HardSigmoid { slope } if activation_name(activation).is_none() => Err(format!(
            "its hard sigmoid has the slope {slope} (Keras 1 and 2), and Keras 3's has 1/6"
        )),
        activation => {
            let name = activation_name(activation);
            let name = name.ok_or_else(|| format!("Keras has no name for its activation {activation:?}"))?;
            set("activation", name.into());
            Ok("Activation")
        }
    }
}

/// Whether the padding `same` has these pads for maps of every size.
fn is_same(pads: [usize; 4], kernel: [usize; 2], stride: [usize; 2], dilation: [usize; 2]) -> bool {
    // So large that every padding of stride 1 is the same in its middle.
    const MANY: [usize; 2] = [1 << 20; 2];
    stride == [1; 2] && Padding::Same.pads(MANY, kernel, stride, dilation) == Some(pads)
}

/// The explicit pads, if they are the same for maps of every size.
fn pads(padding: Padding, conv: &Conv) -> Option<[usize; 4]> {
    match padding {
        Padding::Valid => Some([0; 4]),
        Padding::Explicit(pads) => Some(pads),
        Padding::Same => is_same([0; 4], conv.kernel, conv.stride, conv.dilation).then_some([0; 4]),
    }
}

/// Writes a single value as a number, because Keras reads a list as one value for each channel.
fn constants(values: &[f64]) -> Value {
    match values {
        [value] => (*value).into(),
        values => json!(values),
    }
}

fn keras_shape(shape: Shape) -> Vec<usize> {
    match shape {
        Shape::Map([channels, height, width]) => vec![height, width, channels],
        Shape::Vector(features) => vec![features],
    }
}

/// A shape with a batch of any size.
fn batch(shape: &[usize]) -> Value {
    let sides = shape.iter().map(|side| json!(side));
    Value::Array([Value::Null].into_iter().chain(sides).collect())
}

fn argument(layer: &Layer) -> Value {
    json!({
        "class_name": "__keras_tensor__",
        "config": {"shape": batch(&layer.shape), "dtype": "float32", "keras_history": [layer.name, 0, 0]},
    })
}

/// The suffix of a layer that Keras needs for a part of one of our layers.
const fn suffix(op: &Op) -> &'static str {
    match op {
        Op::Conv(conv) if conv.is_depthwise() => "depthwise",
        Op::Conv(_) => "conv",
        Op::Dense(_) => "dense",
        Op::Activation(_) => "activation",
        Op::ToMap => "reshape",
        Op::ScaleShift(_) => "scale",
        Op::Pad { .. } => "pad",
        Op::Crop { .. } => "crop",
        Op::Take { .. } => "channels",
        Op::LayerNorm { .. } | Op::GroupNorm { .. } => "norm",
        Op::Resize { .. } => "resize",
        _ => "part",
    }
}

/// Names of layers.
#[derive(Default)]
struct Names {
    taken: HashSet<String>,
    /// For each name, how many numbers were used.
    numbers: HashMap<String, usize>,
}

impl Names {
    /// A name that no other layer has and that Keras accepts.
    fn unique(&mut self, name: &str) -> String {
        let plain = plain(name);
        let mut unique = plain.clone();
        while !self.taken.insert(unique.clone()) {
            let number = self.numbers.entry(plain.clone()).or_insert(1);
            *number += 1;
            unique = format!("{plain}_{number}");
        }
        unique
    }
}

/// Keras 3 allows no `/` in a name, and TensorFlow allows few other characters (`_VALID_SCOPE_NAME_REGEX` in
/// `tensorflow/python/framework/ops.py`).
fn plain(name: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || ['_', '-', '.'].contains(&c);
    name.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

/// `Inception V3` becomes `inception_v3`. TensorFlow requires a letter or digit as a model name's first character.
fn title(title: &str) -> String {
    let name = plain(&title.to_lowercase());
    if name.starts_with(|c: char| c.is_ascii_alphanumeric()) {
        name
    } else {
        format!("model{name}")
    }
}
