//! What a file may cost, and what is made of it.

use super::limits::DecodeLimits;
use crate::reading::Reading;

/// The limits of a file, and what is made of it where libraries disagree.
///
/// Wherever a function takes these options, a [`DecodeLimits`] or a [`Reading`] stands for them with everything else at
/// its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// What a file may cost.
    pub limits: DecodeLimits,
    /// What is made of orientation, transparency, 16-bit samples and missing data.
    pub reading: Reading,
}

impl From<DecodeLimits> for DecodeOptions {
    fn from(limits: DecodeLimits) -> Self {
        Self {
            limits,
            ..Self::default()
        }
    }
}

impl From<&DecodeLimits> for DecodeOptions {
    fn from(limits: &DecodeLimits) -> Self {
        (*limits).into()
    }
}

impl From<&Self> for DecodeOptions {
    fn from(options: &Self) -> Self {
        *options
    }
}

impl From<Reading> for DecodeOptions {
    fn from(reading: Reading) -> Self {
        Self {
            reading,
            ..Self::default()
        }
    }
}
