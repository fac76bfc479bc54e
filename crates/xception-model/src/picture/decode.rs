//! Decodes a file's bytes to an upright RGB picture.

use std::{
    fs::File,
    io::{Cursor, Read},
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
};

use files::Kind;
use image::{
    DynamicImage, ImageDecoder, ImageError, ImageFormat, ImageReader, Limits, RgbImage, error::UnsupportedErrorKind,
    metadata::Orientation,
};

use super::{
    PictureError,
    flatten::flatten,
    jpeg::{Idct, decode_jpeg},
    limits::{DecodeLimits, check_size},
};

/// Decodes a JPEG, PNG, WebP, GIF, BMP or TIFF file to RGB, turned upright by its EXIF orientation.
///
/// The numbers are those of Pillow's `convert("RGB")`, with three deliberate exceptions: pictures are turned upright
/// (`PIL.ImageOps.exif_transpose`); transparency is laid on white, where `convert` shows the colour stored under it;
/// and 16-bit grey keeps its upper byte, where `convert` turns all but the darkest levels white. One difference comes
/// from `image`: a CMYK TIFF is up to one level darker, because `image` truncates where Pillow rounds.
///
/// An animation gives its first frame, a TIFF its first page. Colour profiles are ignored, as in Keras.
///
/// # Errors
///
/// One sentence for content that is no picture, has another format, is damaged, is of a kind that is not read, or
/// exceeds `limits`.
pub fn decode(bytes: &[u8], limits: &DecodeLimits) -> Result<RgbImage, PictureError> {
    decode_with(bytes, limits, Idct::Accurate)
}

/// Reads and decodes a picture file, as [`decode`] does.
///
/// # Errors
///
/// [`PictureError::File`], which names the file, around one of [`decode`]'s or the operating system's.
pub fn open(path: impl AsRef<Path>, limits: &DecodeLimits) -> Result<RgbImage, PictureError> {
    open_with(path.as_ref(), limits, Idct::Accurate)
}

pub(super) fn open_with(path: &Path, limits: &DecodeLimits, idct: Idct) -> Result<RgbImage, PictureError> {
    read(path, limits)
        .and_then(|bytes| decode_with(&bytes, limits, idct))
        .map_err(|problem| PictureError::File {
            path: path.to_owned(),
            problem: Box::new(problem),
        })
}

