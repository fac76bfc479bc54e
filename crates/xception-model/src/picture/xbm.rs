//! XBM (X11 bitmaps), with Pillow's numbers (`XbmImagePlugin.py`, `XbmDecode.c`).

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early},
    limits::DecodeLimits,
    warning::PictureWarning,
};

const FORMAT: &str = "XBM";

/// Most bytes of a line of the header.
const MAX_LINE: usize = 75;

pub(super) fn decode_xbm(
    bytes: &[u8],
    limits: &DecodeLimits,
    warnings: &mut Vec<PictureWarning>,
) -> Result<DynamicImage, PictureError> {
    let (size, pixels_at) = header(bytes).ok_or_else(|| damaged(FORMAT, "its header is incomplete"))?;
    let canvas = Canvas::new(FORMAT, size, 1, limits)?;
    let row_len = canvas.width.div_ceil(8);
    let mut rest = &bytes[pixels_at..];
    let mut levels = Vec::new();
    for _ in 0..canvas.height {
        let mut left = canvas.width;
        for _ in 0..row_len {
            let at = rest
                .iter()
                .position(|&byte| byte == b'x')
                .ok_or_else(|| early(FORMAT))?;
            let digits = rest.get(at + 1..at + 3).ok_or_else(|| early(FORMAT))?;
            let byte = digits.iter().fold(0, |byte, digit| {
                (byte << 4) | char::from(*digit).to_digit(16).unwrap_or_default()
            });
            // The lowest bit comes first.
            levels.extend((0..left.min(8)).map(|bit| ((byte >> bit) & 1) as u8 * 255));
            left = left.saturating_sub(8);
            rest = &rest[at + 3..];
        }
    }
    // Ink is 1.
    warnings.push(PictureWarning::Negative { bits: 1 });
    canvas.picture(levels, DynamicImage::ImageLuma8)
}

/// Width and height, and the place of the pixels.
fn header(bytes: &[u8]) -> Option<([usize; 2], usize)> {
    let (mut width, mut height) = (None, None);
    let mut at = 0;
    let mut may_be_empty = true;
    let mut in_comment = false;
    loop {
        let rest = bytes.get(at..).filter(|rest| !rest.is_empty())?;
        let rest = &rest[..rest.len().min(MAX_LINE)];
        let length = rest
            .iter()
            .position(|&byte| byte == b'\n')
            .map_or(rest.len(), |end| end + 1);
        at += length;
        let line = rest[..length].trim_ascii_end();
        if in_comment || line.starts_with(b"/*") {
            in_comment = !line.ends_with(b"*/");
            continue;
        }
        if may_be_empty && line.is_empty() {
            may_be_empty = false;
            continue;
        }
        if !line.starts_with(b"#define ") {
            return match (width, height) {
                (Some(width), Some(height)) if line.ends_with(b"_bits[] = {") => Some(([width, height], at)),
                _ => None,
            };
        }
        let word = line.rsplit(u8::is_ascii_whitespace).next()?;
        let value = std::str::from_utf8(word).ok()?.parse().ok()?;
        let holds = |word: &[u8]| line.windows(word.len()).any(|window| window == word);
        if holds(b"width ") {
            width = Some(value);
        } else if holds(b"height ") {
            height = Some(value);
        }
    }
}
