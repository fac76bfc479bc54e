//! PIXAR raster images, with Pillow's numbers (`PixarImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{early, unsupported},
    limits::DecodeLimits,
    numbers::short,
};

const FORMAT: &str = "PIXAR";
const PIXELS_AT: usize = 1024;

pub(super) fn decode_pixar(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let number = |at| short(bytes, at).ok_or_else(|| early(FORMAT));
    let (channels, depth) = (number(424)?, number(426)?);
    if (channels, depth) != (14, 2) {
        let reason = format!("its pixels are of channels {channels} and depth {depth}, not RGB of 8 bits");
        return Err(unsupported(FORMAT, reason));
    }
    let canvas = Canvas::new(FORMAT, [number(418)?, number(416)?], 3, limits)?;
    let data = bytes.get(PIXELS_AT..).and_then(|data| data.get(..3 * canvas.pixels()));
    canvas.picture(data.ok_or_else(|| early(FORMAT))?.to_vec(), DynamicImage::ImageRgb8)
}
