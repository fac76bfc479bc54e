//! PNG files that end early or carry wrong checksums, as Pillow reads them.

use std::io::Cursor;

use image::{DynamicImage, ImageBuffer, metadata::Orientation};
use png::{BitDepth, ColorType, DecodeOptions, Decoder, DecodingError, Limits, Transformations};

use super::limits::{DecodeLimits, check_size};

/// The bytes that begin a file.
const SIGNATURE: usize = 8;

/// A chunk's length, name and checksum.
const FRAME: usize = 12;

/// A damaged file's pixels.
pub(super) struct Damaged {
    pub picture: DynamicImage,
    pub orientation: Orientation,
    pub reason: &'static str,
}

/// Reads a file whose pixels are all there but which the strict decoder has refused; `None` where Pillow refuses it
/// too.
///
/// Pillow does not check the checksums of the pixels' chunks (`PngImagePlugin.py`, `load_read`), only that of the
/// compressed data in them, and does not miss the end chunk (`load_end`). Damage before the pixels it refuses.
pub(super) fn decode_damaged(bytes: &[u8], limits: &DecodeLimits) -> Option<Damaged> {
    let reason = damage(bytes)?;
    let mut options = DecodeOptions::default();
    options.set_ignore_crc(true);
    options.set_ignore_adler32(false);
    let mut decoder = Decoder::new_with_options(Cursor::new(bytes), options);
    decoder.set_limits(Limits {
        bytes: usize::try_from(limits.max_bytes).unwrap_or(usize::MAX),
    });
    decoder.set_transformations(Transformations::EXPAND);
    let mut reader = decoder.read_info().ok()?;
    let (width, height, interlaced) = (reader.info().width, reader.info().height, reader.info().interlaced);
    let (colours, depth) = reader.output_color_type();
    let bytes_per_pixel = colours.samples() as u8 * (depth as u8).div_ceil(8);
    check_size(width, height, bytes_per_pixel, limits).ok()?;
    let row_len = reader.output_line_size(width)?;
    let mut pixels = vec![0; reader.output_buffer_size()?];
    if interlaced {
        let bits = colours.samples() as u8 * depth as u8;
        for _ in 0..passes(width, height) {
            let row = reader.next_interlaced_row().ok()??;
            let png::InterlaceInfo::Adam7(place) = row.interlace() else {
                return None;
            };
            png::expand_interlaced_row(&mut pixels, row_len, row.data(), place, bits);
        }
    } else {
        for row in pixels.chunks_exact_mut(row_len) {
            reader.read_row(row).ok()??;
        }
    }
    // The checksum follows the last row; the file may end before it.
    match reader.next_row() {
        Ok(_) | Err(DecodingError::IoError(_)) => {}
        Err(_) => return None,
    }
    let exif = reader.info().exif_metadata.as_deref();
    let orientation = exif.and_then(Orientation::from_exif_chunk);
    Some(Damaged {
        picture: picture(width, height, colours, depth, pixels)?,
        orientation: orientation.unwrap_or(Orientation::NoTransforms),
        reason,
    })
}

/// Rows of all passes of an interlaced picture.
fn passes(width: u32, height: u32) -> u32 {
    // First column and row, and the step between them (PNG specification, section 8.2).
    [
        (0, 0, 8, 8),
        (4, 0, 8, 8),
        (0, 4, 4, 8),
        (2, 0, 4, 4),
        (0, 2, 2, 4),
        (1, 0, 2, 2),
        (0, 1, 1, 2),
    ]
    .into_iter()
    .filter(|&(column, ..)| width > column)
    .map(|(_, row, _, step)| height.saturating_sub(row).div_ceil(step))
    .sum()
}

/// The damage to the chunks of a file; `None` without damage, and if the damage is before the pixels.
fn damage(bytes: &[u8]) -> Option<&'static str> {
    let mut rest = bytes.get(SIGNATURE..)?;
    let mut pixels_began = false;
    loop {
        let Some((length, name)) = rest.get(..8).map(|head| head.split_at(4)) else {
            return pixels_began.then_some("its end is missing");
        };
        let length = length.iter().fold(0, |length, &byte| (length << 8) | usize::from(byte));
        pixels_began |= name == b"IDAT";
        let Some(chunk) = rest.get(..length.checked_add(FRAME)?) else {
            return pixels_began.then_some("its end is missing");
        };
        let (content, sum) = chunk[4..].split_at(length + 4);
        if checksum(content).to_be_bytes() != sum {
            return pixels_began.then_some("a checksum is wrong");
        }
        if name == b"IEND" {
            return None;
        }
        rest = &rest[length + FRAME..];
    }
}

/// CRC-32 (PNG specification, annex D).
fn checksum(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |sum, &byte| {
        (0..8).fold(sum ^ u32::from(byte), |sum, _| {
            (sum >> 1) ^ if sum & 1 == 1 { 0xedb8_8320 } else { 0 }
        })
    })
}

/// The decoder's bytes as a picture.
fn picture(width: u32, height: u32, colours: ColorType, depth: BitDepth, pixels: Vec<u8>) -> Option<DynamicImage> {
    let wide = || {
        pixels
            .as_chunks::<2>()
            .0
            .iter()
            .map(|&pair| u16::from_be_bytes(pair))
            .collect()
    };
    Some(match (colours, depth) {
        (ColorType::Grayscale, BitDepth::Eight) => {
            DynamicImage::ImageLuma8(ImageBuffer::from_raw(width, height, pixels)?)
        }
        (ColorType::Grayscale, BitDepth::Sixteen) => {
            DynamicImage::ImageLuma16(ImageBuffer::from_raw(width, height, wide())?)
        }
        (ColorType::GrayscaleAlpha, BitDepth::Eight) => {
            DynamicImage::ImageLumaA8(ImageBuffer::from_raw(width, height, pixels)?)
        }
        (ColorType::GrayscaleAlpha, BitDepth::Sixteen) => {
            DynamicImage::ImageLumaA16(ImageBuffer::from_raw(width, height, wide())?)
        }
        (ColorType::Rgb, BitDepth::Eight) => DynamicImage::ImageRgb8(ImageBuffer::from_raw(width, height, pixels)?),
        (ColorType::Rgb, BitDepth::Sixteen) => DynamicImage::ImageRgb16(ImageBuffer::from_raw(width, height, wide())?),
        (ColorType::Rgba, BitDepth::Eight) => DynamicImage::ImageRgba8(ImageBuffer::from_raw(width, height, pixels)?),
        (ColorType::Rgba, BitDepth::Sixteen) => {
            DynamicImage::ImageRgba16(ImageBuffer::from_raw(width, height, wide())?)
        }
        _ => return None,
    })
}
