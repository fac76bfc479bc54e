//! Where a picture is read from.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use anyhow::Context;
use image::RgbImage;
use xception_model::Classifier;
use xception_model::picture::{PictureError, PictureWarning, Pixels, Preset};

/// A picture's file, or standard input.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PictureSource {
    File(PathBuf),
    Stdin,
}

impl PictureSource {
    /// The picture's file, if it is one.
    pub fn path(&self) -> Option<&Path> {
        match self {
            Self::File(path) => Some(path),
            Self::Stdin => None,
        }
    }

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
    pub fn prepare(&self, classifier: &Classifier) -> anyhow::Result<WithWarnings<Pixels>> {
        let (value, warnings) = match self {
            Self::File(path) => classifier.prepare_file_with_warnings(path)?,
            Self::Stdin => read_stdin(classifier.limits.max_file_bytes)
                .and_then(|bytes| Ok(classifier.prepare_with_warnings(&bytes)?))
                .context("standard input")?,
        };
        Ok(WithWarnings { value, warnings })
    }

    /// Reads the picture in its own size.
    pub fn open(&self, classifier: &Classifier, preset: Preset) -> anyhow::Result<WithWarnings<RgbImage>> {
        let decoded = match self {
            Self::File(path) => preset.open_with_warnings(path, classifier.decode_options())?,
            Self::Stdin => read_stdin(classifier.limits.max_file_bytes)
                .and_then(|bytes| Ok(preset.decode_with_warnings(&bytes, classifier.decode_options())?))
                .context("standard input")?,
        };
        Ok(WithWarnings {
            value: decoded.picture,
            warnings: decoded.warnings,
        })
    }
}

/// A picture's pixels, and the warnings about its file.
pub struct WithWarnings<T> {
    pub value: T,
    pub warnings: Vec<PictureWarning>,
}

impl AsRef<Self> for PictureSource {
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
