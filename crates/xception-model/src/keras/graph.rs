//! The graph that a Keras model's config describes: whether it computes Xception, and which layer stands where.
//!
//! The same weights fit many graphs. The config is walked from its output to its picture, against the steps of the network that the
//! shapes belong to; every layer on the way must be the one expected there, with the settings it has in Xception.

use std::collections::HashMap;

use serde_json::{Value, json};

use crate::config::{LayerKind, Pooling, Relu, Shortcut, Stage, Variant, XceptionConfig};

/// Layers that do nothing to a picture when a network is used.
const HARMLESS: [&str; 16] = [
    "ActivityRegularization",
    "AlphaDropout",
    "Dropout",
    "GaussianDropout",
    "GaussianNoise",
    "Identity",
    "InputLayer",
    "RandomBrightness",
    "RandomContrast",
    "RandomFlip",
    "RandomHeight",
    "RandomRotation",
    "RandomTranslation",
    "RandomWidth",
    "RandomZoom",
    "SpatialDropout2D",
];

const CONVOLUTION: &[&str] = &["Conv2D", "Convolution2D"];
const SEPARABLE: &[&str] = &["SeparableConv2D", "SeparableConvolution2D"];
const NORM: &[&str] = &["BatchNormalization", "BatchNormalizationV1", "SyncBatchNormalization"];
const ACTIVATION: &[&str] = &["Activation", "ReLU"];
const POOL: &[&str] = &["MaxPooling2D", "MaxPool2D"];
/// `Merge` is Keras 1's; the last is an addition of tensors in Keras 2.
const SUM: &[&str] = &["Add", "Merge", "TFOpLambda"];
const DENSE: &[&str] = &["Dense"];

/// What the walk finds.
#[derive(Debug, Default)]
pub(super) struct Wiring {
    /// Where each layer with weights lives here: `(path in the file, module path)`.
    pub(super) names: Vec<(String, String)>,
    /// Whether the model ends in a sigmoid.
    pub(super) sigmoid: bool,
}

/// Walks a model's config, and `None` where it has no graph: a subclassed model computes what its program says.
///
/// # Errors
///
/// The first layer that is not what Xception has in its place.
pub(super) fn walk(config: &Value, network: &XceptionConfig) -> Option<Result<Wiring, String>> {
    layers_of(config)?;
    Some(Graph::read(config).and_then(|graph| {
        let mut walk = Walk {
            at: graph.output,
            after: "the output".to_owned(),
            // A harmless layer may stand on a block's input, which is reached on more than one way.
            left: 3 * graph.nodes.len(),
            graph: &graph,
            wiring: Wiring::default(),
        };
        walk.head(network)?;
        for stage in network.stages().iter().rev() {
            walk.stage(stage)?;
        }
        walk.picture()?;
        walk.wiring.names.reverse();
        Ok(walk.wiring)
    }))
}

/// A layer of the graph; models within models are dissolved in it.
struct Node<'a> {
    path: String,
    class: &'a str,
    config: &'a Value,
    inputs: Vec<usize>,
    /// How often the model calls it.
    calls: usize,
    /// Plain numbers among its arguments.
    numbers: Vec<f64>,
    training: bool,
}

#[derive(Default)]
struct Graph<'a> {
    nodes: Vec<Node<'a>>,
    output: Option<usize>,
}

/// A layer or a whole model, seen from outside.
#[derive(Clone, Copy)]
struct Part {
    /// The node that takes its input.
    entry: Option<usize>,
    output: Option<usize>,
}

impl<'a> Graph<'a> {
    fn read(model: &'a Value) -> Result<Self, String> {
        let mut graph = Self::default();
        graph.output = graph.model(model, "")?.output;
        Ok(graph)
    }

