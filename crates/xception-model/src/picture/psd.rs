//! Photoshop's PSD: the picture that it stores of all layers together, with Pillow's numbers (`PsdImagePlugin.py`,
//! `PackDecode.c`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette, samples},
    error::PictureError,
    fault::{damaged, early, unsupported},
    jpeg::inks_to_rgb,
    limits::DecodeLimits,
    numbers::{big_long, big_short},
    tiff::lab_to_rgb,
    warning::PictureWarning,
};

const FORMAT: &str = "PSD";
const HEADER: usize = 26;

/// Kinds of pixels (`PSDModes`).
const BITS: usize = 0;
const PLACES: usize = 2;
const RGB: usize = 3;
const INKS: usize = 4;
const LAB: usize = 9;

pub(super) fn decode_psd(
    bytes: &[u8],
    limits: &DecodeLimits,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let header = bytes.first_chunk::<HEADER>().ok_or_else(|| early(FORMAT))?;
    let number = |at| big_short(header, at).unwrap_or_default();
    let (version, stored, bits, kind) = (number(4), number(12), number(22), number(24));
    if version != 1 {
        return Err(unsupported(
            FORMAT,
            format!("its version is {version}, that of PSB files"),
        ));
    }
    let channels = match (kind, bits) {
        (BITS, 1) | (BITS | 1 | PLACES | 7 | 8, 8) => 1,
        (RGB, 8) if stored == 4 => 4,
        (RGB | LAB, 8) => 3,
        (INKS, 8) => 4,
        _ => {
            return Err(unsupported(
                FORMAT,
                format!("its pixels are of mode {kind} and {bits} bits"),
            ));
        }
    };
    if channels > stored {
        return Err(damaged(FORMAT, "it has too few channels"));
    }
    let size = [18, 14].map(|at| big_long(header, at).unwrap_or_default());
    let canvas = Canvas::new(FORMAT, size, 8, limits)?;
    let (palette, at) = sections(bytes).ok_or_else(|| early(FORMAT))?;
    let row_len = (canvas.width * bits).div_ceil(8);
    let planes = planes(bytes, at, &canvas, row_len, channels)?;
    let mixed = |colour: fn([u8; 4]) -> [u8; 3]| {
        let channel = |plane: usize, index: usize| planes.get(plane).map_or(0, |plane| plane[index]);
        let colours = (0..canvas.pixels()).flat_map(|index| colour([0, 1, 2, 3].map(|plane| channel(plane, index))));
        canvas.picture(colours.collect(), DynamicImage::ImageRgb8)
    };
    match (kind, bits) {
        (BITS, 1) => {
            // Ink is 1.
            warnings.push(PictureWarning::Negative { bits });
            let row = |row| samples(row, 1).take(canvas.width).map(|bit| bit * 255);
            let levels = planes[0].chunks(row_len).flat_map(row);
            canvas.picture(levels.collect(), DynamicImage::ImageLuma8)
        }
        (PLACES, _) => canvas.of_places(&planes[0], &palette),
        (RGB, _) if channels == 4 => {
            let pixels = (0..canvas.pixels()).flat_map(|index| [0, 1, 2, 3].map(|plane: usize| planes[plane][index]));
            canvas.picture(pixels.collect(), DynamicImage::ImageRgba8)
        }
        (RGB, _) => mixed(|[red, green, blue, _]| [red, green, blue]),
        (INKS, _) => mixed(|[cyan, magenta, yellow, black]| inks_to_rgb([cyan, magenta, yellow], black)),
        (LAB, _) => mixed(|[lightness, a, b, _]| lab_to_rgb([lightness, a, b])),
        _ => {
            let levels = planes.into_iter().next().unwrap_or_default();
            canvas.picture(levels, DynamicImage::ImageLuma8)
        }
    }
}

/// The palette, which is black unless complete, and the place behind the sections before the pixels.
fn sections(bytes: &[u8]) -> Option<(Palette, usize)> {
    const COMPLETE: usize = 3 * 256;
    let length = big_long(bytes, HEADER)?;
    let mut at = HEADER + 4;
    let colours = bytes.get(at..at + length.min(COMPLETE)).filter(|_| length == COMPLETE);
    let colours = colours.unwrap_or_default();
    let count = colours.len() / 3;
    let colour = |index: usize| [colours[index], colours[index + count], colours[index + 2 * count], 255];
    let palette = Palette::new((0..count).map(colour), false)?;
    at = (at + length).min(bytes.len());
    // The resources count, and not the length of their section.
    let end = at + 4 + big_long(bytes, at)?;
    at += 4;
    while at < end {
        let behind = |at: usize, length: usize| (at + length).min(bytes.len());
        let name_at = behind(at, 6);
        big_short(bytes, at + 4)?;
        let name_len = usize::from(*bytes.get(name_at)?);
        at = behind(name_at, 1 + name_len);
        at = behind(at, usize::from((at - name_at) % 2 == 1));
        let length = big_long(bytes, at)?;
        let start = at + 4;
        at = behind(start, length);
        at = behind(at, (at - start) % 2);
    }
    let layers = big_long(bytes, at)?;
    Some((palette, at + 4 + layers))
}

/// The channels, one after the other.
fn planes(
    bytes: &[u8],
    at: usize,
    canvas: &Canvas,
    row_len: usize,
    channels: usize,
) -> Result<Vec<Vec<u8>>, PictureError> {
    let data = bytes.get(at + 2..).unwrap_or_default();
    match big_short(bytes, at) {
        Some(0) => {
            let plane = |channel: usize| {
                let data = data.get(channel * canvas.pixels()..)?;
                Some(data.get(..row_len * canvas.height)?.to_vec())
            };
            let planes = (0..channels).map(|channel| plane(channel).ok_or_else(|| early(FORMAT)));
            planes.collect()
        }
        Some(1) => {
            let table_len = 2 * channels * canvas.height;
            let table = data.get(..table_len).ok_or_else(|| early(FORMAT))?;
            let mut start = table_len;
            let plane = |lengths: &[u8]| {
                let plane = packed(data.get(start..).unwrap_or_default(), row_len, canvas.height);
                start += (0..canvas.height)
                    .filter_map(|row| big_short(lengths, 2 * row))
                    .sum::<usize>();
                plane.ok_or_else(|| early(FORMAT))
            };
            table.chunks(2 * canvas.height).map(plane).collect()
        }
        Some(number) => Err(unsupported(FORMAT, format!("its compression has the number {number}"))),
        None => Err(early(FORMAT)),
    }
}

/// Rows behind `PackBits`. What a run has too much for its row is dropped.
fn packed(data: &[u8], row_len: usize, height: usize) -> Option<Vec<u8>> {
    let total = row_len * height;
    let mut rows = Vec::new();
    let mut rest = data;
    while rows.len() < total {
        let (&head, after) = rest.split_first()?;
        rest = after;
        let left = row_len - rows.len() % row_len;
        match head {
            0x80 => {}
            0x81.. => {
                let (&byte, after) = rest.split_first()?;
                rest = after;
                rows.resize(rows.len() + left.min(257 - usize::from(head)), byte);
            }
            _ => {
                let (bytes, after) = rest.split_at_checked(usize::from(head) + 1)?;
                rest = after;
                rows.extend_from_slice(&bytes[..left.min(bytes.len())]);
            }
        }
    }
    Some(rows)
}
