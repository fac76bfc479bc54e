//! The file or card that `--weights` names.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use xception_model::registry::{self, Card};

use crate::io::path;

/// Endings of weight files and cards. A path with one of them is never taken for a misspelt name of the registry.
const ENDINGS: [&str; 10] = [
    "bpk",
    "ckpt",
    "h5",
    "hdf5",
    "keras",
    "onnx",
    "pt",
    "pth",
    "safetensors",
    "toml",
];

/// A weight file, or a card that says where to get one.
pub enum Location {
    File(PathBuf),
    Card(Box<Card>),
}

impl Location {
    /// Of a name, a file, a run's folder or a card. Names win over files; `./name` is always a file.
    pub fn of(weights: &OsStr) -> anyhow::Result<Self> {
        let path = Path::new(weights);
        let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
        if let Some(problem) = path::url_problem(path) {
            bail!(problem);
        }
        match registry::card(&weights.to_string_lossy()) {
            Ok(card) => Ok(Self::Card(Box::new(card.clone()))),
            Err(_) if path.join(trainer::MODEL).is_file() => Ok(Self::File(path.join(trainer::MODEL))),
            Err(_) if path.join(trainer::RUN_FILE).is_file() => bail!(
                "{}: this run is not finished: xception train --resume {}",
                path.display(),
                path.display()
            ),
            Err(_) if path.join("card.toml").is_file() || ending == "toml" => {
                Ok(Self::Card(Box::new(Card::load(path)?)))
            }
            Err(_) if path.exists() || path.components().count() > 1 || ENDINGS.contains(&ending) => {
                Ok(Self::File(path.to_owned()))
            }
            // A checkpoint of TensorFlow is named by the common beginning of its files.
            Err(_) if path.with_added_extension("index").is_file() => Ok(Self::File(path.to_owned())),
            Err(unknown) => bail!(
                "{unknown}; or name a weight file (.bpk, .keras, .h5, .pth, .safetensors, .onnx), a training run's \
                 folder or a card (card.toml)"
            ),
        }
    }
}
