//! The network as a Keras model's config, from which Keras 3 builds it.

use serde_json::{Value, json};

use crate::config::{
    IntermediateActivation, LayerKind, OutputStride, Pooling, Relu, SeparableOrder, Shortcut, Stage, Variant,
    XceptionConfig,
};
use crate::spec::ModelSpec;

/// A model's config, and where each of its layers lives here: `(layer, module path)`.
pub(super) struct KerasModel {
    pub(super) config: Value,
    pub(super) names: Vec<(String, String)>,
}

/// The functional model that `keras.applications.Xception` builds in a fresh process, in the same order of layers: Keras
/// finds the weights of a `.weights.h5` by class and number. Settings at their defaults are left out.
///
/// # Errors
///
/// The first option that Keras's layers cannot express.
pub(super) fn model(spec: &ModelSpec) -> Result<KerasModel, String> {
    let network = &spec.network;
    expressible(network)?;
    let mut graph = Graph::new(spec);
    let mut shortcuts = 0;
    let mut adds = 0;
    for stage in network.stages() {
        let input = graph.last.clone();
        for layer in &stage.layers {
            let act = format!("{}_act", layer.name);
            if layer.relu == Relu::Before {
                graph.activation(&act);
            }
            let home = format!("{}.{}", stage.path(), layer.short_name());
            match layer.kind {
                LayerKind::Conv { stride } => {
                    graph.convolution(&layer.name, layer.channels[1], 3, stride, &format!("{home}.conv"));
                }
                LayerKind::Separable { .. } => graph.separable(&layer.name, layer.channels[1], &home),
            }
            graph.norm(&format!("{}_bn", layer.name), &format!("{home}.bn"));
            if layer.relu == Relu::After {
                graph.activation(&act);
            }
        }
        graph.end_of_block(&stage, input, &mut shortcuts, &mut adds);
    }
    graph.head(spec);
    Ok(graph.finish())
}

fn expressible(network: &XceptionConfig) -> Result<(), String> {
    let refused = [
        (
            network.variant == Variant::Torch,
            "variant torch: Keras's pools do not pad on both sides",
        ),
        (
            network.intermediate_activation != IntermediateActivation::None,
            "an intermediate activation: Keras's SeparableConv2D has none",
        ),
        (
            network.order == SeparableOrder::PointwiseFirst,
            "the pointwise convolution first: Keras's SeparableConv2D has it last",
        ),
        (
            network.output_stride != OutputStride::S32,
            "an output stride below 32: Keras's pools have no dilation",
        ),
    ];
    match refused.iter().find(|(found, _)| *found) {
        Some((_, option)) => Err((*option).to_owned()),
        None => Ok(()),
    }
}

/// A tensor of the graph: the layer that gives it, and its shape without the batch.
#[derive(Clone)]
struct Output {
    layer: String,
    shape: Vec<usize>,
}

impl Output {
    fn batch_shape(&self) -> Value {
        let sides = self.shape.iter().map(|side| json!(side));
        Value::Array([Value::Null].into_iter().chain(sides).collect())
    }

    fn argument(&self) -> Value {
        json!({
            "class_name": "__keras_tensor__",
            "config": {"shape": self.batch_shape(), "dtype": "float32", "keras_history": [self.layer, 0, 0]},
        })
    }
}

struct Graph {
    layers: Vec<Value>,
    names: Vec<(String, String)>,
    last: Output,
}

impl Graph {
    fn new(spec: &ModelSpec) -> Self {
        let input = Output {
            layer: "input_layer".into(),
            shape: vec![spec.input.height, spec.input.width, spec.network.in_channels],
        };
        let layer = json!({
            "module": "keras.layers",
            "class_name": "InputLayer",
            "config": {
                "batch_shape": input.batch_shape(), "dtype": "float32", "sparse": false, "name": input.layer,
            },
            "registered_name": null,
            "name": input.layer,
            "inbound_nodes": [],
        });
        Self {
            layers: vec![layer],
            names: Vec::new(),
            last: input,
        }
    }

    /// Puts a layer on the last output.
    fn push(&mut self, class: &str, name: &str, settings: Value, shape: Vec<usize>) {
        let argument = self.last.argument();
        let input_shape = self.last.batch_shape();
        self.place(class, name, settings, shape, &argument, &input_shape);
    }

    fn place(&mut self, class: &str, name: &str, settings: Value, shape: Vec<usize>, argument: &Value, input: &Value) {
        let mut config = settings;
        config["name"] = name.into();
        config["trainable"] = true.into();
        config["dtype"] = "float32".into();
        self.layers.push(json!({
            "module": "keras.layers",
            "class_name": class,
            "config": config,
            "registered_name": null,
            "build_config": {"input_shape": input},
            "name": name,
            "inbound_nodes": [{"args": [argument], "kwargs": {}}],
        }));
        self.last = Output {
            layer: name.to_owned(),
            shape,
        };
    }

    fn convolution(&mut self, name: &str, filters: usize, kernel: usize, stride: usize, home: &str) {
        // Without padding, but for a kernel of 1 where that is the same.
        let padding = if kernel == 1 { "same" } else { "valid" };
        let side = |side: usize| side.saturating_sub(kernel) / stride + 1;
        let shape = vec![side(self.last.shape[0]), side(self.last.shape[1]), filters];
        let settings = json!({
            "filters": filters, "kernel_size": [kernel, kernel], "strides": [stride, stride],
            "padding": padding, "use_bias": false,
        });
        self.push("Conv2D", name, settings, shape);
        self.names.push((name.to_owned(), home.to_owned()));
    }

