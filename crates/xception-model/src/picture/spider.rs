//! SPIDER (electron microscopy), the first picture, with Pillow's numbers (`SpiderImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early},
    options::DecodeOptions,
    spider_header::{COLUMNS, HEADER_LEN, Header, IN_STACK, NUMBERS, ROWS, STACK, float},
    tiff::to_levels,
    warning::PictureWarning,
};
use crate::reading::SixteenBitMode;

const FORMAT: &str = "SPIDER";

pub(super) fn decode_spider(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let Header { numbers, is_big_endian } = Header::read(bytes).ok_or_else(|| early(FORMAT))?;
    let canvas = Canvas::new(
        FORMAT,
        [COLUMNS, ROWS].map(|place| numbers[place] as usize),
        12,
        &options.limits,
    )?;
    // A number that is not whole counts as its whole part.
    let whole = |place: usize| Some(numbers[place].trunc()).filter(|number| number.is_finite());
    let headers = match (whole(STACK), whole(IN_STACK)) {
        (Some(0.0), Some(0.0)) => 1,
        (Some(stack), Some(0.0)) if stack > 0.0 && whole(NUMBERS - 1).is_some() => 2,
        _ => return Err(damaged(FORMAT, "its header has an impossible kind of stack")),
    };
    let at = (numbers[HEADER_LEN] as usize).saturating_mul(headers);
    let data = bytes.get(at..).and_then(|data| data.get(..4 * canvas.pixels()));
    let data = data.ok_or_else(|| early(FORMAT))?;
    let numbers: Vec<f64> = data
        .as_chunks()
        .0
        .iter()
        .map(|&bytes| float(bytes, is_big_endian))
        .collect();
    let stretch = options.reading.sixteen_bit == SixteenBitMode::Stretch;
    let levels = to_levels(&numbers, "floating-point numbers", stretch, warnings);
    canvas.picture(levels, DynamicImage::ImageLuma8)
}
