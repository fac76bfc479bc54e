//! The content of a card.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use crate::description::Known;
use crate::label::Label;
use crate::outputs::Outputs;
use crate::registry::error::RegistryError;
use crate::registry::weights::{Kind, Weights};
use crate::spec::{InputSpec, ModelSpec};
use crate::zoo::Architecture;

/// A set of weights: the sources of its files, their hashes, the network's input, and the meaning of its outputs.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Card {
    /// The set's name, also of its folder in the cache: lower-case letters, digits, `-`, `_`, `.`.
    pub name: String,
    /// One sentence about the set.
    pub description: String,
    /// The paper's URL.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub paper: Option<String>,
    /// An SPDX expression, or "not stated".
    pub licence: String,
    /// Where the licence is stated; required if `licence` is "not stated".
    #[serde(skip_serializing_if = "Option::is_none")]
    pub licence_note: Option<String>,
    /// The meaning of the outputs; if the card does not say, the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs: Option<Outputs>,
    /// Number of classes; if the card does not say, that of the network.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<usize>,
    /// The architecture, and its options that differ from the defaults; `num_classes` is always there.
    pub network: toml::Table,
    /// The network's input.
    pub input: InputSpec,
    /// The source of the label names; [`Card::labels`] has the names. Only the card of a converted file may lack it.
    #[serde(rename = "labels", skip_serializing_if = "Option::is_none")]
    pub label_source: Option<Labels>,
    /// Published or measured accuracy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub metrics: Option<Metrics>,
    /// The file that the weights were converted from.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub conversion: Option<Conversion>,
    /// The run in which the weights were trained.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub training: Option<Training>,
    /// The files, at most one of each kind.
    pub weights: Vec<Weights>,
    #[serde(skip)]
    pub(super) labels: Vec<Label>,
    #[serde(skip)]
    pub(super) folder: Option<PathBuf>,
}

/// The source of the label names: exactly one of the two.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct Labels {
    /// A file beside the card: one class per line, in class order, `name` or `id<TAB>name`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file: Option<String>,
    /// The lines themselves, in class order.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub names: Option<Vec<String>>,
}

/// Published or measured accuracy.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Metrics {
    /// Share of pictures whose best guess is right, 0 to 1. For pictures with several labels, the share with exactly
    /// the right ones.
    pub top1: f64,
    /// Share of pictures whose best five guesses contain the right one, 0 to 1.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub top5: Option<f64>,
    /// The data on which it was measured.
    pub dataset: String,
    /// The source of the figures.
    pub source: String,
    /// Number of pictures.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<usize>,
    /// F1, averaged over the classes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub macro_f1: Option<f64>,
    /// Mean cross-entropy.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub loss: Option<f64>,
    /// Expected calibration error.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub calibration_error: Option<f64>,
    /// Temperature scaling, where it was measured.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub temperature: Option<TemperatureScaling>,
}

/// A temperature that fits the confidences to the accuracy: a number that divides the logits.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TemperatureScaling {
    /// The number.
    pub value: f64,
    /// The expected calibration error with it.
    pub calibration_error: f64,
    /// Whether the weights have it already.
    pub applied: bool,
}

/// A file that weights were converted from.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Conversion {
    /// The file's name, without its folder.
    pub file: String,
    /// The file's format.
    pub format: String,
    /// The program that wrote the file, if the file says.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub writer: Option<String>,
    /// The file's size.
    pub bytes: u64,
    /// The file's SHA-256 in hex.
    pub sha256: String,
    /// Tensors of the file that were left out.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub left_out: Vec<String>,
    /// Tensors that the file lacks; they have their initial values.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub initial: Vec<String>,
    /// The type of the written numbers.
    pub dtype: String,
    /// Time of the conversion, RFC 3339.
    pub date: String,
    /// The version of the converter.
    pub converter: String,
}

/// A run in which weights were trained.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Training {
    /// The recipe.
    pub recipe: String,
    /// The seed.
    pub seed: u64,
    /// SHA-256 of the pictures and their split.
    pub fingerprint: String,
    /// SHA-256 of the starting weights.
    pub weights_sha256: String,
    /// End of the run, RFC 3339.
    pub date: String,
    /// The version of the trainer.
    pub trainer: String,
    /// The version of Burn.
    pub burn: String,
}

impl Card {
    /// The classes, in the order of the network's outputs.
    pub fn labels(&self) -> &[Label] {
        &self.labels
    }

