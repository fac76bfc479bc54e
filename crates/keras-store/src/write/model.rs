//! The Keras model to write, made from its config: its layers and all their variables.

use std::collections::HashSet;

use serde_json::Value;

use crate::config::ConfigNode;
use crate::hdf5::join;
use crate::write::variables::{self, Needed};

/// Why a config cannot be used for writing.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Unusable {
    /// What was expected and what was found.
    Config(String),
    /// The layers whose variables are unknown, with the reason for each.
    Layers(Vec<String>),
}

/// A model with its layers and variables.
#[derive(Debug)]
pub(crate) struct Model {
    pub(crate) root: Part,
    /// All variables, in the order of the layers.
    pub(crate) variables: Vec<Variable>,
}

/// A layer, or a nested model with its layers.
#[derive(Debug)]
pub(crate) struct Part {
    pub(crate) name: String,
    /// The part's name after the names of the models around it, except the outermost.
    pub(crate) path: String,
    /// The class under which Keras builds it.
    pub(crate) class: String,
    pub(crate) trainable: bool,
    /// The layer's variables, as places in [`Model::variables`].
    pub(crate) variables: Vec<usize>,
    /// The content of `model.layers`, for a model.
    pub(crate) parts: Vec<Part>,
}

/// A variable of a layer.
#[derive(Debug)]
pub(crate) struct Variable {
    /// The layer's path.
    pub(crate) layer: String,
    pub(crate) class: String,
    pub(crate) needed: Needed,
    /// Whether the variable and its layer are trainable.
    pub(crate) trainable: bool,
}

impl Model {
    /// Reads a serialised config of a functional or sequential model, from Keras 3 or from a legacy file.
    pub(crate) fn of(config: &Value) -> Result<Self, Unusable> {
        let node = ConfigNode::of(config).filter(is_model).ok_or_else(|| {
            let class = config.get("class_name").and_then(Value::as_str);
            let found = class.map_or("no `class_name` and `config`".to_owned(), |class| format!("`{class}`"));
            Unusable::Config(format!("expected a Functional or Sequential model, found {found}"))
        })?;
        let mut reader = Reader {
            variables: Vec::new(),
            unknown: Vec::new(),
        };
        let root = reader.part(&node, "")?;
        if !reader.unknown.is_empty() {
            return Err(Unusable::Layers(reader.unknown));
        }
        if reader.variables.is_empty() {
            return Err(Unusable::Config("none of the model's layers has a variable".into()));
        }
        Ok(Self {
            root,
            variables: reader.variables,
        })
    }
}

/// Whether this is a model of Keras's own class. A model of a user's class is defined in the user's code.
fn is_model(node: &ConfigNode<'_>) -> bool {
    // Keras 2 called a functional model `Model` for some versions.
    matches!(node.class, "Functional" | "Model" | "Sequential")
}

struct Reader {
    variables: Vec<Variable>,
    unknown: Vec<String>,
}

impl Reader {
    fn part(&mut self, node: &ConfigNode<'_>, path: &str) -> Result<Part, Unusable> {
        if node.name.is_empty() || node.name.contains('\0') {
            let name = node.name.escape_debug();
            return Err(Unusable::Config(format!(
                "`{path}` has the name `{name}`, which HDF5 does not allow"
            )));
        }
        let mut part = Part {
            name: node.name.to_owned(),
            path: path.to_owned(),
            class: if node.class == "Model" {
                "Functional"
            } else {
                node.class
            }
            .to_owned(),
            trainable: node.setting("trainable").and_then(Value::as_bool).unwrap_or(true),
            variables: Vec::new(),
            parts: Vec::new(),
        };
        if is_model(node) {
            let mut names = HashSet::new();
            for (index, layer) in node.layers.iter().enumerate() {
                if !names.insert(layer.name) {
                    return Err(Unusable::Config(format!(
                        "two layers of `{}` are named `{}`",
                        node.name, layer.name
                    )));
                }
                // `Sequential.layers` omits its input.
                if index == 0 && node.class == "Sequential" && layer.class == "InputLayer" {
                    continue;
                }
                part.parts.push(self.part(layer, &join(path, layer.name))?);
            }
            return Ok(part);
        }
        match variables::of(node) {
            Err(reason) => self.unknown.push(format!("`{path}` ({}: {reason})", node.class)),
            Ok(needed) => {
                let first = self.variables.len();
                part.variables = (first..first + needed.len()).collect();
                self.variables.extend(needed.into_iter().map(|needed| Variable {
                    layer: path.to_owned(),
                    class: node.class.to_owned(),
                    trainable: needed.trainable && part.trainable,
                    needed,
                }));
            }
        }
        Ok(part)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn dense(name: &str) -> Value {
        json!({"class_name": "Dense", "config": {"name": name, "units": 2, "use_bias": false}})
    }

    fn sequential(layers: &[Value]) -> Value {
        json!({"class_name": "Sequential", "config": {"name": "model", "layers": layers}})
    }

    #[test]
    fn layers_and_variables_are_in_the_models_order_under_their_paths() {
        let input = json!({"class_name": "InputLayer", "config": {"name": "input"}});
        let mut frozen = dense("second");
        frozen["config"]["trainable"] = false.into();
        let inner = json!({"class_name": "Model", "config": {"name": "inner", "layers": [input.clone(), frozen]}});
        let model = Model::of(&sequential(&[input, dense("first"), inner])).unwrap();
        let paths: Vec<_> = model
            .variables
            .iter()
            .map(|v| (v.layer.as_str(), v.trainable))
            .collect();
        assert_eq!(paths, [("first", true), ("inner/second", false)]);
        let parts = &model.root.parts;
        assert_eq!(parts.len(), 2);
        assert_eq!(
            (parts[1].name.as_str(), parts[1].class.as_str()),
            ("inner", "Functional")
        );
        // A functional model lists its input.
        assert_eq!(parts[1].parts.len(), 2);
        assert_eq!(parts[1].parts[1].variables, [1]);
    }

    #[test]
    fn all_unknown_layers_are_listed() {
        let lstm = json!({"class_name": "LSTM", "config": {"name": "memory", "units": 2}});
        let own = json!({"class_name": "Mine", "config": {"name": "mine"}, "registered_name": "a>Mine"});
        let Err(Unusable::Layers(layers)) = Model::of(&sequential(&[lstm, dense("d"), own])) else {
            panic!()
        };
        assert_eq!(
            layers,
            [
                "`memory` (LSTM: an unknown class)",
                "`mine` (Mine: a class of the user's own)"
            ]
        );
    }

    #[test]
    fn a_config_of_no_model_is_refused() {
        for (config, part) in [
            (json!({}), "found no `class_name`"),
            (dense("alone"), "found `Dense`"),
            (
                json!({"class_name": "MyModel", "config": {"name": "m", "layers": []}}),
                "found `MyModel`",
            ),
            (sequential(&[]), "none of the model's layers"),
            (
                sequential(&[dense("a"), dense("a")]),
                "two layers of `model` are named `a`",
            ),
            (sequential(&[dense("")]), "has the name ``"),
            (sequential(&[dense("a\0b")]), "which HDF5 does not allow"),
        ] {
            match Model::of(&config) {
                Err(Unusable::Config(reason)) => assert!(reason.contains(part), "{reason}"),
                other => panic!("{config}: {other:?}"),
            }
        }
    }
}