    fn model(&mut self, model: &'a Value, path: &str) -> Result<Part, String> {
        let layers = layers_of(model).unwrap_or_default();
        let mut parts: HashMap<&str, Part> = HashMap::new();
        let mut order = Vec::with_capacity(layers.len());
        for layer in layers {
            let (Some(class), Some(name)) = (text(layer, "class_name"), name(layer)) else {
                return Err(format!(
                    "the model's config has a layer without a name or class in {}",
                    place(path)
                ));
            };
            // As keras-store names it.
            let own = layer
                .get("config")
                .and_then(|config| text(config, "name"))
                .unwrap_or(name);
            let inner = if path.is_empty() {
                own.to_owned()
            } else {
                format!("{path}/{own}")
            };
            let part = if layers_of(layer).is_some() {
                self.model(layer, &inner)?
            } else {
                self.nodes.push(Node {
                    path: inner,
                    class,
                    config: layer.get("config").unwrap_or(&Value::Null),
                    inputs: Vec::new(),
                    calls: 1,
                    numbers: Vec::new(),
                    training: false,
                });
                let only = Some(self.nodes.len() - 1);
                Part {
                    entry: only,
                    output: only,
                }
            };
            if parts.insert(name, part).is_some() {
                return Err(format!("{} has two layers of the name {name}", place(path)));
            }
            order.push((name, part, layer));
        }
        // A `Sequential` says its order by that of its layers.
        if !order.iter().any(|(_, _, layer)| layer.get("inbound_nodes").is_some()) {
            for pair in order.windows(2) {
                if let [(_, before, _), (_, next, _)] = pair {
                    self.connect(*next, before.output.into_iter().collect());
                }
            }
            return Ok(Part {
                entry: order.first().and_then(|(_, part, _)| part.entry),
                output: order.last().and_then(|(_, part, _)| part.output),
            });
        }
        for (_, part, layer) in &order {
            let mut call = Call::default();
            let nodes = layer.get("inbound_nodes").and_then(Value::as_array);
            for node in nodes.into_iter().flatten() {
                call.argument(node);
            }
            let inputs = call.tensors.iter().map(|name| {
                let from = parts.get(name).and_then(|part| part.output);
                from.ok_or_else(|| {
                    format!(
                        "{} has no layer {name}, from which another takes its input",
                        place(path)
                    )
                })
            });
            self.connect(*part, inputs.collect::<Result<_, String>>()?);
            if let Some(node) = part.entry.and_then(|entry| self.nodes.get_mut(entry)) {
                node.calls = nodes.map_or(0, Vec::len);
                node.numbers = call.numbers;
                node.training |= call.training;
            }
        }
        let ends = |key: &str| {
            let mut call = Call::default();
            if let Some(ends) = model.get("config").and_then(|config| config.get(key)) {
                call.argument(ends);
            }
            call.tensors
        };
        let output = match ends("output_layers")[..] {
            [output] => parts.get(output).and_then(|part| part.output),
            ref outputs => {
                return Err(format!(
                    "{} has {} outputs; Xception has one",
                    place(path),
                    outputs.len()
                ));
            }
        };
        let entry = match ends("input_layers")[..] {
            [input] => parts.get(input).and_then(|part| part.entry),
            ref inputs => return Err(format!("{} has {} inputs; Xception has one", place(path), inputs.len())),
        };
        Ok(Part { entry, output })
    }

    fn connect(&mut self, part: Part, inputs: Vec<usize>) {
        if let Some(node) = part.entry.and_then(|entry| self.nodes.get_mut(entry)) {
            node.inputs = inputs;
        }
    }
}

/// What a layer is called with, in any of Keras's formats: `["name", 0, 0, {..}]` in 1 and 2, `keras_history` in 3.
#[derive(Default)]
struct Call<'a> {
    tensors: Vec<&'a str>,
    numbers: Vec<f64>,
    training: bool,
}

impl<'a> Call<'a> {
    /// `serde_json` reads no more than 128 levels.
    fn argument(&mut self, value: &'a Value) {
        match value {
            Value::Array(list) => match list.as_slice() {
                [Value::String(name), node, tensor, rest @ ..] if node.is_u64() && tensor.is_u64() => {
                    self.tensors.push(name);
                    for value in rest {
                        self.argument(value);
                    }
                }
                list => {
                    for value in list {
                        self.argument(value);
                    }
                }
            },
            Value::Object(map) => match map.get("config").and_then(|config| config.get("keras_history")) {
                Some(history) => self.argument(history),
                None => {
                    for (key, value) in map {
                        self.training |= key == "training" && value.as_bool() == Some(true);
                        self.argument(value);
                    }
                }
            },
            Value::Number(number) => self.numbers.extend(number.as_f64()),
            _ => {}
        }
    }
}

struct Walk<'a, 'g> {
    graph: &'g Graph<'a>,
    /// The layer that comes next; `None` is the picture.
    at: Option<usize>,
    /// The layer that takes its output.
    after: String,
    /// How many more layers there can be. A graph in a circle has no end.
    left: usize,
    wiring: Wiring,
}

