use serde::{Deserialize, Serialize};

use crate::input::Scaling;
use crate::label::Label;
use crate::outputs::Outputs;
use crate::preset::Preset;
use crate::zoo::Architecture;

/// All there is to a trained network but its weights: what it is, what it is fed, what its outputs mean.
///
/// A record carries it as TOML, so that one file is enough to classify.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct ModelSpec {
    /// Where the weights came from, for people.
    pub source: String,
    /// What the outputs are.
    #[serde(skip_serializing_if = "is_softmax")]
    pub outputs: Outputs,
    /// What the network is fed.
    pub input: InputSpec,
    /// The names of its classes in order; empty when they are unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// The network.
    pub network: Architecture,
}

/// A description as records hold it.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    source: String,
    /// Of records before 0.1: outputs of several labels for one picture.
    #[serde(default)]
    multi_label: bool,
    outputs: Option<Outputs>,
    input: InputSpec,
    #[serde(default)]
    labels: Vec<Label>,
    network: Architecture,
}

impl From<Stored> for ModelSpec {
    fn from(stored: Stored) -> Self {
        let told = if stored.multi_label {
            Outputs::Sigmoid
        } else {
            Outputs::Softmax
        };
        Self {
            source: stored.source,
            outputs: stored.outputs.unwrap_or(told),
            input: stored.input,
            labels: stored.labels,
            network: stored.network,
        }
    }
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde asks for a reference")]
fn is_softmax(outputs: &Outputs) -> bool {
    *outputs == Outputs::Softmax
}

/// What a network is fed: a picture resized by a preset, then scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Rows in pixels.
    pub height: usize,
    /// Columns in pixels.
    pub width: usize,
    /// How pictures are brought to that size; `None` when the weights came without saying.
    pub preset: Option<Preset>,
    /// How channel values are scaled; -1..1 in records that do not say.
    #[serde(default)]
    pub scaling: Scaling,
}

impl Default for InputSpec {
    /// 299 x 299, the paper's and Keras's size; no preset; -1..1.
    fn default() -> Self {
        Self {
            height: 299,
            width: 299,
            preset: None,
            scaling: Scaling::Tf,
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
        toml::from_str(text).map_err(|error| error.message().to_owned())
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

    /// How many classes it tells apart; `None` without a classifier, and for a number that is no probability.
    pub fn classes(&self) -> Option<usize> {
        match self.outputs {
            Outputs::Value => None,
            outputs => Some(outputs.classes(self.network.outputs()?)),
        }
    }

    /// Whether a picture may have several classes, or none.
    pub fn is_multi_label(&self) -> bool {
        self.outputs == Outputs::Sigmoid
    }
}
