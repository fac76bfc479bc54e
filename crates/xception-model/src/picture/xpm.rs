//! XPM (X11 pixel maps), with Pillow's numbers (`XpmImagePlugin.py`).

use std::collections::HashMap;

use image::DynamicImage;

use super::{
    canvas::Canvas,
    error::PictureError,
    fault::{damaged, early, unsupported},
    limits::DecodeLimits,
    marks::XPM,
};

const FORMAT: &str = "XPM";

/// The lines of a file, each with its end.
struct Lines<'a>(&'a [u8]);

impl<'a> Iterator for Lines<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let end = self.0.iter().position(|&byte| byte == b'\n');
        let (line, rest) = self.0.split_at(end.map_or(self.0.len(), |end| end + 1));
        self.0 = rest;
        (!line.is_empty()).then_some(line)
    }
}

pub(super) fn decode_xpm(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    let mut lines = Lines(bytes.get(XPM.len()..).unwrap_or_default());
    let numbers = lines.by_ref().find_map(numbers).ok_or_else(|| early(FORMAT))?;
    let [width, height, count, key_len] = numbers.map_err(|()| damaged(FORMAT, "its size is no number"))?;
    let canvas = Canvas::new(FORMAT, [width, height], 8, limits)?;
    if key_len == 0 {
        return Err(damaged(FORMAT, "its pixels have no characters"));
    }
    let mut colours = HashMap::new();
    for _ in 0..count {
        let line = lines.next().ok_or_else(|| early(FORMAT))?.trim_ascii_end();
        let key = line.get(1..).unwrap_or_default();
        let key = &key[..key_len.min(key.len())];
        let end = line.len().saturating_sub(2);
        let words = line.get(key_len + 1..end).unwrap_or_default();
        colours.insert(key, colour(words)?);
    }
    let mut pixels = Vec::new();
    let mut may_be_comment = true;
    while pixels.len() < canvas.pixels() {
        let line = lines.next().ok_or_else(|| early(FORMAT))?;
        if may_be_comment && line.trim_ascii_end() == b"/* pixels */" {
            may_be_comment = false;
            continue;
        }
        // Between the first and the last mark of quotation.
        let mut parts = line.splitn(2, |&byte| byte == b'"').skip(1);
        let keys = parts
            .next()
            .and_then(|line| Some(&line[..line.iter().rposition(|&byte| byte == b'"')?]));
        for key in keys.unwrap_or_default().chunks(key_len) {
            let colour = colours
                .get(key)
                .ok_or_else(|| damaged(FORMAT, "a pixel has an unknown colour"))?;
            pixels.push(*colour);
        }
    }
    pixels.truncate(canvas.pixels());
    canvas.picture(pixels.into_flattened(), DynamicImage::ImageRgba8)
}

/// Width, height, number of colours, and characters of a pixel, if a line holds them.
fn numbers(line: &[u8]) -> Option<Result<[usize; 4], ()>> {
    let mut words = line.strip_prefix(b"\"")?.splitn(4, |&byte| byte == b' ');
    let mut numbers = [0; 4];
    for (index, number) in numbers.iter_mut().enumerate() {
        let word = words.next()?;
        let digits = word.iter().take_while(|byte| byte.is_ascii_digit()).count();
        // Only the last one may be followed by something else.
        if index < 3 && digits < word.len() {
            return None;
        }
        let Some(value) = std::str::from_utf8(&word[..digits])
            .ok()
            .and_then(|word| word.parse().ok())
        else {
            return Some(Err(()));
        };
        *number = value;
    }
    Some(Ok(numbers))
}

/// The colour behind the word `c`.
fn colour(words: &[u8]) -> Result<[u8; 4], PictureError> {
    let mut words = words.split(u8::is_ascii_whitespace).filter(|word| !word.is_empty());
    while let (Some(name), value) = (words.next(), words.next()) {
        if name != b"c" {
            continue;
        }
        let value = value.ok_or_else(|| early(FORMAT))?;
        let Some(digits) = value.strip_prefix(b"#") else {
            return match value {
                b"None" => Ok([0; 4]),
                _ => Err(unsupported(FORMAT, "a colour has a name and no numbers")),
            };
        };
        let digit = |byte: &u8| char::from(*byte).to_digit(16);
        let number = digits
            .iter()
            .try_fold(0_u32, |number, byte| Some((number << 4) | digit(byte)?));
        let number = number.filter(|_| !digits.is_empty());
        let [_, red, green, blue] = number
            .ok_or_else(|| damaged(FORMAT, "a colour is no number"))?
            .to_be_bytes();
        return Ok([red, green, blue, 255]);
    }
    Err(damaged(FORMAT, "a colour is missing"))
}
