//! The files of a set of weights.

use std::fmt;

use serde::{Deserialize, Serialize};

/// One file of trained weights.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Weights {
    /// With or without the classifier.
    pub kind: Kind,
    /// The file's name, in the cache and beside a user's own card.
    pub file: String,
    /// The file's format.
    pub format: Format,
    /// Size in bytes, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// SHA-256 in hex. This, `sha256_prefix` or `md5` is required.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256: Option<String>,
    /// The first digits of the SHA-256 in hex, at least eight, for files whose publisher states no more: `torch.hub`
    /// writes eight into the file's name (`check_hash=True`). They show damage and mistaken files. They prove no
    /// origin: a file that fits eight digits is found in minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub sha256_prefix: Option<String>,
    /// MD5 in hex, for files whose publisher states nothing better.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub md5: Option<String>,
    /// Number of parameters.
    pub parameters: u64,
    /// Number of trainable parameters: all but the moving means and variances.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub trainable_parameters: Option<u64>,
    /// Addresses of the file: the primary source first, then mirrors with the same bytes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub urls: Vec<String>,
    /// How a person gets the file if there is no URL, as a half-sentence in the imperative.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub obtain: Option<String>,
}

/// With or without the classifier.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// The whole network.
    Full,
    /// Without the classifier, as a backbone for fine-tuning.
    NoTop,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Full => "full",
            Self::NoTop => "notop",
        })
    }
}

/// File formats that a card can name.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Format {
    /// HDF5 as written by any Keras: legacy weights, whole model, or `.weights.h5`.
    KerasH5,
    /// Keras 3's `.keras` zip.
    Keras,
    /// safetensors.
    Safetensors,
    /// A `PyTorch` state dict.
    Pytorch,
    /// Burn's own record.
    Burnpack,
    /// ONNX.
    Onnx,
}

impl Format {
    /// The format that a file's name suggests.
    pub fn of_name(file: &str) -> Option<Self> {
        let ending = file.rsplit('.').next()?.to_lowercase();
        Some(match ending.as_str() {
            "bpk" => Self::Burnpack,
            "keras" => Self::Keras,
            "h5" => Self::KerasH5,
            "safetensors" => Self::Safetensors,
            "onnx" => Self::Onnx,
            "pth" | "pt" => Self::Pytorch,
            _ => return None,
        })
    }
}
