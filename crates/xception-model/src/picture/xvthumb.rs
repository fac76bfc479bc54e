//! Thumbnails of XV, with Pillow's numbers (`XVThumbImagePlugin.py`).

use image::DynamicImage;

use super::{
    canvas::{Canvas, Palette},
    error::PictureError,
    fault::{damaged, early},
    limits::DecodeLimits,
    python::{integer, is_blank},
};

const FORMAT: &str = "XV thumbnail";

pub(super) fn decode_xvthumb(bytes: &[u8], limits: &DecodeLimits) -> Result<DynamicImage, PictureError> {
    // The first line is that of the mark, the one with the size the next that is no comment.
    let mut lines = bytes.split_inclusive(|&byte| byte == b'\n');
    let mut at = lines.next().map_or(0, <[u8]>::len);
    let line = lines
        .inspect(|line| at += line.len())
        .find(|line| !line.starts_with(b"#"));
    let line = line.ok_or_else(|| early(FORMAT))?;
    let mut words = line.split(|&byte| is_blank(byte)).filter(|word| !word.is_empty());
    let mut side = || {
        let side = words
            .next()
            .and_then(integer)
            .and_then(|side| usize::try_from(side).ok());
        side.ok_or_else(|| damaged(FORMAT, "its header has something else where a size must be"))
    };
    let canvas = Canvas::new(FORMAT, [side()?, side()?], 5, limits)?;
    let places = bytes.get(at..).and_then(|data| data.get(..canvas.pixels()));
    // Three bits of red, three of green, two of blue.
    let level = |step: usize, most: usize| (step * 255 / most) as u8;
    let colour = |place: usize| {
        [
            level(place >> 5, 7),
            level((place >> 2) & 7, 7),
            level(place & 3, 3),
            255,
        ]
    };
    let palette = Palette::new((0..256).map(colour), false).ok_or_else(|| early(FORMAT))?;
    canvas.of_places(places.ok_or_else(|| early(FORMAT))?, &palette)
}
