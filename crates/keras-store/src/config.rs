//! The tree of layers in `config.json` or `model_config`.

use serde_json::Value;

/// A layer, or a model with layers; borrows the parsed JSON.
pub(crate) struct ConfigNode<'a> {
    pub(crate) name: &'a str,
    pub(crate) class: &'a str,
    pub(crate) json: &'a Value,
    /// In the order of `model.layers`, which is topological. Empty for a layer.
    pub(crate) layers: Vec<ConfigNode<'a>>,
}

impl<'a> ConfigNode<'a> {
    /// `None` for JSON that describes no Keras object. `serde_json` parses at most 128 levels, which bounds the depth.
    pub(crate) fn of(json: &'a Value) -> Option<Self> {
        let class = json.get("class_name")?.as_str()?;
        let config = json.get("config")?;
        let name = config
            .get("name")
            .or_else(|| json.get("name"))
            .and_then(Value::as_str)
            .unwrap_or(class);
        // Keras < 2.2.3 wrote the config of a Sequential as the bare list of its layers.
        let layers = config
            .get("layers")
            .unwrap_or(config)
            .as_array()
            .map(Vec::as_slice)
            .unwrap_or_default()
            .iter()
            .filter(|child| !is_operation(child))
            .filter_map(Self::of)
            .collect();
        Some(Self {
            name,
            class,
            json,
            layers,
        })
    }

    /// Bytes of the paths of all layers inside; each path includes the names of the models around the layer.
    pub(crate) fn path_bytes(&self) -> usize {
        fn within(node: &ConfigNode<'_>, around: usize) -> usize {
            let own = around.saturating_add(node.name.len() + 1);
            let layers = node.layers.iter().map(|layer| within(layer, own));
            layers.fold(own, usize::saturating_add)
        }
        within(self, 0)
    }

    /// A setting of the layer, such as `use_bias`.
    pub(crate) fn setting(&self, name: &str) -> Option<&'a Value> {
        self.json.get("config")?.get(name)
    }

    /// The layer that this layer keeps in an attribute, as a wrapper does (`TimeDistributed.layer`).
    pub(crate) fn attribute(&self, name: &str) -> Option<Self> {
        Self::of(self.setting(name)?)
    }
}

/// Whether this is an operation (`keras.ops.add`). Keras 3 lists operations of a functional model among its layers, but
/// does not count them when it numbers the layers' groups.
fn is_operation(json: &Value) -> bool {
    json.get("module")
        .and_then(Value::as_str)
        .is_some_and(|module| module.starts_with("keras.src.ops") || module.starts_with("keras.ops"))
}
