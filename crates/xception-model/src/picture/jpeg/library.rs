//! Lossless files, by `libjpeg-turbo-rs`.
//!
//! It is built without its `simd` feature, since the hand-written vector code is where most of its `unsafe` is.

use libjpeg_turbo_rs::{DctMethod, Decoder, JpegError, PixelFormat};

use super::{colour::inks_to_rgb, idct::Idct, segments::MAX_SCANS};
use crate::picture::{error::PictureError, limits::DecodeLimits};

const FORMAT: &str = "JPEG";

/// RGB, without orientation.
pub(super) fn decode(bytes: &[u8], limits: &DecodeLimits, idct: Idct) -> Result<Vec<u8>, PictureError> {
    let problem = |error| problem(error, limits);
    let guard = libjpeg_turbo_rs::DecodeLimits {
        max_pixels: limits.max_pixels,
        max_scans: MAX_SCANS,
        max_memory: Some(limits.max_bytes),
        ..Default::default()
    };
    let mut decoder = Decoder::new_with_limits(bytes, guard).map_err(problem)?;
    let header = decoder.header();
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
    let samples = decoder.decode_image().map_err(problem)?.data;
    Ok(if four_inks {
        let mixed = |pixel: &[u8]| inks_to_rgb([pixel[0], pixel[1], pixel[2]], pixel[3]);
        samples.chunks_exact(4).flat_map(mixed).collect()
    } else {
        samples
    })
}

/// Whether cyan (or luminance) and black are of full resolution, and the two between alike and a whole part of it. The
/// decoder takes that for granted, and reads beyond a plane, or the wrong pixel of it, where it is not so.
fn are_inks_aligned(sampling: &[[u8; 2]]) -> bool {
    let [full, part, third, black] = sampling else {
        return false;
    };
    let fits = |axis: usize| part[axis] > 0 && full[axis] % part[axis] == 0;
    black == full && third == part && fits(0) && fits(1)
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
