//! The TIFF files that `image` does not read as Pillow does: those with a palette, of inks, and with JPEG data inside.

use std::io::Cursor;

use image::{RgbImage, metadata::Orientation};
use tiff::{
    ColorType,
    decoder::{Decoder, DecodingResult, Limits},
    tags::Tag,
};

use super::{
    error::PictureError,
    jpeg::{Idct, Inner, decode_inner, inks_to_rgb},
    limits::{DecodeLimits, check_size},
    warning::PictureWarning,
};

const FORMAT: &str = "TIFF";

/// The tag of [`GREY`] and its like.
const PHOTOMETRIC: usize = 262;

/// JPEG compression of the second kind (TIFF technical note 2).
const JPEG: u16 = 7;

/// What samples mean (`PhotometricInterpretation`).
const GREY: u16 = 1;
const RGB: u16 = 2;
const PALETTE: u16 = 3;
const YCBCR: u16 = 6;
/// CIE L*a*b* and its two encodings by ICC and ITU.
const LAB: std::ops::RangeInclusive<u16> = 8..=10;

/// Kinds of numbers (`SampleFormat`).
const UNSIGNED: u16 = 1;
const SIGNED: u16 = 2;
const FLOAT: u16 = 3;

/// Pixels before orientation, and the orientation; `None` for a file that is `image`'s to read.
pub(super) fn decode_special(
    bytes: &[u8],
    limits: &DecodeLimits,
    warnings: &mut Vec<PictureWarning>,
) -> Option<Result<(RgbImage, Orientation), PictureError>> {
    let mut decoder = Decoder::new(Cursor::new(bytes)).ok()?;
    let compression = decoder.find_tag_unsigned::<u16>(Tag::Compression).ok()?;
    let colours = decoder.find_tag_unsigned::<u16>(Tag::PhotometricInterpretation).ok()?;
    let planar = decoder.find_tag_unsigned::<u16>(Tag::PlanarConfiguration).ok()? == Some(2);
    let bits = decoder
        .find_tag_unsigned_vec::<u8>(Tag::BitsPerSample)
        .ok()?
        .unwrap_or(vec![1]);
    let palette_bits = match bits[..] {
        [bits @ (1 | 2 | 4 | 8)] if colours == Some(PALETTE) => Some(bits),
        _ => None,
    };
    let holds_inks = matches!(decoder.colortype(), Ok(ColorType::CMYK(8))) && !planar;
    let holds_jpeg = compression == Some(JPEG) && matches!(colours, Some(GREY | RGB | YCBCR)) && !planar;
    if palette_bits.is_none() && !holds_inks && !holds_jpeg {
        let formats = decoder.find_tag_unsigned_vec::<u16>(Tag::SampleFormat).ok()?;
        let format = formats.and_then(|formats| formats.first().copied()).unwrap_or(UNSIGNED);
        let reason = unread(colours, format, bits.first().copied().unwrap_or(1))?;
        return Some(Err(PictureError::UnsupportedKind { format: FORMAT, reason }));
    }
    let (width, height) = decoder.dimensions().ok()?;
    if let Err(error) = check_size(width, height, 3, limits) {
        return Some(Err(error));
    }
    let orientation = decoder.find_tag_unsigned::<u16>(Tag::Orientation).ok().flatten();
    let orientation = orientation
        .and_then(|orientation| Orientation::from_exif(u8::try_from(orientation).ok()?))
        .unwrap_or(Orientation::NoTransforms);
    let picture = match palette_bits {
        Some(bits) => palette(&mut decoder, bytes, bits, limits),
        None if holds_inks => inks(decoder, limits),
        None => jpeg(&mut decoder, bytes, colours == Some(YCBCR), limits, warnings),
    };
    Some(picture.map(|picture| (picture, orientation)))
}

/// Why a picture of these colours and numbers is not read; `None` if it may be.
///
/// Pillow clamps 32-bit grey values to 0 to 255, so that a picture with values from 0 to 1 becomes black. Pillow
/// refuses 32-bit colours.
fn unread(colours: Option<u16>, format: u16, bits: u8) -> Option<String> {
    let range = "without a fixed range, so that only you know which of them is white";
    match (colours, format) {
        (_, FLOAT) => Some(format!("its samples are {bits}-bit floating-point numbers {range}")),
        (_, SIGNED) => Some(format!("its samples are signed {bits}-bit integers {range}")),
        (_, UNSIGNED) if bits > 16 => Some(format!("its samples are {bits}-bit integers {range}")),
        (Some(colours), _) if LAB.contains(&colours) => Some("its colours are CIE L*a*b*, not RGB".into()),
        (Some(YCBCR), _) => Some("its colours are YCbCr without JPEG, not RGB".into()),
        _ => None,
    }
}

