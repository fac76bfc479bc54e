//! What a caller can say about a data set.

use std::thread::available_parallelism;

use serde::{Deserialize, Serialize};
use xception_model::picture::DecodeLimits;

use super::DataError;

/// How a data set is read and split. Saved in a run's folder, but for `threads` and `limits`, which change no result.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// Share of the pictures for validation, where the data set does not say. By default 0.15.
    pub val_fraction: f64,
    /// Share of the pictures for the test, where the data set does not say. By default 0.15.
    pub test_fraction: f64,
    /// Which pictures these are.
    pub seed: u64,
    /// Refuse a data set with a file that cannot be decoded, instead of skipping the file.
    pub strict: bool,
    /// The classes and their order, if a network gives them; else those found, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// How many pictures are checked at a time; by default as many as there are processors.
    #[serde(skip, default = "processors")]
    pub threads: usize,
    /// What one picture may cost.
    #[serde(skip)]
    pub limits: DecodeLimits,
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            val_fraction: 0.15,
            test_fraction: 0.15,
            seed: 42,
            strict: false,
            classes: None,
            threads: processors(),
            limits: DecodeLimits::default(),
        }
    }
}

impl DataOptions {
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

/// As many threads as run at once.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
