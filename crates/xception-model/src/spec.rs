use serde::{Deserialize, Serialize};

use crate::config::XceptionConfig;
use crate::labels::Label;
use crate::picture::Preset;

/// All there is to a trained network but its weights: what it is, what it is fed, what its outputs mean.
///
/// A record carries it as TOML, so that one file is enough to classify.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelSpec {
    /// Where the weights came from, for people.
    pub source: String,
    /// Whether a picture may show several classes or none: probabilities are then a sigmoid's, each class's for itself,
    /// and otherwise a softmax's.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub multi_label: bool,
    /// What the network is fed.
    pub input: InputSpec,
    /// The names of its classes in order; empty when they are unknown.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// The network.
    pub network: XceptionConfig,
}

/// What a network is fed: a picture resized by a preset, then scaled to -1..=1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Rows in pixels.
    pub height: usize,
    /// Columns in pixels.
    pub width: usize,
    /// How pictures are brought to that size; `None` when the weights came without saying.
    pub preset: Option<Preset>,
}

impl Default for InputSpec {
    /// 299 x 299, the paper's and Keras's size; no preset.
    fn default() -> Self {
        Self {
            height: 299,
            width: 299,
            preset: None,
        }
    }
}

impl ModelSpec {
    /// The key under which the metadata of a weight file (Burn record, safetensors, ONNX) holds the description.
    pub const KEY: &str = "xception";

    /// Reads a description as [`to_toml`](Self::to_toml) writes it.
    ///
    /// # Errors
    ///
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        #[derive(Deserialize)]
        struct Network {
            network: toml::Table,
        }
        let spec: Self = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        let table: Network = toml::from_str(text).map_err(|error| error.message().to_owned())?;
        known_options(&table.network)?;
        Ok(spec)
    }

    /// The description as TOML.
    ///
    /// # Errors
    ///
    /// A size that TOML's 63 bits cannot hold.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    /// The class's label, or its number where it has none.
    pub fn label(&self, class: usize) -> Label {
        self.labels
            .get(class)
            .cloned()
            .unwrap_or_else(|| Label::new(format!("class {class}")))
    }
}

/// Refuses a key that is no option of the network: Burn's `Config` skips options it doesn't know, and one that is skipped
/// is another network.
pub(crate) fn known_options(table: &toml::Table) -> Result<(), String> {
    let known = toml::Table::try_from(XceptionConfig::new()).map_err(|error| error.to_string())?;
    match table.keys().find(|key| !known.contains_key(*key)) {
        Some(unknown) => Err(format!("`{unknown}` is no option of the network")),
        None => Ok(()),
    }
}
