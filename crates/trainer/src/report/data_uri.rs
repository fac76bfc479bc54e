//! Pictures as data URIs inside the page.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use image::RgbImage;
use image::codecs::jpeg::JpegEncoder;

use super::error::ReportError;
use crate::explain::shrunk;

/// The longer side of a thumbnail in pixels: twice the side on the page, for screens of high density.
const THUMBNAIL: u32 = 400;
/// The longer side of a picture in a table.
const SMALL: u32 = 128;
/// At this quality compression artefacts are invisible at the thumbnail's size.
const QUALITY: u8 = 82;

/// A thumbnail of an example or of a mistake.
pub(super) fn thumbnail(picture: &RgbImage) -> Result<String, ReportError> {
    jpeg(picture, THUMBNAIL)
}

/// A thumbnail in a table.
pub(super) fn small(picture: &RgbImage) -> Result<String, ReportError> {
    jpeg(picture, SMALL)
}

fn jpeg(picture: &RgbImage, longest: u32) -> Result<String, ReportError> {
    let mut bytes = Vec::new();
    shrunk(picture, longest).write_with_encoder(JpegEncoder::new_with_quality(&mut bytes, QUALITY))?;
    Ok(format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes)))
}
