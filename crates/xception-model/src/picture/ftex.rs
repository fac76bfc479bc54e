//! FTEX, the textures of Independence War 2 (`.ftc`, `.ftu`), with Pillow's numbers (`FtexImagePlugin.py`).

use image::DynamicImage;

use super::{
    bcn::{Blocks, Fifths},
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early, unsupported},
    limits::DecodeLimits,
    numbers::long,
};

const FORMAT: &str = "FTEX";

/// A length below zero that stands for the rest of the file, as for Python.
const REST: usize = 0xffff_ffff;
const LONGEST: usize = 0x7fff_ffff;

pub(super) fn decode_ftex(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let number = |at| long(bytes, at).ok_or_else(|| early(FORMAT));
    let canvas = Canvas::new(FORMAT, [number(8)?, number(12)?], 4, limits)?;
    if number(20)? != 1 {
        return Err(unsupported(
            FORMAT,
            "it does not hold its texture in exactly one format",
        ));
    }
    let (kind, start) = (number(24)?, number(28)?);
    let length = number(start)?;
    let data = &bytes[start + 4..];
    let data = match length {
        REST => data,
        ..=LONGEST => &data[..length.min(data.len())],
        _ => return Err(damaged(FORMAT, "the length of its texture is below zero")),
    };
    match kind {
        0 => Blocks::Bc1(Fifths::Repeated).picture(&canvas, data),
        1 => {
            let samples = data.get(..3 * canvas.pixels()).ok_or_else(|| early(FORMAT))?;
            canvas.picture(samples.to_vec(), DynamicImage::ImageRgb8)
        }
        _ => Err(unsupported(FORMAT, format!("its texture is of the format {kind}"))),
    }
}
