use std::fmt;
use std::path::{Path, PathBuf};

use files::FileError;
use xception_model::{ConfigError, InputError, Unknown, WeightsError};

use crate::mismatch::Mismatch;

/// Why a file was not converted. Each message names the file, the problem and what to do.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
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
        "{} is not a weight file: expected Keras (.keras, .weights.h5, .h5), PyTorch (.pth, .pt), safetensors, ONNX or \
         a Burn record (.bpk), found {found}",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What the content is, and how to make a file of it that can be read.
        found: String,
    },
    /// The file is damaged, or its content is refused.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The place in the file, and what was expected and found.
        problem: String,
    },
    /// The file holds a network with a layer that cannot be computed here, or only the tensors of an unknown network.
    #[error("{}: {problem}", path.display())]
    NoNetwork {
        /// The file.
        path: PathBuf,
        /// What was expected and what was found.
        problem: String,
    },
    /// The file describes an impossible network.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// The option that makes the network impossible.
        source: ConfigError,
    },
    /// The network cannot take pictures of the size that the file or the caller states.
    #[error("{}: {source}", path.display())]
    Input {
        /// The file.
        path: PathBuf,
        /// The reason.
        source: InputError,
    },
    /// A file's tensors are not the network's.
    #[error("{}: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every tensor that differs.
        mismatch: Box<Mismatch>,
    },
    /// The output's name does not end in a known format.
    #[error(
        "{}: no format with this ending can be written; choose .bpk, .safetensors, .keras, .weights.h5, .h5 or .onnx",
        path.display()
    )]
    OutputFormat {
        /// The output.
        path: PathBuf,
    },
    /// The output's format cannot hold the network.
    #[error("{}: {problem}", path.display())]
    Unsupported {
        /// The output.
        path: PathBuf,
        /// What the format cannot hold, and what to do.
        problem: String,
    },
    /// The output exists.
    #[error("{} exists already; --force replaces it", path.display())]
    Exists {
        /// The output.
        path: PathBuf,
    },
    /// The output could not be written.
    #[error("cannot write {}: {problem}", path.display())]
    Write {
        /// The output.
        path: PathBuf,
        /// The system's error.
        problem: String,
    },
    /// The original engine could not run.
    #[error("{}: {problem}", python.display())]
    Engine {
        /// The Python that was to run the engine.
        python: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// An error of `xception-model`, which names the file itself. [`WeightsError::Unknown`] lists what the file leaves
    /// open; [`WeightsError::Contradiction`] means that the caller contradicts the file.
    #[error("{}", sentence(.0))]
    Weights(WeightsError),
}

impl From<WeightsError> for ConvertError {
    fn from(error: WeightsError) -> Self {
        Self::Weights(error)
    }
}

impl ConvertError {
    pub(crate) fn damaged(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// What the file leaves open, if that is the error.
    pub(crate) fn unknown(&self) -> Option<&[Unknown]> {
        match self {
            Self::Weights(WeightsError::Unknown { unknown, .. }) => Some(unknown),
            _ => None,
        }
    }

    /// Whether the file is intact but its network cannot be used here.
    pub(crate) fn is_of_the_network(&self) -> bool {
        match self {
            Self::NoNetwork { .. } | Self::Config { .. } | Self::Input { .. } => true,
            Self::Weights(error) => matches!(
                error,
                WeightsError::NoNetwork { .. }
                    | WeightsError::Config { .. }
                    | WeightsError::Mismatch { .. }
                    | WeightsError::LabelCount { .. }
            ),
            _ => false,
        }
    }

    pub(crate) fn not_written(path: &Path, error: FileError) -> Self {
        match error {
            FileError::Exists { path } => Self::Exists { path },
            other => Self::write(path, other.into_io()),
        }
    }

    pub(crate) fn write(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Write {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// `xception-model` advises to convert the file first, which is useless advice during a conversion.
fn sentence(error: &WeightsError) -> String {
    match error {
        WeightsError::Unknown {
            path,
            unknown,
            usual_side,
        } => format!(
            "{} does not say {}",
            path.display(),
            Unknown::list(unknown, *usual_side)
        ),
        error => error.to_string(),
    }
}
