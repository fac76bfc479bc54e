//! Brushes of GIMP, with Pillow's numbers (`GbrImagePlugin.py`).

use image::DynamicImage;

use super::{canvas::Canvas, error::PictureError, fault::early, limits::DecodeLimits, numbers::big_long};

const FORMAT: &str = "GBR";

pub(super) fn decode_gbr(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let number = |at| big_long(bytes, at).ok_or_else(|| early(FORMAT));
    let channels = number(16)?;
    let canvas = Canvas::new(FORMAT, [number(8)?, number(12)?], 4, limits)?;
    let data = bytes
        .get(number(0)?..)
        .and_then(|data| data.get(..channels * canvas.pixels()));
    let data = data.ok_or_else(|| early(FORMAT))?.to_vec();
    if channels == 1 {
        canvas.picture(data, DynamicImage::ImageLuma8)
    } else {
        canvas.picture(data, DynamicImage::ImageRgba8)
    }
}
