//! The type of numbers in which Keras computes with a model.

use std::fmt;
use std::path::Path;

use keras_store::KerasStore;
use serde_json::Value;

use super::wiring::layers_of;

/// A dtype policy other than `float32`, such as `mixed_float16`: the layers compute in 16 bits, and Keras's own outputs
/// contain their rounding errors. Networks here compute in 32 bits, as Keras does with the same weights under the
/// policy `float32`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Policy(String);

impl Policy {
    /// The policy of the first layer whose policy differs from `float32`; `None` if all layers compute in 32 or 64
    /// bits.
    pub fn of(config: &Value) -> Option<Self> {
        let Some(layers) = layers_of(config) else {
            let dtype = config.get("config")?.get("dtype")?;
            // Keras 2 and 3 write an object with the policy's name, earlier versions the name.
            let name = dtype
                .get("config")
                .and_then(|config| config.get("name"))
                .unwrap_or(dtype);
            let name = name.as_str()?;
            return name.contains("float16").then(|| Self(name.to_owned()));
        };
        layers.iter().find_map(Self::of)
    }
}

impl fmt::Display for Policy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let rounding = if self.0.contains("bfloat16") { "1e-2" } else { "1e-3" };
        write!(
            f,
            "it was saved with the policy {}, so Keras computes it in 16 bits; here it is computed in 32 bits, as \
             by Keras with keras.config.set_dtype_policy(\"float32\") and the same weights, and Keras's own \
             outputs differ by roundings of up to about {rounding} of their norm",
            self.0
        )
    }
}

/// The policy of the model in a Keras file; `None` if the model computes in 32 bits or cannot be read.
pub fn policy(path: &Path) -> Option<Policy> {
    let mut store = KerasStore::from_file(path);
    store.model_config().ok()?.and_then(Policy::of)
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn a_policy_is_found_in_nested_models() {
        let layer = |dtype: Value| json!({"class_name": "Conv2D", "config": {"dtype": dtype}});
        let keras3 = json!({"class_name": "DTypePolicy", "config": {"name": "mixed_bfloat16"}});
        let nested = json!({"config": {"layers": [layer(keras3)]}});
        let model = |layers: Value| json!({"config": {"name": "model", "layers": layers}});
        let of = |config: Value| Policy::of(&config).map(|policy| policy.0);
        assert_eq!(
            of(model(json!([layer(json!("float32")), nested]))),
            Some("mixed_bfloat16".into())
        );
        assert_eq!(of(model(json!([layer(json!("float16"))]))), Some("float16".into()));
        assert_eq!(of(model(json!([layer(json!("float32"))]))), None);
    }
}
