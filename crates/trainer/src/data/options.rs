//! How a data set is read and split.

use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};
use xception_model::picture::{DecodeLimits, DecodeOptions, Reading};

use super::error::DataError;

/// How a data set is read and split. A run's folder saves all but `threads` and `limits`, which change no result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// The share of the pictures for validation, where the data set does not say; 0.15 by default.
    pub val_fraction: f64,
    /// The share of the pictures for the test, where the data set does not say; 0.15 by default.
    pub test_fraction: f64,
    /// Whether validation is filled before the test, so that a class of two pictures has one for validation. Runs of
    /// earlier versions, whose files do not say, filled the test first; they resume with their split.
    #[serde(default)]
    pub validation_first: bool,
    /// The seed that chooses these pictures.
    pub seed: u64,
    /// Refuse a data set with a file that cannot be decoded, instead of skipping the file.
    pub strict: bool,
    /// The classes in the order of a network's outputs; `None` for the classes found, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The number of pictures that are checked at the same time; by default the number of processors.
    #[serde(skip, default = "processors")]
    pub threads: usize,
    /// What is made of orientation, transparency and 16-bit samples.
    #[serde(skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
    /// The limits for decoding a picture.
    #[serde(skip)]
    pub limits: DecodeLimits,
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            val_fraction: 0.15,
            test_fraction: 0.15,
            validation_first: true,
            seed: 42,
            strict: false,
            classes: None,
            threads: processors(),
            reading: Reading::default(),
            limits: DecodeLimits::default(),
        }
    }
}

impl DataOptions {
    /// How the pictures are decoded.
    pub(super) fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            limits: self.limits,
            reading: self.reading,
        }
    }

    pub(super) fn check(&self) -> Result<(), DataError> {
        let (val, test) = (self.val_fraction, self.test_fraction);
        let valid = |fraction: f64| (0.0..1.0).contains(&fraction);
        if valid(val) && valid(test) && val + test < 1.0 {
            Ok(())
        } else {
            Err(DataError::Fractions { val, test })
        }
    }
}

/// The number of threads that run at the same time.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