impl<'a, 'g> Walk<'a, 'g> {
    fn here(&self) -> Option<&'g Node<'a>> {
        self.graph.nodes.get(self.at?)
    }

    /// Checks what is said of every layer on the way.
    fn visit(&mut self, node: &Node<'_>) -> Result<(), String> {
        let Some(left) = self.left.checked_sub(1) else {
            return Err(format!(
                "layer {}: the model's layers are connected in a circle",
                node.path
            ));
        };
        self.left = left;
        if node.calls > 1 {
            return Err(format!(
                "layer {}: the model uses it {} times, Xception each layer once",
                node.path, node.calls
            ));
        }
        if node.training {
            return Err(format!(
                "layer {}: it is called with training=True, and would never be at rest",
                node.path
            ));
        }
        self.after.clone_from(&node.path);
        Ok(())
    }

    /// Goes on to the input of a layer with one.
    fn pass(&mut self, node: &Node<'_>) -> Result<(), String> {
        self.visit(node)?;
        self.at = match node.inputs[..] {
            [] => None,
            [input] => Some(input),
            ref inputs => {
                return Err(format!(
                    "layer {}: expected one input, found {}",
                    node.path,
                    inputs.len()
                ));
            }
        };
        Ok(())
    }

    fn skip_harmless(&mut self) -> Result<(), String> {
        while let Some(node) = self.here().filter(|node| node.is_harmless()) {
            self.pass(node)?;
        }
        Ok(())
    }

    /// The next layer, which must be of one of these classes.
    fn expect(&mut self, classes: &[&str], what: &str) -> Result<&'g Node<'a>, String> {
        self.skip_harmless()?;
        let Some(node) = self.here() else {
            return Err(format!(
                "layer {}: expected {what} before it, found the picture",
                self.after
            ));
        };
        if classes.contains(&node.class) {
            return Ok(node);
        }
        Err(node.is_no_part(what, &self.after))
    }

    fn take(&mut self, classes: &[&str], what: &str) -> Result<&'g Node<'a>, String> {
        let node = self.expect(classes, what)?;
        self.pass(node)?;
        Ok(node)
    }

    fn home(&mut self, node: &Node<'_>, path: String) {
        self.wiring.names.push((node.path.clone(), path));
    }

    fn head(&mut self, network: &XceptionConfig) -> Result<(), String> {
        if network.pooling == Pooling::None && !network.include_top {
            return Ok(());
        }
        if network.include_top {
            self.predictions()?;
            for index in (0..network.hidden_layers.len()).rev() {
                self.hidden(index)?;
            }
        }
        let node = match network.pooling {
            Pooling::Max => self.take(&["GlobalMaxPooling2D", "GlobalMaxPool2D"], "a global maximum")?,
            _ => self.take(&["GlobalAveragePooling2D", "GlobalAvgPool2D"], "a global average")?,
        };
        node.require(
            &["keepdims"],
            &json!(false),
            |value| value == &json!(false),
            "no kept sides",
        )?;
        node.channels_last()
    }

