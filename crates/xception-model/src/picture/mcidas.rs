//! Areas of `McIDAS` (weather satellites), with Pillow's numbers (`McIdasImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::Canvas, error::PictureError, fault::damaged, marks::mcidas_number, options::DecodeOptions, tiff::to_levels,
    warning::PictureWarning,
};
use crate::reading::SixteenBitMode;

const FORMAT: &str = "McIDAS";

/// The places of numbers in the header, counted from 1 as in its documentation.
const ROWS: usize = 9;
const COLUMNS: usize = 10;
const NUMBER_LEN: usize = 11;
const CHANNELS: usize = 14;
const PREFIX_LEN: usize = 15;
const DATA_AT: usize = 34;

pub(super) fn decode_mcidas(
    bytes: &[u8],
    options: &DecodeOptions,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let number = |place| mcidas_number(bytes, place);
    let canvas = Canvas::new(
        FORMAT,
        [number(COLUMNS) as usize, number(ROWS) as usize],
        12,
        &options.limits,
    )?;
    let number_len = number(NUMBER_LEN) as usize;
    let used = canvas.width * number_len;
    let at = usize::try_from(number(DATA_AT) + number(PREFIX_LEN));
    let at = at.map_err(|_| damaged(FORMAT, "the place of its pixels is impossible"))?;
    let stride = (used as i64)
        .checked_mul(number(CHANNELS))
        .and_then(|row| row.checked_add(number(PREFIX_LEN)));
    let stride = stride.filter(|stride| i32::try_from(*stride).is_ok());
    let stride = match stride.map(usize::try_from) {
        Some(Ok(stride)) if stride >= used => stride,
        // Pillow maps numbers of one or two bytes into memory, where no row is too short for its pixels.
        Some(stride) if number_len < 4 || stride == Ok(0) => used,
        _ => return Err(damaged(FORMAT, "its rows have an impossible length")),
    };
    let rows = canvas.rows(bytes.get(at..).unwrap_or_default(), used, stride)?;
    let data: Vec<u8> = rows.flatten().copied().collect();
    match number_len {
        1 => canvas.picture(data, DynamicImage::ImageLuma8),
        2 => {
            let words = data.as_chunks().0.iter().map(|&pair| u16::from_be_bytes(pair));
            canvas.picture(words.collect(), DynamicImage::ImageLuma16)
        }
        _ => {
            let numbers = data
                .as_chunks()
                .0
                .iter()
                .map(|&number| i32::from_be_bytes(number).into());
            let numbers: Vec<f64> = numbers.collect();
            let stretch = options.reading.sixteen_bit == SixteenBitMode::Stretch;
            canvas.picture(
                to_levels(&numbers, "integers", stretch, warnings),
                DynamicImage::ImageLuma8,
            )
        }
    }
}