fn damaged(error: impl std::fmt::Display) -> PictureError {
    PictureError::Damaged {
        format: FORMAT,
        reason: error.to_string(),
    }
}

/// All samples of a picture of bytes.
fn samples(decoder: Decoder<Cursor<&[u8]>>, limits: &DecodeLimits) -> Result<Vec<u8>, PictureError> {
    let mut guard = Limits::default();
    guard.decoding_buffer_size = usize::try_from(limits.max_bytes).unwrap_or(usize::MAX);
    guard.intermediate_buffer_size = guard.decoding_buffer_size;
    match decoder.with_limits(guard).read_image().map_err(damaged)? {
        DecodingResult::U8(samples) => Ok(samples),
        _ => Err(damaged("its samples are no bytes")),
    }
}

/// Cyan, magenta, yellow and black.
fn inks(mut decoder: Decoder<Cursor<&[u8]>>, limits: &DecodeLimits) -> Result<RgbImage, PictureError> {
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let samples = samples(decoder, limits)?;
    let mixed = |&[cyan, magenta, yellow, black]: &[u8; 4]| {
        // JPEG's inks are inverted, these are not.
        inks_to_rgb([255 - cyan, 255 - magenta, 255 - yellow], 255 - black)
    };
    let rgb = samples.as_chunks().0.iter().flat_map(mixed).collect();
    RgbImage::from_raw(width, height, rgb).ok_or_else(|| damaged("the data end early"))
}

/// The places in a palette are read as levels of grey, which the decoder takes, and then looked up.
fn palette(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    bytes: &[u8],
    bits: u8,
    limits: &DecodeLimits,
) -> Result<RgbImage, PictureError> {
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let colours = decoder.get_tag_u16_vec(Tag::ColorMap).map_err(damaged)?;
    let count = colours.len() / 3;
    let grey = with_grey(bytes).ok_or_else(|| damaged("its directory is incomplete"))?;
    let packed = samples(Decoder::new(Cursor::new(&grey[..])).map_err(damaged)?, limits)?;
    let (per_byte, row_len) = (8 / usize::from(bits), (width as usize * usize::from(bits)).div_ceil(8));
    let mut rgb = Vec::with_capacity(width as usize * height as usize * 3);
    for row in packed.chunks(row_len) {
        for column in 0..width as usize {
            let byte = row.get(column / per_byte).copied().unwrap_or(0);
            let shift = 8 - usize::from(bits) * (column % per_byte + 1);
            let index = usize::from(byte >> shift) & ((1 << bits) - 1);
            // `TiffImagePlugin.py`: `o8(b // 256)`. Beyond the palette is black.
            let colour = |plane: usize| (index < count).then(|| (colours[plane * count + index] >> 8) as u8);
            rgb.extend([0, 1, 2].map(|plane| colour(plane).unwrap_or(0)));
        }
    }
    RgbImage::from_raw(width, height, rgb).ok_or_else(|| damaged("the data end early"))
}

/// The file with its first picture declared to be grey.
fn with_grey(bytes: &[u8]) -> Option<Vec<u8>> {
    let little = bytes.first() == Some(&b'I');
    let number = |at: usize, length: usize| {
        let bytes = bytes.get(at..at.checked_add(length)?)?;
        let join = |number: u64, &byte: &u8| (number << 8) | u64::from(byte);
        let number = if little {
            bytes.iter().rev().fold(0, join)
        } else {
            bytes.iter().fold(0, join)
        };
        usize::try_from(number).ok()
    };
    // The directory's place, the length of its count, and the length of its entries.
    let (directory, count_len, entry_len) = if number(2, 2)? == 43 {
        (number(8, 8)?, 8, 20)
    } else {
        (number(4, 4)?, 2, 12)
    };
    let first = directory.checked_add(count_len)?;
    let mut entries =
        (0..number(directory, count_len)?).map_while(|index| first.checked_add(index.checked_mul(entry_len)?));
    let entry = entries.find(|&entry| number(entry, 2).is_none_or(|tag| tag == PHOTOMETRIC))?;
    let value = entry
        .checked_add(entry_len)?
        .checked_sub(if entry_len == 12 { 4 } else { 8 })?;
    let mut grey = bytes.to_vec();
    let value = grey.get_mut(value..value.checked_add(2)?)?;
    value.copy_from_slice(&if little { GREY.to_le_bytes() } else { GREY.to_be_bytes() });
    Some(grey)
}