    fn predictions(&mut self) -> Result<(), String> {
        const ENDS: [&str; 3] = ["linear", "softmax", "sigmoid"];
        let expected = "a classifier with activation linear, softmax or sigmoid";
        let ends_in = |node: &Node<'_>| {
            let found = match node.class {
                "Softmax" => "softmax",
                _ => node.activation(),
            };
            ENDS.into_iter().find(|end| *end == found)
        };
        let mut end = "linear";
        self.skip_harmless()?;
        if let Some(node) = self.here()
            && ["Activation", "Softmax"].contains(&node.class)
        {
            end = ends_in(node).ok_or_else(|| node.problem(expected, node.activation()))?;
            self.pass(node)?;
        }
        let node = self.take(DENSE, "the classifier, a Dense")?;
        let own = ends_in(node).ok_or_else(|| node.problem(expected, node.activation()))?;
        if end != "linear" && own != "linear" {
            return Err(node.problem("one activation behind the classifier", &format!("{own} and {end}")));
        }
        self.wiring.sigmoid = end == "sigmoid" || own == "sigmoid";
        self.home(node, "head.predictions".to_owned());
        Ok(())
    }

    fn hidden(&mut self, index: usize) -> Result<(), String> {
        self.skip_harmless()?;
        let separate = self.here().is_some_and(|node| ACTIVATION.contains(&node.class));
        if separate {
            self.relu()?;
        }
        let node = self.take(DENSE, "a hidden layer, a Dense")?;
        let expected = if separate { "linear" } else { "relu" };
        if node.activation() != expected {
            return Err(node.problem("a hidden layer with activation relu", node.activation()));
        }
        self.home(node, format!("head.hidden.{index}"));
        Ok(())
    }

    fn stage(&mut self, stage: &Stage) -> Result<(), String> {
        let name = &stage.name;
        let path = stage.path();
        let mut shortcut = None;
        if stage.shortcut != Shortcut::Absent {
            let node = self.expect(SUM, &format!("the sum at the end of {name}"))?;
            shortcut = Some(self.fork(node, stage)?);
        }
        if let Some(pool) = stage.pool {
            let node = self.take(POOL, &format!("the pool of {name}"))?;
            node.square("3 x 3 pool", &["pool_size"], 2, 3)?;
            // Without strides a pool steps by its own size.
            node.square("stride 2", &["strides"], 3, pool.stride)?;
            node.padding("same")?;
            node.channels_last()?;
        }
        for layer in stage.layers.iter().rev() {
            let home = format!("{path}.{}", layer.short_name());
            if layer.relu == Relu::After {
                self.relu()?;
            }
            self.norm(&layer.name, format!("{home}.bn"))?;
            match layer.kind {
                LayerKind::Conv { stride } => self.convolution(&layer.name, 3, stride, format!("{home}.conv"))?,
                LayerKind::Separable { .. } => self.separable(&layer.name, home)?,
            }
            if layer.relu == Relu::Before {
                self.relu()?;
            }
        }
        let Some(shortcut) = shortcut else {
            return Ok(());
        };
        self.skip_harmless()?;
        let (input, after) = (
            self.at,
            std::mem::replace(&mut self.after, format!("the sum of {name}")),
        );
        self.at = Some(shortcut);
        if let Shortcut::Projection { stride } = stage.shortcut {
            self.norm(&format!("{name}_residual"), format!("{path}.residual.bn"))?;
            self.convolution(&format!("{name}_residual"), 1, stride, format!("{path}.residual.conv"))?;
        }
        self.skip_harmless()?;
        if self.at != input {
            return Err(format!(
                "{name}: its shortcut does not begin where its convolutions do, at the input of {after}"
            ));
        }
        self.after = after;
        Ok(())
    }

    /// Goes into the convolutions of a block; the other input of its sum is the shortcut.
    fn fork(&mut self, sum: &Node<'_>, stage: &Stage) -> Result<usize, String> {
        let [first, second] = sum.inputs[..] else {
            return Err(sum.problem("a sum of two", &sum.inputs.len().to_string()));
        };
        match sum.class {
            "Merge" => sum.require(&["mode"], &json!("sum"), |value| value == "sum", "a sum")?,
            "TFOpLambda" => {
                let is_sum = |value: &Value| ["math.add", "__operators__.add"].iter().any(|known| value == known);
                sum.require(&["function"], &Value::Null, is_sum, "a sum")?;
            }
            _ => {}
        }
        self.visit(sum)?;
        let ends: &[&str] = if stage.pool.is_some() { POOL } else { NORM };
        let mut is_main = |input: usize| {
            self.at = Some(input);
            self.skip_harmless()?;
            Ok::<_, String>(self.here().is_some_and(|node| ends.contains(&node.class)))
        };
        // Where neither is, the first: Keras's own adds the shortcut to the convolutions.
        let (main, shortcut) = if !is_main(first)? && is_main(second)? {
            (second, first)
        } else {
            (first, second)
        };
        self.at = Some(main);
        self.after.clone_from(&sum.path);
        Ok(shortcut)
    }

    fn relu(&mut self) -> Result<(), String> {
        let node = self.take(ACTIVATION, "an activation relu")?;
        if node.class == "ReLU" {
            let absent = Value::is_null;
            let zero = |value: &Value| value.as_f64() == Some(0.0);
            node.require(&["max_value"], &Value::Null, absent, "a ReLU without a largest value")?;
            node.require(&["negative_slope"], &json!(0.0), zero, "a ReLU with slope 0")?;
            node.require(&["threshold"], &json!(0.0), zero, "a ReLU with threshold 0")
        } else if node.activation() == "relu" {
            Ok(())
        } else {
            Err(node.problem("activation relu", node.activation()))
        }
    }

    fn norm(&mut self, of: &str, home: String) -> Result<(), String> {
        let node = self.take(NORM, &format!("the batch norm of {of}"))?;
        let epsilon = Variant::Keras.epsilon();
        node.require(
            &["epsilon"],
            &json!(epsilon),
            |value| value.as_f64() == Some(epsilon),
            &format!("Keras's epsilon {epsilon}"),
        )?;
        let last = |value: &Value| {
            let axis = value.as_array().and_then(|list| list.first()).unwrap_or(value).as_i64();
            axis.is_some_and(|axis| axis == -1 || axis == 3)
        };
        node.require(&["axis"], &json!(-1), last, "a norm of the channels, the last axis")?;
        node.require(&["mode"], &json!(0), |value| value == &json!(0), "a norm of mode 0")?;
        self.home(node, home);
        Ok(())
    }

    fn convolution(&mut self, name: &str, kernel: usize, stride: usize, home: String) -> Result<(), String> {
        let node = self.take(CONVOLUTION, &format!("the convolution {name}"))?;
        node.plain(kernel, stride)?;
        // Padding changes nothing for a kernel of 1.
        if kernel > 1 {
            node.padding("valid")?;
        }
        self.home(node, home);
        Ok(())
    }

    fn separable(&mut self, name: &str, home: String) -> Result<(), String> {
        let node = self.take(SEPARABLE, &format!("the separable convolution {name}"))?;
        node.plain(3, 1)?;
        node.padding("same")?;
        node.require(
            &["depth_multiplier"],
            &json!(1),
            |value| value == &json!(1),
            "depth_multiplier 1",
        )?;
        self.home(node, home);
        Ok(())
    }

    /// What a model does to its picture before the first convolution: nothing, or the scaling from 0..255 to -1..1.
    fn picture(&mut self) -> Result<(), String> {
        let is = |value: f64, expected: f64| (value - expected).abs() < 1e-9;
        let mut steps: Vec<&'static str> = Vec::new();
        loop {
            self.skip_harmless()?;
            let Some(node) = self.here() else { break };
            let function = node.config.get("function").and_then(Value::as_str).unwrap_or_default();
            let number = match node.numbers[..] {
                [number] => Some(number),
                _ => None,
            };
            let step = match (node.class, function) {
                ("Rescaling", _) => {
                    let number = |key: &str| node.config.get(key).and_then(Value::as_f64).unwrap_or_default();
                    let (scale, offset) = (number("scale"), number("offset"));
                    (is(scale, 1.0 / 127.5) && is(offset, -1.0))
                        .then_some("all")
                        .ok_or_else(|| {
                            node.problem(
                                "a scaling of pictures to -1..1, as Xception's is (scale 1/127.5, offset -1)",
                                &format!("scale {scale}, offset {offset}"),
                            )
                        })?
                }
                ("TrueDivide" | "Divide", _) | ("TFOpLambda", "math.truediv" | "math.divide") => number
                    .filter(|number| is(*number, 127.5))
                    .map(|_| "divide")
                    .ok_or_else(|| node.problem("a division by 127.5", &format!("{:?}", node.numbers)))?,
                ("Subtract", _) | ("TFOpLambda", "math.subtract") => number
                    .filter(|number| is(*number, 1.0))
                    .map(|_| "subtract")
                    .ok_or_else(|| node.problem("a subtraction of 1", &format!("{:?}", node.numbers)))?,
                _ => return Err(node.is_no_part("the picture", &self.after)),
            };
            steps.push(step);
            self.pass(node)?;
        }
        match steps[..] {
            [] | ["all"] | ["subtract", "divide"] => Ok(()),
            _ => Err(format!(
                "layer {}: expected the picture, or a scaling of it to -1..1 (a division by 127.5, then 1 subtracted); found \
                 another",
                self.after
            )),
        }
    }
}