    fn separable(&mut self, name: &str, filters: usize, home: &str) {
        let shape = vec![self.last.shape[0], self.last.shape[1], filters];
        let settings = json!({"filters": filters, "kernel_size": [3, 3], "padding": "same", "use_bias": false});
        self.push("SeparableConv2D", name, settings, shape);
        self.names.push((name.to_owned(), home.to_owned()));
    }

    fn norm(&mut self, name: &str, home: &str) {
        let settings = json!({"axis": -1, "momentum": 0.99, "epsilon": Variant::Keras.epsilon()});
        self.push("BatchNormalization", name, settings, self.last.shape.clone());
        self.names.push((name.to_owned(), home.to_owned()));
    }

    fn activation(&mut self, name: &str) {
        self.push(
            "Activation",
            name,
            json!({"activation": "relu"}),
            self.last.shape.clone(),
        );
    }

    /// The pool and the shortcut. Keras creates the shortcut's convolution before the pool and its norm after it.
    fn end_of_block(&mut self, stage: &Stage, input: Output, shortcuts: &mut usize, adds: &mut usize) {
        let main = self.last.clone();
        let mut shortcut = input.clone();
        if let Shortcut::Projection { stride } = stage.shortcut {
            self.last = input;
            let home = format!("{}.residual.conv", stage.path());
            self.convolution(&numbered("conv2d", *shortcuts), stage.out_channels(), 1, stride, &home);
            shortcut = std::mem::replace(&mut self.last, main);
        }
        if let Some(pool) = stage.pool {
            let side = |side: usize| side.div_ceil(pool.stride);
            let shape = vec![side(self.last.shape[0]), side(self.last.shape[1]), self.last.shape[2]];
            let settings = json!({"pool_size": [3, 3], "strides": [pool.stride, pool.stride], "padding": "same"});
            self.push("MaxPooling2D", &format!("{}_pool", stage.name), settings, shape);
        }
        if let Shortcut::Projection { .. } = stage.shortcut {
            let pooled = std::mem::replace(&mut self.last, shortcut);
            let home = format!("{}.residual.bn", stage.path());
            self.norm(&numbered("batch_normalization", *shortcuts), &home);
            shortcut = std::mem::replace(&mut self.last, pooled);
            *shortcuts += 1;
        }
        if stage.shortcut != Shortcut::Absent {
            let both = [&self.last, &shortcut];
            let argument = Value::Array(both.map(Output::argument).to_vec());
            let shapes = Value::Array(both.map(Output::batch_shape).to_vec());
            let shape = self.last.shape.clone();
            self.place("Add", &numbered("add", *adds), json!({}), shape, &argument, &shapes);
            *adds += 1;
        }
    }

    fn head(&mut self, spec: &ModelSpec) {
        let network = &spec.network;
        let (class, name) = match network.pooling {
            Pooling::Average => ("GlobalAveragePooling2D", "avg_pool"),
            Pooling::Max => ("GlobalMaxPooling2D", "max_pool"),
            Pooling::None => return,
        };
        self.push(class, name, json!({}), vec![network.embedding_len()]);
        if !network.include_top {
            return;
        }
        for (index, &width) in network.hidden_layers.iter().enumerate() {
            self.dense(
                &format!("hidden_{index}"),
                width,
                "relu",
                &format!("head.hidden.{index}"),
            );
        }
        if network.dropout > 0.0 {
            let shape = self.last.shape.clone();
            self.push("Dropout", "dropout", json!({"rate": network.dropout}), shape);
        }
        // Weights alone don't say how their network pools. `predictions` is the classifier of `keras.applications`, which
        // stands behind an average; another classifier does not get its name.
        let name = match network.pooling {
            Pooling::Average => "predictions",
            _ => "logits",
        };
        // Logits; but several labels a picture are told by a sigmoid alone.
        let activation = if spec.multi_label { "sigmoid" } else { "linear" };
        self.dense(name, network.num_classes, activation, "head.predictions");
    }

    fn dense(&mut self, name: &str, units: usize, activation: &str, home: &str) {
        self.push(
            "Dense",
            name,
            json!({"units": units, "activation": activation}),
            vec![units],
        );
        self.names.push((name.to_owned(), home.to_owned()));
    }

    fn finish(self) -> KerasModel {
        KerasModel {
            config: json!({
                "module": "keras.src.models.functional",
                "class_name": "Functional",
                "config": {
                    "name": "xception",
                    "trainable": true,
                    "layers": self.layers,
                    "input_layers": [["input_layer", 0, 0]],
                    "output_layers": [[self.last.layer, 0, 0]],
                },
                "registered_name": "Functional",
                "build_config": {"input_shape": null},
            }),
            names: self.names,
        }
    }
}

/// Keras's automatic names: `add`, `add_1`, `add_2`.
fn numbered(stem: &str, number: usize) -> String {
    match number {
        0 => stem.to_owned(),
        number => format!("{stem}_{number}"),
    }
}