/// By our own JPEG decoder, since `image`'s differs from libjpeg.
fn jpeg(
    decoder: &mut Decoder<Cursor<&[u8]>>,
    bytes: &[u8],
    is_ycbcr: bool,
    limits: &DecodeLimits,
    warnings: &mut Vec<PictureWarning>,
) -> Result<RgbImage, PictureError> {
    let (width, height) = decoder.dimensions().map_err(damaged)?;
    let tables = decoder.find_tag(Tag::JPEGTables).map_err(damaged)?;
    let tables = tables.map_or(Ok(Vec::new()), |tables| tables.into_u8_vec().map_err(damaged))?;
    let is_tiled = decoder.find_tag(Tag::TileOffsets).map_err(damaged)?.is_some();
    let (offsets, counts) = if is_tiled {
        (Tag::TileOffsets, Tag::TileByteCounts)
    } else {
        (Tag::StripOffsets, Tag::StripByteCounts)
    };
    let offsets = decoder.get_tag_u64_vec(offsets).map_err(damaged)?;
    let counts = decoder.get_tag_u64_vec(counts).map_err(damaged)?;
    let (chunk_width, chunk_height) = decoder.chunk_dimensions();
    if chunk_width == 0 || chunk_height == 0 {
        return Err(damaged("its parts have no size"));
    }
    let across = width.div_ceil(chunk_width);
    let mut picture = RgbImage::new(width, height);
    for (index, (&offset, &count)) in offsets.iter().zip(&counts).enumerate() {
        let (column, row) = (
            index as u32 % across * chunk_width,
            index as u32 / across * chunk_height,
        );
        if row >= height {
            break;
        }
        let part = usize::try_from(offset)
            .ok()
            .zip(usize::try_from(count).ok())
            .and_then(|(offset, count)| bytes.get(offset..offset.checked_add(count)?))
            .ok_or_else(|| damaged("the data end early"))?;
        // The tables come without a picture, the parts without tables, each between its own start and end.
        let joined = match (tables.strip_suffix(b"\xff\xd9"), part.strip_prefix(b"\xff\xd8")) {
            (Some(tables), Some(part)) => [tables, part].concat(),
            _ => part.to_vec(),
        };
        let inner = decode_inner(&joined, limits, Idct::Accurate, is_ycbcr)?;
        paste(&mut picture, &inner, column, row);
        let damage = inner
            .damage
            .map(|reason| PictureWarning::Damaged { format: FORMAT, reason });
        warnings.extend(damage);
    }
    Ok(picture)
}

/// Copies what of a part lies within the picture.
fn paste(picture: &mut RgbImage, part: &Inner, column: u32, row: u32) {
    let stride = picture.width() as usize * 3;
    let width = part.width.min((picture.width() - column) as usize) * 3;
    let height = part.height.min((picture.height() - row) as usize);
    let rows = picture.chunks_exact_mut(stride).skip(row as usize).take(height);
    for (to, from) in rows.zip(part.rgb.chunks_exact(part.width * 3)) {
        to[column as usize * 3..][..width].copy_from_slice(&from[..width]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_that_are_not_read_are_named() {
        for (colours, format, bits, expected) in [
            (GREY, FLOAT, 32, Some("32-bit floating-point")),
            (RGB, FLOAT, 16, Some("16-bit floating-point")),
            (GREY, SIGNED, 32, Some("signed 32-bit integers")),
            (GREY, UNSIGNED, 32, Some("are 32-bit integers")),
            (8, UNSIGNED, 8, Some("CIE L*a*b*")),
            (YCBCR, UNSIGNED, 8, Some("YCbCr without JPEG")),
            (GREY, UNSIGNED, 16, None),
            (RGB, UNSIGNED, 8, None),
        ] {
            let found = unread(Some(colours), format, bits);
            assert_eq!(found.is_some(), expected.is_some(), "{colours} {format} {bits}");
            assert!(found.is_none_or(|found| found.contains(expected.unwrap())));
        }
    }
}
