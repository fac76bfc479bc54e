//! The layers in a model's config and their connections. The layers of nested models are lifted into the outer model.

use std::collections::HashMap;

use graph::MAX_NODES;
use serde_json::Value;

use super::call::{Call, Operand};

/// Longest name of a layer.
const MAX_NAME: usize = 300;

/// A layer.
pub(super) struct Layer<'a> {
    /// The layer's path, as in keras-store: its name after the names of the models around it.
    pub(super) path: String,
    pub(super) class: &'a str,
    /// Whether the class is the user's own, whatever its name.
    pub(super) is_custom: bool,
    /// Whether the entry is a function called on tensors and not a layer.
    pub(super) is_operation: bool,
    /// The layer's own settings.
    pub(super) config: &'a Value,
    /// What the layer reads; a tensor is given by the index of its layer.
    pub(super) operands: Vec<Operand<usize>>,
    /// How often the model calls the layer.
    pub(super) calls: usize,
    /// Whether the model calls it with `training=True`.
    pub(super) training: bool,
    /// The target type of a cast.
    pub(super) dtype: Option<&'a str>,
}

impl Layer<'_> {
    /// The layers whose outputs this layer reads.
    pub(super) fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Tensor(from) => Some(*from),
            Operand::Constant(_) => None,
        })
    }
}

/// A model's layers.
pub(super) struct Wiring<'a> {
    pub(super) layers: Vec<Layer<'a>>,
    /// The layer that takes the picture.
    pub(super) entry: usize,
    pub(super) output: usize,
}

/// A layer or a whole model, as other layers see it.
#[derive(Clone, Copy)]
struct Part {
    /// The layer that takes the input.
    entry: usize,
    output: usize,
}

impl<'a> Wiring<'a> {
    /// `None` for a model without a list of layers: a subclassed model is defined by its program.
    pub(super) fn of(model: &'a Value) -> Result<Option<Self>, String> {
        if layers_of(model).is_none() {
            return Ok(None);
        }
        let mut wiring = Self {
            layers: Vec::new(),
            entry: 0,
            output: 0,
        };
        let Part { entry, output } = wiring.model(model, "")?;
        Ok(Some(Self {
            entry,
            output,
            ..wiring
        }))
    }

    /// The recursion is bounded: `serde_json` reads at most 128 levels.
    fn model(&mut self, model: &'a Value, path: &str) -> Result<Part, String> {
        let children = layers_of(model).unwrap_or_default();
        let mut parts: HashMap<&str, Part> = HashMap::with_capacity(children.len());
        let mut order = Vec::with_capacity(children.len());
        for layer in children {
            let (Some(class), Some(name)) = (text(layer, "class_name"), name(layer)) else {
                return Err(format!("{} lists a layer without a name or class", place(path)));
            };
            let own = layer
                .get("config")
                .and_then(|config| text(config, "name"))
                .unwrap_or(name);
            // Each layer's path repeats the names of all models around it, so long names would multiply.
            if own.len() > MAX_NAME {
                return Err(format!(
                    "{} has a layer whose name has {} bytes; at most {MAX_NAME} are possible",
                    place(path),
                    own.len()
                ));
            }
            let inner = if path.is_empty() {
                own.to_owned()
            } else {
                format!("{path}/{own}")
            };
            let part = if layers_of(layer).is_some() {
                self.model(layer, &inner)?
            } else {
                self.layer(layer, class, inner)?
            };
            if parts.insert(name, part).is_some() {
                return Err(format!("{} has two layers of the name {name}", place(path)));
            }
            order.push((part, layer));
        }
        let (Some((first, _)), Some((last, _))) = (order.first(), order.last()) else {
            return Err(format!("{} has no layers", place(path)));
        };
        // A `Sequential` has no connections; the order of its layers is the order of computation.
        if !order.iter().any(|(_, layer)| layer.get("inbound_nodes").is_some()) {
            let part = Part {
                entry: first.entry,
                output: last.output,
            };
            for pair in order.windows(2) {
                if let [(before, _), (next, _)] = pair {
                    self.layers[next.entry].operands = vec![Operand::Tensor(before.output)];
                }
            }
            return Ok(part);
        }
        for (part, layer) in &order {
            let Some(nodes) = layer.get("inbound_nodes") else {
                continue;
            };
            let call = Call::of(nodes);
            let path = &self.layers[part.entry].path;
            let operand = |operand: Operand<&str>| match operand {
                Operand::Constant(values) => Ok(Operand::Constant(values)),
                Operand::Tensor(from) => match parts.get(from) {
                    Some(part) => Ok(Operand::Tensor(part.output)),
                    None => Err(format!(
                        "layer {path} reads the layer {from}, which the model does not have"
                    )),
                },
            };
            let operands = call.operands.into_iter().map(operand).collect::<Result<_, _>>()?;
            let entry = &mut self.layers[part.entry];
            entry.operands = operands;
            entry.calls = nodes.as_array().map_or(1, Vec::len);
            entry.training |= call.training;
            entry.dtype = call.dtype;
        }
        let end = |key: &str, what: &str| {
            let ends = model.get("config").and_then(|config| config.get(key)).map(Call::of);
            match ends.map(|ends| ends.tensors()).unwrap_or_default()[..] {
                [end] => parts
                    .get(end)
                    .copied()
                    .ok_or_else(|| format!("{} has the {what} {end}, and no layer of that name", place(path))),
                ref ends => Err(format!(
                    "{} has {} {what}s{}; a network here has one",
                    place(path),
                    ends.len(),
                    listed(ends)
                )),
            }
        };
        Ok(Part {
            output: end("output_layers", "output")?.output,
            entry: end("input_layers", "input")?.entry,
        })
    }

