//! Sun raster, with Pillow's numbers (`SunImagePlugin.py`, `SunRleDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette, samples},
    error::PictureError,
    fault::{early, unsupported},
    limits::DecodeLimits,
    numbers::big_long,
};

const FORMAT: &str = "Sun raster";
const HEADER: usize = 32;

/// Types of files: run lengths, and colours from red to blue, which are from blue to red in the others.
const RUNS: usize = 2;
const RED_FIRST: usize = 3;
/// The byte before a run.
const RUN: u8 = 0x80;

pub(super) fn decode_sun(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let header = bytes.first_chunk::<HEADER>().ok_or_else(|| early(FORMAT))?;
    let number = |at| big_long(header, at).unwrap_or_default();
    let canvas = Canvas::new(FORMAT, [number(4), number(8)], 8, limits)?;
    let (depth, kind) = (number(12), number(20));
    let (map_kind, map_len) = (number(24), number(28));
    if kind > 5 {
        return Err(unsupported(FORMAT, format!("its type has the number {kind}")));
    }
    let palette = match (map_len, map_kind, depth) {
        (0, ..) => None,
        (..=1024, 1, 4 | 8) => Some(palette(bytes.get(HEADER..).unwrap_or_default(), map_len)?),
        _ => {
            let reason = format!("it has {depth} bits and a map of kind {map_kind} of {map_len} bytes");
            return Err(unsupported(FORMAT, reason));
        }
    };
    if ![1, 4, 8, 24, 32].contains(&depth) {
        return Err(unsupported(FORMAT, format!("its pixels have {depth} bits")));
    }
    let data = bytes.get(HEADER + map_len..).unwrap_or_default();
    let used = (canvas.width * depth).div_ceil(8);
    let rows: Vec<u8> = if kind == RUNS {
        runs(data, used * canvas.height).ok_or_else(|| early(FORMAT))?
    } else {
        canvas
            .rows(data, used, used.next_multiple_of(2))?
            .flatten()
            .copied()
            .collect()
    };
    let few_bits = |bits: usize| {
        let row = move |row| samples(row, bits).take(canvas.width);
        rows.chunks(used).flat_map(row)
    };
    match (depth, palette) {
        (1, _) => {
            let levels = few_bits(1).map(|bit| (1 - bit) * 255);
            canvas.picture(levels.collect(), DynamicImage::ImageLuma8)
        }
        (4, None) => {
            let levels = few_bits(4).map(|level| level * 17);
            canvas.picture(levels.collect(), DynamicImage::ImageLuma8)
        }
        (4, Some(palette)) => canvas.of_places(&few_bits(4).collect::<Vec<_>>(), &palette),
        (8, None) => canvas.picture(rows, DynamicImage::ImageLuma8),
        (_, Some(palette)) => canvas.of_places(&rows, &palette),
        _ => {
            let colour = |pixel: &[u8]| match kind {
                RED_FIRST => [pixel[0], pixel[1], pixel[2]],
                _ => [pixel[2], pixel[1], pixel[0]],
            };
            let colours = rows.chunks_exact(depth / 8).flat_map(colour);
            canvas.picture(colours.collect(), DynamicImage::ImageRgb8)
        }
    }
}

/// Reds, then greens, then blues.
fn palette(bytes: &[u8], length: usize) -> Result<Palette, PictureError> {
    let bytes = bytes.get(..length).ok_or_else(|| early(FORMAT))?;
    let count = length / 3;
    let colours = (0..count).map(|index| [bytes[index], bytes[index + count], bytes[index + 2 * count], 255]);
    Palette::new(colours, false).ok_or_else(|| unsupported(FORMAT, "its map has more than 256 colours"))
}

/// The bytes behind run lengths, which go on from row to row. Like Pillow, this knows no padding of rows.
fn runs(data: &[u8], total: usize) -> Option<Vec<u8>> {
    let mut rows = Vec::new();
    let mut data = data.iter().copied();
    while rows.len() < total {
        match data.next()? {
            RUN => match data.next()? {
                0 => rows.push(RUN),
                count => {
                    let byte = data.next()?;
                    rows.resize(rows.len() + usize::from(count) + 1, byte);
                }
            },
            byte => rows.push(byte),
        }
    }
    rows.truncate(total);
    Some(rows)
}
