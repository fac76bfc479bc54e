//! PCD (Kodak's Photo CD), the picture of 768 x 512 pixels, with Pillow's numbers (`PcdImagePlugin.py`, `PcdDecode.c`,
//! `UnpackYCC.c`).

use image::{DynamicImage, imageops};

use super::{canvas::Canvas, error::PictureError, fault::early, limits::DecodeLimits, marks::PCD_AT};

const FORMAT: &str = "PCD";
const WIDTH: usize = 768;
const HEIGHT: usize = 512;

/// The places of the orientation and of the pixels.
const ORIENTATION_AT: usize = PCD_AT + 1538;
const PIXELS_AT: usize = 96 * 2048;

pub(super) fn decode_pcd(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let canvas = Canvas::new(FORMAT, [WIDTH, HEIGHT], 6, limits)?;
    let data = bytes
        .get(PIXELS_AT..)
        .and_then(|data| data.get(..WIDTH * HEIGHT / 2 * 3));
    let data = data.ok_or_else(|| early(FORMAT))?;
    let mut rgb = Vec::new();
    // Two rows, and the colours of four pixels each in rows of half their length.
    for rows in data.chunks_exact(3 * WIDTH) {
        let (levels, colours) = rows.split_at(2 * WIDTH);
        let (blue, red) = colours.split_at(WIDTH / 2);
        for row in levels.chunks_exact(WIDTH) {
            let colours = blue.iter().zip(red).flat_map(|colours| [colours; 2]);
            rgb.extend(
                row.iter()
                    .zip(colours)
                    .flat_map(|(&level, (&blue, &red))| to_rgb(level, blue, red)),
            );
        }
    }
    let picture = canvas.picture(rgb, DynamicImage::ImageRgb8)?.into_rgb8();
    Ok(DynamicImage::ImageRgb8(match bytes[ORIENTATION_AT] & 3 {
        1 => imageops::rotate270(&picture),
        3 => imageops::rotate90(&picture),
        _ => picture,
    }))
}

/// A pixel of `PhotoYCC`. Pillow's tables hold these numbers, rounded.
fn to_rgb(level: u8, blue: u8, red: u8) -> [u8; 3] {
    let term = |factor: f64, number: u8, zero: f64| ((f64::from(number) - zero) * factor + 0.5) as i32;
    let level = term(1.3584, level, 0.0);
    let sums = [
        level + term(1.8215, red, 137.0),
        level + term(-0.509 * 1.8215, red, 137.0) + term(-0.194 * 2.2179, blue, 156.0),
        level + term(2.2179, blue, 156.0),
    ];
    sums.map(|sum| sum.clamp(0, 255) as u8)
}
