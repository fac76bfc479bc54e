//! Files of IM Tools, with Pillow's numbers (`ImtImagePlugin.py`).

use image::DynamicImage;

use super::{canvas::Canvas, error::PictureError, fault::early, imt_header::Header, limits::DecodeLimits};

const FORMAT: &str = "IMT";

pub(super) fn decode_imt(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let header = Header::read(bytes).ok_or_else(|| early(FORMAT))?;
    let canvas = Canvas::new(FORMAT, header.size, 1, limits)?;
    let data = bytes
        .get(header.pixels_at..)
        .and_then(|data| data.get(..canvas.pixels()));
    canvas.picture(data.ok_or_else(|| early(FORMAT))?.to_vec(), DynamicImage::ImageLuma8)
}