    /// The folder of a card that was read from a file; weight files in it are used before the cache.
    pub fn folder(&self) -> Option<&Path> {
        self.folder.as_deref()
    }

    /// The weights of this kind.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NoWeights`], which lists the existing kinds.
    pub fn weights(&self, kind: Kind) -> Result<&Weights, RegistryError> {
        self.weights
            .iter()
            .find(|weights| weights.kind == kind)
            .ok_or_else(|| RegistryError::NoWeights {
                card: self.name.clone(),
                kind,
                known: self.weights.iter().map(|weights| weights.kind).collect(),
            })
    }

    /// The kind for a user who names only the card: with the classifier if there is one.
    pub fn main_kind(&self) -> Kind {
        if self.weights.iter().any(|weights| weights.kind == Kind::Full) {
            Kind::Full
        } else {
            Kind::NoTop
        }
    }

    /// The network with its classifier.
    ///
    /// # Errors
    ///
    /// Describes the unknown key or the wrong value.
    pub fn architecture(&self) -> Result<Architecture, String> {
        let table = serde_json::to_value(&self.network).map_err(|error| error.to_string())?;
        let network = Architecture::from_options(table.as_object().cloned().unwrap_or_default())?;
        network.validate().map_err(|error| error.to_string())?;
        Ok(network)
    }

    /// The network of the weights of this kind.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Card`].
    pub fn network(&self, kind: Kind) -> Result<Architecture, RegistryError> {
        let network = self.architecture().map_err(|problem| RegistryError::Card {
            file: Path::new(&self.name).join("card.toml"),
            place: "network".to_owned(),
            problem,
        })?;
        Ok(match kind {
            Kind::Full => network,
            // A file without a classifier has none of the card's head options.
            Kind::NoTop => network.without_top(),
        })
    }

    /// What the card says and the file may leave open.
    ///
    /// # Errors
    ///
    /// [`RegistryError::Card`].
    pub fn known(&self, kind: Kind) -> Result<Known, RegistryError> {
        let network = self.network(kind)?;
        Ok(Known {
            size: Some([self.input.height, self.input.width]),
            pooling: network.pooling(),
            variant: network.variant(),
            hidden_activation: network.hidden_activation(),
            scaling: Some(self.input.scaling),
            preset: self.input.preset,
            outputs: self.outputs.filter(|_| kind == Kind::Full),
            labels: match kind {
                Kind::Full => self.labels.clone(),
                Kind::NoTop => Vec::new(),
            },
            ..Known::default()
        })
    }

    /// The card of one file with a network of this description. The caller adds source, licence and accuracy.
    ///
    /// # Errors
    ///
    /// A number that TOML cannot hold.
    pub fn of_file(spec: &ModelSpec, weights: Weights) -> Result<Self, String> {
        let lines = spec.labels.iter().map(Label::to_line).collect();
        Ok(Self {
            name: name_of(&weights.file),
            description: one_line(&spec.source),
            paper: None,
            licence: "not stated".to_owned(),
            licence_note: None,
            outputs: (weights.kind == Kind::Full).then_some(spec.outputs),
            classes: spec.classes(),
            network: toml::Table::try_from(&spec.network).map_err(|error| error.to_string())?,
            input: spec.input,
            label_source: (!spec.labels.is_empty()).then_some(Labels {
                file: None,
                names: Some(lines),
            }),
            metrics: None,
            conversion: None,
            training: None,
            weights: vec![weights],
            labels: spec.labels.clone(),
            folder: None,
        })
    }

    /// The path of the card that a program writes beside a weight file.
    pub fn beside(weights: &Path) -> PathBuf {
        let mut name = weights.file_name().unwrap_or_default().to_owned();
        name.push(".card.toml");
        weights.with_file_name(name)
    }

    /// The card as TOML, which [`load`](Self::load) reads.
    ///
    /// # Errors
    ///
    /// A number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }
}

/// A card's name, derived from a weight file's.
pub(super) fn name_of(file: &str) -> String {
    let stem = file.split('.').next().unwrap_or_default();
    let name: String = stem
        .chars()
        .take(100)
        .map(|char| match char.to_ascii_lowercase() {
            char if char.is_ascii_alphanumeric() || char == '_' => char,
            _ => '-',
        })
        .collect();
    if name.is_empty() { "model".to_owned() } else { name }
}

/// Any text as one printable line.
pub(super) fn one_line(text: &str) -> String {
    text.replace(char::is_control, " ")
}
