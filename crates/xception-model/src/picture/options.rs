//! The options of decoding: limits, and choices where libraries disagree.

use super::limits::DecodeLimits;
use crate::reading::Reading;

/// The options of decoding: limits, and choices where libraries disagree.
///
/// Wherever a function takes these options, a [`DecodeLimits`] or a [`Reading`] stands for them with everything else at
/// its default.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct DecodeOptions {
    /// Limits on the file and on the memory that decoding takes.
    pub limits: DecodeLimits,
    /// How orientation, transparency, 16-bit samples and missing data are treated.
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
