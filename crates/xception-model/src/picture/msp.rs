//! MSP (the Paint of Windows 1 and 2), with Pillow's numbers (`MspImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, samples},
    error::PictureError,
    fault::{damaged, early},
    limits::DecodeLimits,
    numbers::short,
};

const FORMAT: &str = "MSP";
const HEADER: usize = 32;
/// How files of version 2 begin, whose rows are run lengths.
const PACKED: &[u8] = b"LinS";

pub(super) fn decode_msp(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let header = bytes.first_chunk::<HEADER>().ok_or_else(|| early(FORMAT))?;
    let number = |at| short(header, at).unwrap_or_default();
    if (0..HEADER).step_by(2).fold(0, |sum, at| sum ^ number(at)) != 0 {
        return Err(damaged(FORMAT, "the checksum of its header is wrong"));
    }
    let canvas = Canvas::new(FORMAT, [number(4), number(6)], 2, limits)?;
    let row_len = canvas.width.div_ceil(8);
    let data = &bytes[HEADER..];
    let data = if header.starts_with(PACKED) {
        &unpacked(data, &canvas, row_len)?
    } else {
        data
    };
    let rows = canvas.rows(data, row_len, row_len)?;
    let row = |row| samples(row, 1).take(canvas.width).map(|bit| bit * 255);
    canvas.picture(rows.flat_map(row).collect(), DynamicImage::ImageLuma8)
}

/// The rows behind a table of their lengths; one without length is white. A row that comes out too short or too long
/// moves those behind it, as in Pillow.
fn unpacked(data: &[u8], canvas: &Canvas, row_len: usize) -> Result<Vec<u8>, PictureError> {
    let (table, mut data) = data.split_at_checked(2 * canvas.height).ok_or_else(|| early(FORMAT))?;
    let total = row_len * canvas.height;
    let mut rows = Vec::new();
    for &length in table.as_chunks().0 {
        let length = usize::from(u16::from_le_bytes(length));
        let (packed, rest) = data.split_at_checked(length).ok_or_else(|| early(FORMAT))?;
        data = rest;
        let row = match length {
            0 => vec![255; row_len],
            // Pillow counts the pixels of a row as if each were a byte.
            _ => row(packed, canvas.width)?,
        };
        let missing = total - rows.len();
        rows.extend_from_slice(&row[..row.len().min(missing)]);
    }
    Ok(rows)
}

/// Literals behind their number; runs behind 0, of a number and a byte. At most so many bytes of them.
fn row(mut packed: &[u8], most: usize) -> Result<Vec<u8>, PictureError> {
    let mut row = Vec::new();
    while let Some((&count, rest)) = packed.split_first() {
        if count == 0 {
            let (&[count, value], rest) = rest.split_first_chunk().ok_or_else(|| early(FORMAT))?;
            row.resize(most.min(row.len() + usize::from(count)), value);
            packed = rest;
        } else {
            let count = usize::from(count).min(most - row.len()).min(rest.len());
            row.extend_from_slice(&rest[..count]);
            packed = &rest[count..];
        }
    }
    Ok(row)
}
