//! The layers in a model's config and their connections. The layers of nested models are lifted into the outer model.

use std::collections::HashMap;

use graph::MAX_NODES;
use serde_json::Value;

use super::call::{Call, Operand, Reference, notes_training};
use super::settings::input_shape;

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
    /// What the layer reads.
    pub(super) operands: Vec<Operand<Output>>,
    /// The call's arguments as they are written.
    pub(super) arguments: &'a Value,
    /// Which call of the layer this is, from 0: a model may call a layer several times.
    pub(super) call: usize,
    /// Why the layer cannot be computed, whatever its class.
    pub(super) problem: Option<String>,
    /// Whether the layer is called with `training=True`.
    pub(super) training: bool,
    /// The target type of a cast.
    pub(super) dtype: Option<&'a str>,
}

/// An output of a layer: the layer's index, and which of its outputs.
pub(super) type Output = (usize, usize);

impl Layer<'_> {
    /// The layers whose outputs this layer reads.
    pub(super) fn inputs(&self) -> impl Iterator<Item = usize> + '_ {
        self.operands.iter().filter_map(|operand| match operand {
            Operand::Tensor((from, _)) => Some(*from),
            Operand::Constant(_) => None,
        })
    }
}

/// A model's layers.
pub(super) struct Wiring<'a> {
    pub(super) layers: Vec<Layer<'a>>,
    /// The layer that takes the picture.
    pub(super) entry: usize,
    /// The layers that give the model's outputs.
    pub(super) outputs: Vec<usize>,
}

/// A layer or a whole model, seen from outside.
#[derive(Clone)]
struct Part {
    /// The layer that takes the input.
    entry: usize,
    /// The output in each call.
    outputs: Vec<usize>,
}

