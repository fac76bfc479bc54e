//! SPIDER (electron microscopy), the first picture, with Pillow's numbers (`SpiderImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early},
    options::DecodeOptions,
    tiff::to_levels,
    warning::PictureWarning,
};
use crate::reading::SixteenBitMode;

const FORMAT: &str = "SPIDER";

/// The numbers of a header that are looked at.
const NUMBERS: usize = 27;

/// The places of numbers in the header, counted from 1 as in SPIDER's documentation: rows, kind, columns, records and
/// bytes of the header, bytes of a record, kind of stack, number within the stack.
const ROWS: usize = 2;
const KIND: usize = 5;
const COLUMNS: usize = 12;
const RECORDS: usize = 13;
const HEADER_LEN: usize = 22;
const RECORD_LEN: usize = 23;
const STACK: usize = 24;
const IN_STACK: usize = 27;

/// The numbers of the header, with one before them, and how they are stored.
struct Header {
    numbers: [f64; NUMBERS + 1],
    is_big_endian: bool,
}

/// Whether a file begins with the header of a picture, which has no mark.
pub(super) fn is_spider(head: &[u8]) -> bool {
    Header::read(head).is_some()
}

impl Header {
    fn read(head: &[u8]) -> Option<Self> {
        [true, false].into_iter().find_map(|is_big_endian| {
            let mut numbers = [0.0; NUMBERS + 1];
            for (number, bytes) in numbers[1..].iter_mut().zip(head.get(..4 * NUMBERS)?.as_chunks().0) {
                *number = float(*bytes, is_big_endian);
            }
            let is_whole = |place: usize| numbers[place].is_finite() && numbers[place].fract() == 0.0;
            let is_header = [1, ROWS, KIND, COLUMNS, RECORDS, HEADER_LEN, RECORD_LEN]
                .into_iter()
                .all(is_whole)
                && numbers[KIND] == 1.0
                && numbers[HEADER_LEN] > 0.0
                && numbers[HEADER_LEN] == numbers[RECORDS] * numbers[RECORD_LEN]
                && numbers[ROWS] > 0.0
                && numbers[COLUMNS] > 0.0;
            is_header.then_some(Self { numbers, is_big_endian })
        })
    }
}

fn float(bytes: [u8; 4], is_big_endian: bool) -> f64 {
    f64::from(if is_big_endian {
        f32::from_be_bytes(bytes)
    } else {
        f32::from_le_bytes(bytes)
    })
}

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
