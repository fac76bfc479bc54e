use serde::{Deserialize, Serialize};

use crate::error::InputError;
use crate::input::Scaling;
use crate::label::Label;
use crate::network::check_size;
use crate::outputs::Outputs;
use crate::preset::Preset;
use crate::reading::Reading;
use crate::zoo::Architecture;

/// Everything about a trained network except its weights: the network, its input, and the meaning of its outputs.
///
/// A record contains it as TOML, so that one file is enough to classify.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(from = "Stored")]
pub struct ModelSpec {
    /// The origin of the weights, as a text for people.
    pub source: String,
    /// The meaning of the outputs.
    #[serde(skip_serializing_if = "is_softmax")]
    pub outputs: Outputs,
    /// The network's input.
    pub input: InputSpec,
    /// The class names in order; empty if they are unknown.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub labels: Vec<Label>,
    /// The network.
    pub network: Architecture,
}

/// A specification as stored in records.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Stored {
    source: String,
    /// Only in records before 0.1: several labels for one picture.
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

/// A network's input: a picture, resized by a preset, then scaled.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct InputSpec {
    /// Rows, in pixels.
    pub height: usize,
    /// Columns, in pixels.
    pub width: usize,
    /// The preset by which pictures are resized; `None` if it is unknown.
    pub preset: Option<Preset>,
    /// The scaling of channel values; -1..1 in records that do not state one.
    #[serde(default)]
    pub scaling: Scaling,
    /// How orientation, transparency and 16-bit samples are treated; records leave the defaults out.
    #[serde(default, skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
}

impl Default for InputSpec {
    /// 299 x 299, the paper's and Keras's size; no preset; -1..1.
    fn default() -> Self {
        Self {
            height: 299,
            width: 299,
            preset: None,
            scaling: Scaling::Tf,
            reading: Reading::default(),
        }
    }
}

impl ModelSpec {
    /// The key of the specification in the metadata of a weight file (Burn record, safetensors, ONNX).
    pub const KEY: &str = "xception";

    /// Reads a specification written by [`to_toml`](Self::to_toml).
    ///
    /// # Errors
    ///
    /// The problem with the text.
    pub fn parse(text: &str) -> Result<Self, String> {
        toml::from_str(text).map_err(|error| error.message().to_owned())
    }

    /// The specification as TOML.
    ///
    /// # Errors
    ///
    /// A size that TOML's 63 bits cannot hold.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }

    /// The class's label, or its number if it has none.
    pub fn label(&self, class: usize) -> Label {
        self.labels
            .get(class)
            .cloned()
            .unwrap_or_else(|| Label::new(format!("class {class}")))
    }

    /// Number of classes; `None` without a classifier, and for an output that is no probability.
    pub fn classes(&self) -> Option<usize> {
        match self.outputs {
            Outputs::Value => None,
            outputs => Some(outputs.classes(self.network.outputs()?)),
        }
    }

    /// Checks that the network takes pictures of the size of its input.
    ///
    /// # Errors
    ///
    /// [`InputError::TooSmall`], or a layer whose output would be empty or too large.
    pub fn check_size(&self) -> Result<(), InputError> {
        check_size(&self.network.graph(), self.input.height, self.input.width)
    }

    /// Whether a picture may have several classes, or none.
    pub fn is_multi_label(&self) -> bool {
        self.outputs == Outputs::Sigmoid
    }
}
