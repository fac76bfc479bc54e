//! Windows icons (ICO) and cursors (CUR): the picture that Pillow chooses, with Pillow's pixels
//! (`IcoImagePlugin.py`, `CurImagePlugin.py`).

use std::cmp::Reverse;

use image::{DynamicImage, Luma, Rgba, RgbaImage};

use super::{
    bmp::Header,
    canvas::{Canvas, samples, turned_over},
    error::PictureError,
    fault::{damaged, early, unsupported},
    icon::Icon,
    limits::DecodeLimits,
    numbers::{long, short},
};

const ICON: &str = "ICO";
const CURSOR: &str = "CUR";
/// Bytes before the directory, and of an entry of it.
const HEADER: usize = 6;
const ENTRY: usize = 16;

struct Entry<'a> {
    bytes: &'a [u8],
    bits: usize,
    length: usize,
    start: usize,
}

impl Entry<'_> {
    fn pixels(&self) -> usize {
        let side = |byte: u8| if byte == 0 { 256 } else { usize::from(byte) };
        side(self.bytes[0]) * side(self.bytes[1])
    }

    fn depth(&self) -> usize {
        match (self.bits, self.bytes[2]) {
            (0, 0 | 1) => 256,
            (0, colours) => usize::from(colours).next_power_of_two().ilog2() as usize,
            (bits, _) => bits,
        }
    }
}

fn entries<'a>(bytes: &'a [u8], format: &'static str) -> Result<Vec<Entry<'a>>, PictureError> {
    let count = short(bytes, 4).ok_or_else(|| early(format))?;
    let directory = bytes.get(HEADER..HEADER + count * ENTRY).ok_or_else(|| early(format))?;
    let entry = |bytes: &'a [u8]| {
        Some(Entry {
            bytes,
            bits: short(bytes, 6)?,
            length: long(bytes, 8)?,
            start: long(bytes, 12)?,
        })
    };
    Ok(directory.chunks_exact(ENTRY).filter_map(entry).collect())
}

/// The header of a picture that Pillow does not read to noise.
fn header_at(bytes: &[u8], start: usize) -> Option<Header> {
    Header::read(bytes, start, 0).filter(|header| header.pillows_error(bytes).is_none())
}

/// The largest icon, of several the one with the fewest bits of a pixel.
pub(super) fn decode_ico<'a>(bytes: &'a [u8], limits: &DecodeLimits) -> Result<Icon<'a>, PictureError> {
    let entries = entries(bytes, ICON)?;
    let entry = entries
        .iter()
        .min_by_key(|entry| (Reverse(entry.pixels()), entry.depth()));
    let entry = entry.ok_or_else(|| damaged(ICON, "it has no icons"))?;
    let file = bytes.get(entry.start..).unwrap_or_default();
    if file.starts_with(Icon::PNG) {
        return Ok(Icon::Png(file));
    }
    let unknown = || unsupported(ICON, "the header or the kind of pixels of its largest icon is unknown");
    let mut header = header_at(bytes, entry.start).ok_or_else(unknown)?;
    // The transparency counts as as many rows.
    header.height /= 2;
    let picture = header.decode(bytes, limits).ok_or_else(unknown)??;
    let canvas = Canvas::new(ICON, [header.width, header.height], 8, limits)?;
    let alpha = if entry.bits == 32 {
        let pixels = bytes.get(header.pixels_at..).unwrap_or_default();
        let pixels = pixels.get(..4 * canvas.pixels()).ok_or_else(|| early(ICON))?;
        let alpha: Vec<u8> = pixels
            .as_chunks()
            .0
            .iter()
            .map(|&[.., alpha]: &[u8; 4]| alpha)
            .collect();
        turned_over(&alpha, canvas.width)
    } else {
        let row_len = canvas.width.div_ceil(32) * 4;
        let start = (entry.start + entry.length).checked_sub(row_len * canvas.height);
        let mask = start.and_then(|start| bytes.get(start..)).ok_or_else(|| early(ICON))?;
        let rows = canvas.rows(mask, canvas.width.div_ceil(8), row_len)?;
        let row = |row| samples(row, 1).take(canvas.width).map(|bit| (1 - bit) * 255);
        rows.rev().flat_map(row).collect()
    };
    let mut picture: RgbaImage = picture.into_rgba8();
    for (pixel, alpha) in picture.pixels_mut().zip(alpha) {
        pixel[3] = alpha;
    }
    Ok(Icon::Picture(picture.into()))
}

/// The first cursor that is both wider and higher than all cursors before it. Like Pillow, this leaves out the
/// transparency of cursors in colours, except if the file has one cursor of 32 bits, directly behind the directory.
pub(super) fn decode_cur(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let entries = entries(bytes, CURSOR)?;
    let behind = HEADER + ENTRY * entries.len();
    let larger =
        |chosen: &Entry<'_>, entry: &Entry<'_>| [0, 1].iter().all(|&side| entry.bytes[side] > chosen.bytes[side]);
    let entry = entries
        .into_iter()
        .reduce(|chosen, entry| if larger(&chosen, &entry) { entry } else { chosen });
    let entry = entry.ok_or_else(|| damaged(CURSOR, "it has no cursors"))?;
    let unknown = || {
        unsupported(
            CURSOR,
            "the header or the kind of pixels of its largest cursor is unknown",
        )
    };
    let start = if entry.start == 0 { behind } else { entry.start };
    let mut header = header_at(bytes, start).ok_or_else(unknown)?;
    header.has_alpha = entry.start == HEADER + ENTRY;
    if !header.is_grey(bytes) {
        header.height /= 2;
        return header.decode(bytes, limits).ok_or_else(unknown)?;
    }
    if header.height % 2 == 1 {
        return Err(damaged(CURSOR, "its number of rows is odd"));
    }
    let both = header.decode(bytes, limits).ok_or_else(unknown)??.into_luma8();
    // The upper half is where the cursor is transparent.
    let height = both.height() / 2;
    let picture = RgbaImage::from_fn(both.width(), height, |x, y| {
        let (Luma([mask]), Luma([level])) = (both.get_pixel(x, y), both.get_pixel(x, y + height));
        let opacity = 255 - mask;
        // `Paste.c`, over black.
        let product = u32::from(*level) * u32::from(opacity) + 128;
        let level = (((product >> 8) + product) >> 8) as u8;
        Rgba([level, level, level, opacity])
    });
    Ok(picture.into())
}
