//! Brushes of GIMP, with Pillow's numbers (`GbrImagePlugin.py`).

use image::DynamicImage;

use super::{canvas::Canvas, error::PictureError, fault::early, limits::DecodeLimits, numbers::big_long};

const FORMAT: &str = "GBR";
/// Bytes of the header without a comment, of version 1 and of version 2, which has a mark as well.
const HEADER: usize = 20;
const MARKED_HEADER: usize = 28;
const MARK: &[u8] = b"GIMP";

/// Whether a file begins with the header of a brush, which has no mark in version 1.
pub(super) fn is_gbr(head: &[u8]) -> bool {
    let number = |at| big_long(head, at).unwrap_or_default();
    let has_mark = head.get(HEADER..HEADER + MARK.len()) == Some(MARK);
    let is_version =
        matches!((number(4), number(0)), (1, HEADER..)) || (number(4) == 2 && number(0) >= MARKED_HEADER && has_mark);
    is_version && number(8) != 0 && number(12) != 0 && matches!(number(16), 1 | 4)
}

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
