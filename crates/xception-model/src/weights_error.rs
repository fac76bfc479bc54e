//! The errors of weight files.

use std::fmt::Write as _;
use std::path::PathBuf;

use crate::error::ConfigError;
use crate::input::Scaling;
use crate::label::LabelError;
use crate::outputs::Outputs;
use crate::unknown::Unknown;

/// A weight file that does not give a network, or a record that could not be written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WeightsError {
    /// The file could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's error.
        source: std::io::Error,
    },
    /// The file has none of the formats that are read.
    #[error(
        "{} is not a weight file that is loaded as it is (`xception convert` makes a record of safetensors and ONNX \
         files): expected a Burn record (.bpk), a Keras file (.keras, .weights.h5, .h5) or a PyTorch checkpoint \
         (.pth), found {found}",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What the content is, and how to make a file of it that can be read.
        found: String,
    },
    /// A burnpack file is damaged.
    #[error("{}: {problem}", path.display())]
    Record {
        /// The record.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// A PyTorch checkpoint is damaged, or its content is refused.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The checkpoint.
        path: PathBuf,
        /// The place in the file, and what was expected and found.
        problem: String,
    },
    /// A burnpack file has no description of the network.
    #[error(
        "{} is a Burn record without a description of its network: save it with `xception_model::save`, \
         or load it into a network of your own with Burn's `load_file`",
        path.display()
    )]
    NoSpec {
        /// The record.
        path: PathBuf,
    },
    /// A file's tensors do not match the network's.
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
        /// The option that makes the network impossible.
        source: ConfigError,
    },
    /// The file's labels are invalid.
    #[error("{}: {source}", path.display())]
    Labels {
        /// The file.
        path: PathBuf,
        /// The first invalid label.
        source: LabelError,
    },
    /// The numbers of labels and classes differ.
    #[error(
        "{}: {labels} label{} for {classes} classes; there must be one for each{}",
        path.display(), if *labels == 1 { "" } else { "s" }, of_one_output(*labels, *classes)
    )]
    LabelCount {
        /// The file.
        path: PathBuf,
        /// Number of labels.
        labels: usize,
        /// Number of classes of the network.
        classes: usize,
    },
    /// The record could not be written.
    #[error("cannot write {}: {problem}", path.display())]
    Write {
        /// The record.
        path: PathBuf,
        /// The system's error.
        problem: String,
    },
    /// A Keras file could not be read or does not fit.
    #[cfg(feature = "keras")]
    #[error(transparent)]
    Keras(#[from] keras_store::KerasStoreError),
    /// A file holds a network with a layer that cannot be computed here, or only the weights of an unknown network.
    #[error("{}: {problem}", path.display())]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file leaves open something that must be known.
    #[error(
        "{path} does not say {}; give the option here, or once with `xception convert {path} OUTPUT.bpk`, and use the \
         output (in Rust: `load_with` and the fields of `Known`)",
        Unknown::list(unknown, *usual_side),
        path = path.display()
    )]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What the file leaves open.
        unknown: Vec<Unknown>,
        /// The usual side of the network's pictures, in pixels.
        usual_side: usize,
    },
    /// The caller contradicts the file.
    #[error("{}: {flag} {said} was given, and the file says {found}", path.display())]
    Contradiction {
        /// The file.
        path: PathBuf,
        /// The caller's option.
        flag: &'static str,
        /// The option's value.
        said: String,
        /// The file's value.
        found: String,
    },
    /// The network does not have such outputs.
    #[error("{}: its outputs are taken as `{outputs}`, and it has {count}{}", path.display(), wrong_outputs(*outputs))]
    Outputs {
        /// The file.
        path: PathBuf,
        /// The meaning that they were given.
        outputs: Outputs,
        /// The number of outputs.
        count: usize,
    },
    /// The scaling has constants for red, green and blue, and the network takes another number of channels.
    #[error(
        "{}: the scaling `{scaling}` has constants for red, green and blue, and this network takes pictures of \
         {channels} {}: if its pictures were scaled by one constant, give `tf`, `unit` or `none`; otherwise save the \
         scaling as a layer of the model, and give `none`",
        path.display(),
        if *channels == 1 { "channel" } else { "channels" }
    )]
    Scaling {
        /// The file.
        path: PathBuf,
        /// The scaling that was given.
        scaling: Scaling,
        /// The network's channels.
        channels: usize,
    },
    /// Trained weights could not be fetched.
    #[cfg(feature = "pretrained")]
    #[error(transparent)]
    Registry(#[from] crate::registry::RegistryError),
}

fn wrong_outputs(outputs: Outputs) -> &'static str {
    match outputs {
        Outputs::Softmax => {
            ", over which a softmax is always 1: say --head binary for one logit of two classes, or value"
        }
        _ => ": say --head softmax for one class of several, or sigmoid for several labels",
    }
}

/// The tensors of a record that are not those of its network.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TensorMismatch {
    /// Names that the network has and the file lacks.
    pub missing: Vec<String>,
    /// Names that the file has and the network lacks.
    pub unused: Vec<String>,
    /// Name, expected shape, found shape.
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
        /// A longer list does not help a reader.
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

/// The way out for the labels of a network with one output.
fn of_one_output(labels: usize, classes: usize) -> &'static str {
    match (labels, classes) {
        (2, 1) => ", or --head binary if the one output tells two classes apart",
        _ => "",
    }
}