impl Node<'_> {
    fn is_harmless(&self) -> bool {
        HARMLESS.contains(&self.class) || (self.class == "Activation" && self.activation() == "linear")
    }

    fn is_no_part(&self, expected: &str, after: &str) -> String {
        let known = [CONVOLUTION, SEPARABLE, NORM, ACTIVATION, POOL, SUM, DENSE];
        let pools = ["GlobalAveragePooling2D", "GlobalMaxPooling2D"];
        let (path, class) = (&self.path, self.class);
        if class == "Flatten" {
            format!("layer {path}: Xception pools, and this flattens")
        } else if pools.contains(&class) || known.iter().any(|classes| classes.contains(&class)) {
            format!("layer {path}: expected {expected} before {after}, found {}", a(class))
        } else {
            format!(
                "layer {path}: {} is no part of Xception; expected {expected} before {after}",
                a(class)
            )
        }
    }

    fn problem(&self, expected: &str, found: &str) -> String {
        format!("layer {}: expected {expected}, found {found}", self.path)
    }

    /// The first of these settings, of which each is one version's name, or Keras's default.
    fn require(
        &self,
        keys: &[&str],
        default: &Value,
        fits: impl FnOnce(&Value) -> bool,
        expected: &str,
    ) -> Result<(), String> {
        let found = keys.iter().find_map(|key| self.config.get(*key)).unwrap_or(default);
        if fits(found) {
            Ok(())
        } else {
            Err(self.problem(expected, &found.to_string()))
        }
    }

    /// A number that is the same for height and width; `default` where the config has none.
    fn square(&self, what: &str, keys: &[&str], default: usize, expected: usize) -> Result<(), String> {
        let fits = |value: &Value| match value {
            Value::Array(list) => list.len() == 2 && list.iter().all(|side| side == &json!(expected)),
            Value::Null => default == expected,
            side => side == &json!(expected),
        };
        self.require(keys, &Value::Null, fits, what)
    }

    fn padding(&self, expected: &str) -> Result<(), String> {
        self.require(
            &["padding", "border_mode"],
            &json!("valid"),
            |value| value == expected,
            &format!("padding {expected}"),
        )
    }

    fn channels_last(&self) -> Result<(), String> {
        let last = |value: &Value| value.is_null() || value == "channels_last" || value == "tf" || value == "default";
        self.require(&["data_format", "dim_ordering"], &Value::Null, last, "channels last")
    }

    /// The settings of an ordinary and of a separable convolution.
    fn plain(&self, kernel: usize, stride: usize) -> Result<(), String> {
        let size = format!("a kernel of {kernel} x {kernel}");
        if self.config.get("nb_row").is_some() {
            for side in ["nb_row", "nb_col"] {
                self.require(&[side], &Value::Null, |value| value == &json!(kernel), &size)?;
            }
        } else {
            self.square(&size, &["kernel_size"], 0, kernel)?;
        }
        self.square(&format!("stride {stride}"), &["strides", "subsample"], 1, stride)?;
        self.square(
            "no dilation: such a network cannot be told from its file",
            &["dilation_rate", "atrous_rate"],
            1,
            1,
        )?;
        self.require(&["groups"], &json!(1), |value| value == &json!(1), "one group")?;
        self.require(
            &["use_bias", "bias"],
            &json!(true),
            |value| value == &json!(false),
            "no bias",
        )?;
        if self.activation() != "linear" {
            return Err(self.problem("no activation of its own", self.activation()));
        }
        self.channels_last()
    }

    /// The name of its activation. Keras 3 may write a function as an object.
    fn activation(&self) -> &str {
        match self.config.get("activation") {
            None | Some(Value::Null) => "linear",
            Some(Value::String(name)) => name,
            Some(function) => text(function, "config").unwrap_or("a function of its own"),
        }
    }
}

/// The layers of a model's config, and `None` for a layer's.
fn layers_of(model: &Value) -> Option<&[Value]> {
    let config = model.get("config")?;
    // Keras < 2.2.3 wrote a `Sequential` as the bare list of its layers.
    config.get("layers").unwrap_or(config).as_array().map(Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// A layer's name: a functional model repeats it beside the layer's config.
fn name(layer: &Value) -> Option<&str> {
    text(layer, "name").or_else(|| text(layer.get("config")?, "name"))
}

/// A model in words.
fn place(path: &str) -> String {
    if path.is_empty() {
        "the model".to_owned()
    } else {
        format!("the model {path}")
    }
}

/// A class in a sentence.
fn a(class: &str) -> String {
    let article = if class.starts_with(['A', 'E', 'I', 'O', 'U']) {
        "an"
    } else {
        "a"
    };
    format!("{article} {class}")
}
