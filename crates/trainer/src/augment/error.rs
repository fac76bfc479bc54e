//! The errors of augmentation files.

use std::{fs::File, io, io::Read, ops::RangeInclusive, path::Path, path::PathBuf};

use xception_model::picture::{PictureError, Preset};

/// Why an augmentation cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum AugmentError {
    /// A file cannot be used.
    #[error("{}: {problem}", path.display())]
    File {
        /// The file, as given.
        path: PathBuf,
        /// The problem with the file.
        problem: Box<AugmentError>,
    },

    /// The file cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),

    /// The file has more than 1 MiB.
    #[error("this is not an augmentation file: it has more than {} bytes", MAX_BYTES)]
    TooLarge,

    /// The text is not TOML, a key is unknown or missing, or a value has the wrong type.
    #[error("{0}")]
    Toml(String),

    /// A number is outside its range.
    #[error("{name} is {found}, and should be between {low} and {high}")]
    OutOfRange {
        /// The key.
        name: &'static str,
        /// The value of the key.
        found: f64,
        /// The smallest value allowed.
        low: f64,
        /// The largest value allowed.
        high: f64,
    },

    /// The first of two bounds is larger than the second.
    #[error("{name} goes from {low} to {high}; the smaller number comes first")]
    Order {
        /// The key.
        name: &'static str,
        /// The first number.
        low: f64,
        /// The second number.
        high: f64,
    },

    /// `train.resize` names a preset that crops.
    #[error(
        "train.resize cannot be {0}, which cuts the border off; a random crop must be resized whole: take \
         pil-bilinear, keras-bilinear or keras-nearest"
    )]
    Resize(Preset),

    /// `eval.size` is larger than what `eval.preset` cuts it out of.
    #[error("eval.size: {0}")]
    EvalSize(PictureError),
}

/// The largest size of a file.
const MAX_BYTES: u64 = 1 << 20;

pub(super) fn read_text(path: &Path) -> Result<String, AugmentError> {
    let file = File::open(path).map_err(AugmentError::Read)?;
    let mut text = String::new();
    file.take(MAX_BYTES + 1)
        .read_to_string(&mut text)
        .map_err(AugmentError::Read)?;
    if text.len() as u64 > MAX_BYTES {
        return Err(AugmentError::TooLarge);
    }
    Ok(text)
}

/// Checks that a number is in its range.
pub(super) fn within(name: &'static str, found: f64, range: RangeInclusive<f64>) -> Result<(), AugmentError> {
    if range.contains(&found) {
        return Ok(());
    }
    let (low, high) = range.into_inner();
    Err(AugmentError::OutOfRange { name, found, low, high })
}

/// Checks that two bounds are in their range and in order.
pub(super) fn bounds(
    name: &'static str,
    [low, high]: [f64; 2],
    range: RangeInclusive<f64>,
) -> Result<(), AugmentError> {
    within(name, low, range.clone())?;
    within(name, high, range)?;
    if low > high {
        return Err(AugmentError::Order { name, low, high });
    }
    Ok(())
}