impl Part {
    /// The layer that gives the output of a call. If there is only one call, its number does not matter.
    fn output(&self, call: usize) -> Option<usize> {
        match self.outputs[..] {
            [only] => Some(only),
            _ => self.outputs.get(call).copied(),
        }
    }
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
            outputs: Vec::new(),
        };
        let whole = wiring.model(model, "")?;
        wiring.entry = whole.entry;
        // A functional model has already stored its outputs.
        if wiring.outputs.is_empty() {
            wiring.outputs = whole.outputs;
        }
        Ok(Some(wiring))
    }

    /// The recursion is bounded: `serde_json` reads at most 128 levels.
    #[allow(clippy::too_many_lines, reason = "one walk over the layers and their calls")]
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
            if parts.insert(name, part.clone()).is_some() {
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
                outputs: last.outputs.clone(),
            };
            for pair in order.windows(2) {
                if let [(before, _), (next, _)] = pair {
                    let read = before.output(0).map(|from| Operand::Tensor((from, 0)));
                    self.layers[next.entry].operands = read.into_iter().collect();
                }
            }
            return Ok(part);
        }
        self.calls(path, &mut order, &mut parts)?;
        let ends = |key: &str, what: &str| {
            let ends = model.get("config").and_then(|config| config.get(key)).map(Call::of);
            let ends = ends.map(|ends| ends.tensors()).unwrap_or_default();
            let part = |Reference { layer: name, call, .. }: Reference<'_>| match parts
                .get(name)
                .map(|part| (part.entry, part.output(call)))
            {
                Some((entry, Some(output))) => Ok((entry, output)),
                Some(_) => Err(format!(
                    "{} has the {what} {name} of its call {call}, and there is none",
                    place(path)
                )),
                None => Err(format!(
                    "{} has the {what} {name}, and no layer of that name",
                    place(path)
                )),
            };
            let found: Vec<_> = ends.iter().copied().map(part).collect::<Result<_, _>>()?;
            let names: Vec<&str> = ends.iter().map(|end| end.layer).collect();
            match found[..] {
                [_] => Ok(found),
                // Several outputs of the whole model are refused later, once its backbone is known.
                [_, ..] if path.is_empty() => Ok(found),
                _ => Err(format!(
                    "{} has {} {what}s{}; a network here has one",
                    place(path),
                    names.len(),
                    listed(&names)
                )),
            }
        };
        let outputs: Vec<usize> = ends("output_layers", "output")?
            .into_iter()
            .map(|(_, output)| output)
            .collect();
        let inputs: Vec<usize> = ends("input_layers", "input")?
            .into_iter()
            .map(|(entry, _)| entry)
            .collect();
        // If there are several inputs, the pictures are the input with four axes.
        let is_input = |entry: &usize| self.layers[*entry].class == "InputLayer";
        let is_picture = |entry: &usize| {
            let shape = input_shape(self.layers[*entry].config);
            shape.is_some_and(|shape| shape.len() == 4)
        };
        let pictures: Vec<usize> = inputs.iter().copied().filter(is_picture).collect();
        let entry = match (&inputs[..], &pictures[..]) {
            ([only], _) => *only,
            (_, [only]) if inputs.iter().all(is_input) => *only,
            _ => {
                let names: Vec<&str> = inputs.iter().map(|entry| self.layers[*entry].path.as_str()).collect();
                return Err(format!(
                    "{} has {} inputs{}; a network here has one",
                    place(path),
                    inputs.len(),
                    listed(&names)
                ));
            }
        };
        if path.is_empty() {
            self.outputs.clone_from(&outputs);
        }
        Ok(Part { entry, outputs })
    }

    /// The arguments of the calls of each layer of a functional model.
    fn calls(
        &mut self,
        path: &str,
        order: &mut [(Part, &'a Value)],
        parts: &mut HashMap<&'a str, Part>,
    ) -> Result<(), String> {
        // A layer that is called several times becomes one layer for each call.
        for (part, layer) in order.iter_mut() {
            let layer: &'a Value = layer;
            let calls = layer.get("inbound_nodes").and_then(Value::as_array).map_or(1, Vec::len);
            let Some(name) = name(layer) else { continue };
            if calls < 2 {
                continue;
            }
            if layers_of(layer).is_some() {
                self.layers[part.entry].problem = Some(format!(
                    "the model it stands in, {name}, is used {calls} times; a network here uses a model once"
                ));
                continue;
            }
            for call in 1..calls {
                self.push(Layer {
                    call,
                    path: self.layers[part.entry].path.clone(),
                    problem: self.layers[part.entry].problem.clone(),
                    operands: Vec::new(),
                    ..self.layers[part.entry]
                })?;
                part.outputs.push(self.layers.len() - 1);
            }
            parts.insert(name, part.clone());
        }
        for (part, layer) in order.iter() {
            let Some(nodes) = layer.get("inbound_nodes") else {
                continue;
            };
            let is_model = layers_of(layer).is_some();
            let calls = nodes.as_array().map(Vec::as_slice).unwrap_or_default();
            let calls: Vec<&Value> = if calls.len() < 2 {
                vec![nodes]
            } else {
                calls.iter().collect()
            };
            for (number, call) in calls.into_iter().enumerate() {
                let index = if is_model {
                    part.entry
                } else {
                    part.output(number).unwrap_or(part.entry)
                };
                let arguments = call;
                let call = Call::of(call);
                let own = &self.layers[index].path;
                let operand = |operand: Operand<Reference<'_>>| match operand {
                    Operand::Constant(values) => Ok(Operand::Constant(values)),
                    Operand::Tensor(Reference {
                        layer: from,
                        call,
                        output,
                    }) => match parts.get(from).map(|part| part.output(call)) {
                        Some(Some(layer)) => Ok(Operand::Tensor((layer, output))),
                        Some(None) => Err(format!(
                            "layer {own} reads the output of call {call} of the layer {from}, which has no such call"
                        )),
                        None => Err(format!(
                            "layer {own} reads the layer {from}, which {} does not have",
                            place(path)
                        )),
                    },
                };
                let operands = call.operands.into_iter().map(operand).collect::<Result<_, _>>()?;
                let entry = &mut self.layers[index];
                entry.operands = operands;
                entry.arguments = arguments;
                entry.training |= call.training && !(call.is_keras3 && notes_training(entry.class));
                entry.dtype = call.dtype;
            }
        }
        Ok(())
    }

    fn push(&mut self, layer: Layer<'a>) -> Result<(), String> {
        if self.layers.len() >= MAX_NODES {
            return Err(format!(
                "it has more than the {MAX_NODES} layers that a network here can have"
            ));
        }
        self.layers.push(layer);
        Ok(())
    }

    fn layer(&mut self, layer: &'a Value, class: &'a str, path: String) -> Result<Part, String> {
        self.push(Layer {
            path,
            class,
            is_custom: is_custom(layer),
            is_operation: matches!(class, "TFOpLambda" | "SlicingOpLambda")
                || text(layer, "module").is_some_and(|module| module.contains(".ops")),
            config: layer.get("config").unwrap_or(&Value::Null),
            operands: Vec::new(),
            arguments: &Value::Null,
            call: 0,
            problem: None,
            training: false,
            dtype: None,
        })?;
        let only = self.layers.len() - 1;
        Ok(Part {
            entry: only,
            outputs: vec![only],
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
/// config, no module. `KerasCV`'s augmentation is refused as a user's own: it changes pictures in inference too
/// (`BaseImageAugmentationLayer.call` knows no `training`).
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
