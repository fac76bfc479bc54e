//! What can go wrong with weight files.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::ConfigError;
use crate::label::LabelError;
use crate::unknown::{self, Unknown};

/// A weight file that makes no network, or a record that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        source: std::io::Error,
    },
    /// The file is none of the formats that are read.
    #[error(
        "{} is not a weight file that is loaded as it is (`xception convert` makes a record of PyTorch, safetensors \
         and ONNX files): expected a Burn record (.bpk) or a Keras file (.keras, .weights.h5, .h5), found {found}",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What its first bytes look like.
        found: &'static str,
    },
    /// A burnpack file is damaged.
    #[error("{}: {problem}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A burnpack file holds no description of the network.
    #[error(
        "{} is a Burn record without a description of its network: save it with `xception_model::save`, \
         or load it into a network of your own with Burn's `load_file`",
        path.display()
    )]
    NoSpec {
        /// The record.
        path: PathBuf,
    },
    /// A file's tensors are not the network's.
    #[error("{}: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// The tensors that differ.
        mismatch: TensorMismatch,
    },
    /// The file describes an impossible network.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The option that makes no network.
        source: ConfigError,
    },
    /// The file's labels name no classes.
    #[error("{}: {source}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// The first label that fails.
        source: LabelError,
    },
    /// The labels are not as many as the classes.
    #[error("{}: {labels} labels for {classes} classes; there must be one for each", path.display())]
    LabelCount {
        /// The file.
        path: PathBuf,
        /// How many labels there are.
        labels: usize,
        /// How many classes the network has.
        classes: usize,
    },
    /// The record could not be written.
    #[error("cannot write {}: {problem}", path.display())]
    Write {
        /// The record.
        path: PathBuf,
        /// The system's word.
        problem: String,
    },
    /// A Keras file could not be read or does not fit.
    #[cfg(feature = "keras")]
    #[error(transparent)]
    Keras(#[from] keras_store::KerasStoreError),
    /// A file holds a network with a layer that cannot be computed here, or weights alone of one that is not known.
    #[error("{}: {problem}", path.display())]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file leaves open something that must be known.
    #[error(
        "{path} does not say {}; convert the file once with that option (`xception convert {path} OUTPUT.bpk`), and \
         load the output",
        unknown::list(unknown),
        path = path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What the file leaves open.
        unknown: Vec<Unknown>,
    },
    /// What the caller knows is not what the file says.
    #[error("{}: {flag} {said} was given, and the file says {found}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The option.
        flag: &'static str,
        /// What was given.
        said: String,
        /// What the file says.
        found: String,
    },
    /// Trained weights could not be fetched.
    #[cfg(feature = "pretrained")]
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
}

/// The tensors of a record that are not those of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorMismatch {
    /// Names the network has and the file has not.
    pub missing: Vec<String>,
    /// Names the file has and the network has not.
    pub unused: Vec<String>,
    /// Name, shape expected, shape found.
    pub shapes: Vec<(String, Vec<usize>, Vec<usize>)>,
    /// Names of tensors that hold no floating-point numbers.
    pub dtypes: Vec<String>,
}

impl TensorMismatch {
    pub(crate) fn is_empty(&self) -> bool {
        *self == Self::default()
    }
}

impl std::fmt::Display for TensorMismatch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        /// Longer lists say no more to people.
        const SHOWN: usize = 10;
        let mut text = String::from("its tensors are not those of the network it describes");
        let mut list = |title: &str, names: Vec<String>| {
            if !names.is_empty() {
                let shown = names.iter().take(SHOWN).cloned().collect::<Vec<_>>().join(", ");
                let _ = write!(text, "; {} {title}: {shown}", names.len());
                if names.len() > SHOWN {
                    text.push_str(", ...");
                }
            }
        };
        list("missing", self.missing.clone());
        list("unused", self.unused.clone());
        list("not of floating-point numbers", self.dtypes.clone());
        let shapes = self.shapes.iter();
        list(
            "of another shape",
            shapes
                .map(|(name, expected, found)| format!("{name} (expected {expected:?}, found {found:?})"))
                .collect(),
        );
        f.write_str(&text)
    }
}
