//! What a file may cost, and what is made of it.

use crate::reading::Reading;

/// The limits on a file, checked against its header before memory is allocated.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DecodeLimits {
    /// Most pixels, width times height. By default 178,956,970, where Pillow raises `DecompressionBombError`
    /// (`Image.py`, twice `MAX_IMAGE_PIXELS`).
    pub max_pixels: u64,
    /// Most bytes of memory for the decoded picture, a copy of it and the decoder's buffers together. By default
    /// 1 GiB, room for two copies of an RGB picture of `max_pixels`.
    pub max_bytes: u64,
    /// Most bytes of the file itself, which is read into memory. By default 256 MiB.
    pub max_file_bytes: u64,
}

impl Default for DecodeLimits {
    fn default() -> Self {
        Self {
            max_pixels: 2 * 89_478_485,
            max_bytes: 1 << 30,
            max_file_bytes: 256 << 20,
        }
    }
}

/// The limits of a file, and what is made of it where libraries disagree.
///
/// Wherever a function takes these options, a [`DecodeLimits`] or a [`Reading`] stands for them with everything else at its
/// default.
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
