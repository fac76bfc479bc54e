//! Limits on the size of a picture file and on the memory that decoding takes.

use super::PictureError;

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

/// Checks a header's size against the limits: the decoded picture at `bytes_per_pixel`, and one RGB copy.
pub(super) fn check_size(
    width: u32,
    height: u32,
    bytes_per_pixel: u8,
    limits: &DecodeLimits,
) -> Result<(), PictureError> {
    let (width, height) = (u64::from(width), u64::from(height));
    let pixels = width.saturating_mul(height);
    if pixels > limits.max_pixels {
        return Err(PictureError::TooManyPixels {
            width,
            height,
            limit: limits.max_pixels,
        });
    }
    if pixels.saturating_mul(u64::from(bytes_per_pixel) + 3) > limits.max_bytes {
        return Err(PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        });
    }
    Ok(())
}