/// The file's bytes. Bounded while reading too: a pipe or a device does not tell its length beforehand.
fn read(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, PictureError> {
    // To open a pipe that nobody writes to takes for ever.
    if Kind::of(path).map_err(PictureError::Read)? == Kind::Pipe {
        return Err(PictureError::Read(std::io::Error::other(
            "it is a pipe: give it on standard input, as the picture -",
        )));
    }
    let file = File::open(path).map_err(PictureError::Read)?;
    let metadata = file.metadata().map_err(PictureError::Read)?;
    if metadata.is_dir() {
        return Err(PictureError::Folder);
    }
    let limit = limits.max_file_bytes;
    let too_large = PictureError::FileTooLarge { limit };
    if metadata.len() > limit {
        return Err(too_large);
    }
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(PictureError::Read)?;
    if bytes.len() as u64 > limit {
        Err(too_large)
    } else {
        Ok(bytes)
    }
}

pub(super) fn decode_with(bytes: &[u8], limits: &DecodeLimits, idct: Idct) -> Result<RgbImage, PictureError> {
    if bytes.is_empty() {
        return Err(PictureError::Empty);
    }
    let format = image::guess_format(bytes).map_err(|_| PictureError::NotAPicture {
        looks_like: looks_like(bytes),
    })?;
    let name = match format {
        ImageFormat::Jpeg => "JPEG",
        ImageFormat::Png => "PNG",
        ImageFormat::WebP => "WebP",
        ImageFormat::Gif => "GIF",
        ImageFormat::Bmp => "BMP",
        ImageFormat::Tiff => "TIFF",
        other => return Err(PictureError::OtherFormat { format: name_of(other) }),
    };
    let read = || {
        if format == ImageFormat::WebP {
            check_riff_length(bytes)?;
        }
        match format {
            ImageFormat::Jpeg => decode_jpeg(bytes, limits, idct),
            _ => decode_other(bytes, format, name, limits),
        }
    };
    // If the decoder panics on a broken file, the other pictures must survive. Nothing of the decoder is used after a
    // panic.
    let (picture, orientation) = catch_unwind(AssertUnwindSafe(read)).unwrap_or_else(|_| {
        Err(PictureError::Damaged {
            format: name,
            reason: "the decoder gave up on it".to_owned(),
        })
    })?;
    if orientation == Orientation::NoTransforms {
        return Ok(picture);
    }
    let mut picture = DynamicImage::ImageRgb8(picture);
    picture.apply_orientation(orientation);
    Ok(picture.into_rgb8())
}

/// Decodes every format except JPEG, with the `image` crate.
fn decode_other(
    bytes: &[u8],
    format: ImageFormat,
    name: &'static str,
    limits: &DecodeLimits,
) -> Result<(RgbImage, Orientation), PictureError> {
    let problem = |error| problem(error, name, limits);
    let mut reader = ImageReader::with_format(Cursor::new(bytes), format);
    let mut guard = Limits::no_limits();
    guard.max_alloc = Some(limits.max_bytes);
    reader.limits(guard.clone());
    let mut decoder = reader.into_decoder().map_err(problem)?;
    let (width, height) = decoder.dimensions();
    check_size(width, height, decoder.color_type().bytes_per_pixel(), limits)?;
    guard.reserve(decoder.total_bytes()).map_err(problem)?;
    decoder.set_limits(guard).map_err(problem)?;
    // A damaged orientation tag is no reason to refuse an intact picture.
    let orientation = decoder.orientation().unwrap_or(Orientation::NoTransforms);
    let picture = DynamicImage::from_decoder(decoder).map_err(problem)?;
    let picture = flatten(picture).ok_or_else(|| PictureError::UnsupportedKind {
        format: name,
        reason: "its samples are floating-point numbers without a fixed range".to_owned(),
    })?;
    Ok((picture, orientation))
}

/// A WebP file that is cut after its pixels still decodes, but without the orientation, which comes last.
fn check_riff_length(bytes: &[u8]) -> Result<(), PictureError> {
    let announced = bytes
        .get(4..8)
        .and_then(|length| length.try_into().ok())
        .map(u32::from_le_bytes);
    match announced {
        Some(length) if u64::from(length) + 8 <= bytes.len() as u64 => Ok(()),
        _ => Err(PictureError::Damaged {
            format: "WebP",
            reason: "the data end early".to_owned(),
        }),
    }
}

fn problem(error: ImageError, format: &'static str, limits: &DecodeLimits) -> PictureError {
    match error {
        ImageError::Limits(_) => PictureError::TooMuchMemory {
            limit: limits.max_bytes,
        },
        ImageError::Unsupported(error) => PictureError::UnsupportedKind {
            format,
            reason: match error.kind() {
                UnsupportedErrorKind::Color(color) | UnsupportedErrorKind::ColorLayout(color) => {
                    format!("its colour type {color:?} is unknown here")
                }
                _ => error.to_string(),
            },
        },
        other => PictureError::Damaged {
            format,
            reason: other.to_string(),
        },
    }
}

/// A part of the sentence about content that is no picture. Web servers answer a missing picture with a page.
fn looks_like(bytes: &[u8]) -> &'static str {
    let start = bytes.trim_ascii_start();
    let begins = |word: &[u8]| {
        start
            .get(..word.len())
            .is_some_and(|begin| begin.eq_ignore_ascii_case(word))
    };
    if begins(b"<!doctype html") || begins(b"<html") {
        " but an HTML page, perhaps a server's error message"
    } else if begins(b"<?xml") || begins(b"<svg") {
        " of pixels but an XML or SVG text"
    } else if begins(b"%PDF") {
        " but a PDF"
    } else if begins(b"PK\x03\x04") {
        " but a ZIP archive"
    } else {
        ""
    }
}

fn name_of(format: ImageFormat) -> &'static str {
    match format {
        ImageFormat::Avif => "an AVIF",
        ImageFormat::Dds => "a DDS",
        ImageFormat::Farbfeld => "a farbfeld",
        ImageFormat::Hdr => "a Radiance HDR",
        ImageFormat::Ico => "an ICO",
        ImageFormat::OpenExr => "an OpenEXR",
        ImageFormat::Pnm => "a PNM",
        ImageFormat::Qoi => "a QOI",
        _ => "another kind of",
    }
}
