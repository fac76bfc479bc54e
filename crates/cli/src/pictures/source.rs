//! Where a picture is read from.

use std::io::Read;
use std::path::PathBuf;

use anyhow::Context;
use image::RgbImage;
use xception_model::Classifier;
use xception_model::picture::{PictureError, Pixels, Preset};

/// A picture's file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    File(PathBuf),
    Stdin,
}

impl Source {
    /// The picture's name in results.
    pub fn name(&self) -> String {
        match self {
            Self::File(path) => path.to_string_lossy().into_owned(),
            Self::Stdin => "-".to_owned(),
        }
    }

    /// The names of several pictures.
    pub fn names(sources: &[&Self]) -> Vec<String> {
        sources.iter().map(|source| source.name()).collect()
    }

    /// The picture's name without its folders.
    pub fn file_name(&self) -> String {
        match self {
            Self::File(path) => path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            Self::Stdin => "standard input".to_owned(),
        }
    }

    /// Reads the picture and resizes it for the network.
    pub fn prepare(&self, classifier: &Classifier) -> anyhow::Result<Pixels> {
        match self {
            Self::File(path) => Ok(classifier.prepare_file(path)?),
            Self::Stdin => read_stdin(classifier.limits.max_file_bytes)
                .and_then(|bytes| Ok(classifier.prepare(&bytes)?))
                .context("standard input"),
        }
    }

    /// Reads the picture in its own size.
    pub fn open(&self, classifier: &Classifier, preset: Preset) -> anyhow::Result<RgbImage> {
        match self {
            Self::File(path) => Ok(preset.open(path, &classifier.limits)?),
            Self::Stdin => read_stdin(classifier.limits.max_file_bytes)
                .and_then(|bytes| Ok(preset.decode(&bytes, &classifier.limits)?))
                .context("standard input"),
        }
    }
}

impl AsRef<Self> for Source {
    fn as_ref(&self) -> &Self {
        self
    }
}

fn read_stdin(limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(PictureError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(PictureError::FileTooLarge { limit }.into());
    }
    Ok(bytes)
}
