//! JPEG decoding with libjpeg-turbo's numbers.
//!
//! Pillow and TensorFlow both decode with libjpeg-turbo, so weights were trained on its roundings. The decoders of
//! `image` and of the older `jpeg-decoder` differ: on eighteen photographs of 750 x 1000 pixels, in 1 to 26 % (by up to
//! 5 levels) and in 4 to 12 % (by up to 3) of the pixels. `libjpeg-turbo-rs` differs in none.
//!
//! `libjpeg-turbo-rs` is built without its `simd` feature, because most of its `unsafe` is in that vector code. Such a
//! photograph then takes 8 ms instead of 4.

use image::{RgbImage, metadata::Orientation};
use libjpeg_turbo_rs::{DctMethod, Decoder, JpegError, PixelFormat};

use super::{
    PictureError,
    limits::{DecodeLimits, check_size},
};

/// The inverse cosine transform, which the JPEG standard leaves to the decoder within a tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Idct {
    /// `JDCT_ISLOW`: Pillow's, and libjpeg's default.
    Accurate,
    /// `JDCT_IFAST`: TensorFlow's (`decode_image_op.cc`).
    Fast,
}

/// More scans than any encoder writes (about ten are usual); a file of thousands of nearly empty scans keeps a decoder
/// busy for minutes.
const MAX_SCANS: usize = 100;

const FORMAT: &str = "JPEG";

/// The pixels before orientation, and the orientation.
pub(super) fn decode_jpeg(
    bytes: &[u8],
    limits: &DecodeLimits,
    idct: Idct,
) -> Result<(RgbImage, Orientation), PictureError> {
    let problem = |error| problem(error, limits);
    let guard = libjpeg_turbo_rs::DecodeLimits {
        max_pixels: limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(limits.max_bytes),
        ..Default::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, guard).map_err(problem)?;
    let header = decoder.header();
    let (width, height) = (u32::from(header.width), u32::from(header.height));
    // A height that follows after the first scan (DNL). No encoder writes it, and the decoder divides by it.
    if width == 0 || height == 0 {
        return Err(PictureError::UnsupportedKind {
            format: FORMAT,
            reason: format!("its header says {width} x {height} pixels"),
        });
    }
    check_size(width, height, 3, limits)?;
    let four_inks = header.components.len() == 4;
    let sampling = header.components.iter();
    let sampling: Vec<[u8; 2]> = sampling
        .map(|ink| [ink.horizontal_sampling, ink.vertical_sampling])
        .collect();
    if four_inks && !are_inks_aligned(&sampling) {
        return Err(PictureError::UnsupportedKind {
            format: FORMAT,
            reason: "its inks have different resolutions".to_owned(),
        });
    }
    decoder.set_output_format(if four_inks { PixelFormat::Cmyk } else { PixelFormat::Rgb });
    decoder.set_dct_method(match idct {
        Idct::Accurate => DctMethod::IsLow,
        Idct::Fast => DctMethod::IsFast,
    });
    let orientation = decoder
        .exif_data()
        .and_then(Orientation::from_exif_chunk)
        .unwrap_or(Orientation::NoTransforms);
    let samples = decoder.decode_image().map_err(problem)?.data;
    let rgb = if four_inks { inks_to_rgb(&samples) } else { samples };
    let picture = RgbImage::from_raw(width, height, rgb).ok_or_else(|| PictureError::Damaged {
        format: FORMAT,
        reason: "the decoded size is not the size in the header".to_owned(),
    })?;
    Ok((picture, orientation))
}

/// Whether cyan (or luminance) and black have full resolution, and the two other planes have the same resolution and
/// divide it. The decoder relies on this: otherwise it reads outside of a plane, or the wrong pixel.
fn are_inks_aligned(sampling: &[[u8; 2]]) -> bool {
    let [full, part, third, black] = sampling else {
        return false;
    };
    let fits = |axis: usize| part[axis] > 0 && full[axis] % part[axis] == 0;
    black == full && third == part && fits(0) && fits(1)
}

/// Converts cyan, magenta, yellow and black to RGB as Pillow does. JPEG stores inks inverted, by Adobe's convention
/// (`JpegImagePlugin.py`, "assume adobe conventions"), and every ink is scaled by what black leaves (`Convert.c`,
/// `cmyk2rgb`).
fn inks_to_rgb(inks: &[u8]) -> Vec<u8> {
    let mixed = |pixel: &[u8]| {
        let light = u32::from(pixel[3]);
        [0, 1, 2].map(|ink| {
            let product = u32::from(255 - pixel[ink]) * light + 128;
            (light - (((product >> 8) + product) >> 8)) as u8
        })
    };
    inks.chunks_exact(4).flat_map(mixed).collect()
}

fn problem(error: JpegError, limits: &DecodeLimits) -> PictureError {
    match error {
        JpegError::LimitExceeded { what, .. } if what.contains("memory") => PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        },
        JpegError::AllocationFailed { .. } => PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        },
        JpegError::Unsupported(reason) => PictureError::UnsupportedKind { format: FORMAT, reason },
        JpegError::UnexpectedEof => PictureError::Damaged {
            format: FORMAT,
            reason: "the data end early".to_owned(),
        },
        other => PictureError::Damaged {
            format: FORMAT,
            reason: other.to_string(),
        },
    }
}
