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
    /// The class's label, or its number where it has none.
    pub fn label(&self, class: usize) -> Label {
        self.labels
            .get(class)
            .cloned()
            .unwrap_or_else(|| Label::new(format!("class {class}")))
    }
}
