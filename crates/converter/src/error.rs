use std::fmt;
use std::path::{Path, PathBuf};

use xception_model::{ConfigError, WeightsError};

use crate::mismatch::Mismatch;

/// Why a file was not converted. Each names the file, what is wrong with it, and the way out.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ConvertError {
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
        "{} is not a weight file: expected Keras (.keras, .weights.h5, .h5), PyTorch (.pth, .pt), safetensors, ONNX or a \
         Burn record (.bpk), found {found}",
        path.display()
    )]
    UnknownFormat {
        /// The file.
        path: PathBuf,
        /// What its first bytes look like.
        found: &'static str,
    },
    /// The file is damaged, or holds something that is refused.
    #[error("{}: {problem}", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The place in it, and what was expected and found.
        problem: String,
    },
    /// The file holds another network than Xception.
    #[error("{}: {problem}", path.display())]
    NotXception {
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
        /// The option that makes no network.
        source: ConfigError,
    },
    /// The file does not say something that must be known.
    #[error("{} does not say {}", path.display(), list(unknown))]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What it does not say.
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
    /// A file's tensors are not the network's.
    #[error("{}: {mismatch}", path.display())]
    Mismatch {
        /// The file.
        path: PathBuf,
        /// Every tensor that differs.
        mismatch: Box<Mismatch>,
    },
    /// The output's name does not say its format.
    #[error(
        "{}: the ending says no format that is written: .bpk, .safetensors, .keras, .weights.h5, .h5 or .onnx",
        path.display()
    )]
    OutputFormat {
        /// The output.
        path: PathBuf,
    },
    /// The output's format cannot hold what was asked for.
    #[error("{}: {problem}", path.display())]
    Unsupported {
        /// The output.
        path: PathBuf,
        /// What it cannot hold, and the way out.
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
        /// The system's word.
        problem: String,
    },
    /// The original engine could not be run.
    #[error("{}: {problem}", python.display())]
    Engine {
        /// The Python that was to run it.
        python: PathBuf,
        /// What went wrong.
        problem: String,
    },
    /// From the network's crate, which names the file itself.
    #[error(transparent)]
    Weights(#[from] WeightsError),
}

impl ConvertError {
    pub(crate) fn damaged(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Damaged {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }

    /// Whether the file is whole, and holds another network than one of ours.
    pub(crate) fn is_of_the_network(&self) -> bool {
        match self {
            Self::NotXception { .. } | Self::Config { .. } => true,
            Self::Weights(error) => matches!(
                error,
                WeightsError::NotXception { .. }
                    | WeightsError::Config { .. }
                    | WeightsError::Mismatch { .. }
                    | WeightsError::LabelCount { .. }
            ),
            _ => false,
        }
    }

    pub(crate) fn write(path: &Path, problem: impl fmt::Display) -> Self {
        Self::Write {
            path: path.to_owned(),
            problem: problem.to_string(),
        }
    }
}

/// Something a weight file may leave open, and that changes what the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// The size of its pictures.
    Size,
    /// How the last feature map is pooled.
    Pooling,
    /// Whose batch-norm epsilon and pool padding it was trained with.
    Variant,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Size => "the size of its pictures (say it: --size 299x299)",
            Self::Pooling => "how it pools (say it: --pooling average, max or none)",
            Self::Variant => {
                "whose batch-norm epsilon and pool padding it has (say it: --variant keras, or torch for timm's)"
            }
        })
    }
}

fn list(unknown: &[Unknown]) -> String {
    let parts: Vec<String> = unknown.iter().map(ToString::to_string).collect();
    parts.join(", nor ")
}