    fn layer(&mut self, layer: &'a Value, class: &'a str, path: String) -> Result<Part, String> {
        if self.layers.len() >= MAX_NODES {
            return Err(format!(
                "it has more than the {MAX_NODES} layers that a network here can have"
            ));
        }
        self.layers.push(Layer {
            path,
            class,
            is_custom: is_custom(layer),
            is_operation: class == "TFOpLambda" || text(layer, "module").is_some_and(|module| module.contains(".ops")),
            config: layer.get("config").unwrap_or(&Value::Null),
            operands: Vec::new(),
            calls: 1,
            training: false,
            dtype: None,
        });
        let only = self.layers.len() - 1;
        Ok(Part {
            entry: only,
            output: only,
        })
    }
}

/// The layers in a model's config; `None` for a layer's config.
pub(super) fn layers_of(model: &Value) -> Option<&[Value]> {
    let config = model.get("config")?;
    // Keras < 2.2.3 wrote the config of a `Sequential` as the bare list of its layers.
    config.get("layers").unwrap_or(config).as_array().map(Vec::as_slice)
}

fn text<'a>(value: &'a Value, key: &str) -> Option<&'a str> {
    value.get(key).and_then(Value::as_str)
}

/// A layer's name. A functional model repeats it outside of the layer's config.
fn name(layer: &Value) -> Option<&str> {
    text(layer, "name").or_else(|| text(layer.get("config")?, "name"))
}

/// Whether the class is the user's own. Keras's own classes have a module of Keras in the config, or, in a legacy
/// config, no module.
fn is_custom(layer: &Value) -> bool {
    match text(layer, "module") {
        Some(module) => !["keras", "tf_keras", "tensorflow"].contains(&module.split('.').next().unwrap_or_default()),
        None => text(layer, "registered_name").is_some_and(|name| !name.starts_with("keras>")),
    }
}

/// A model's place for messages.
fn place(path: &str) -> String {
    if path.is_empty() {
        "the model".to_owned()
    } else {
        format!("the model {path}")
    }
}

/// The first few names in brackets.
fn listed(names: &[&str]) -> String {
    const SHOWN: usize = 5;
    if names.is_empty() {
        return String::new();
    }
    let more = if names.len() > SHOWN { ", .." } else { "" };
    format!(" ({}{more})", names[..names.len().min(SHOWN)].join(", "))
}
