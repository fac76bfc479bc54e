use image::{RgbImage, imageops};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, GREY, INK, refused, shortened};
use super::error::PlotError;
use crate::explain::heat_color;

const MARGIN: u32 = 16;
/// The height of the two lines of text.
const HEAD: u32 = 64;
/// The width of the colour scale, and of its labels.
const BAR: u32 = 14;
const WORDS: u32 = 46;

pub(super) fn draw(picture: &RgbImage, heat: &RgbImage, [first, second]: [&str; 2]) -> Result<RgbImage, PlotError> {
    let (width, height) = picture.dimensions();
    let size = [2 * width + BAR + WORDS + 4 * MARGIN, height + HEAD + MARGIN];
    let bar = 2 * width + 3 * MARGIN;
    // An average letter is about half as wide as the font size.
    let letters = |size: u32| (2 * (2 * width) / size) as usize;
    let mut sheet = canvas::sheet(size, |area, pen| {
        let write = |text: &str, size, color, at: (u32, u32), vertical| {
            let style = pen.text(size, color).pos(Pos::new(HPos::Left, vertical));
            let at = (pen.at(at.0), pen.at(at.1));
            area.draw_text(text, &style, at).map_err(refused)
        };
        write(&shortened(first, letters(18)), 18, INK, (MARGIN, 12), VPos::Top)?;
        write(&shortened(second, letters(12)), 12, GREY, (MARGIN, 38), VPos::Top)?;
        let words = bar + BAR + 6;
        write("most", 12, GREY, (words, HEAD), VPos::Top)?;
        write("none", 12, GREY, (words, HEAD + height), VPos::Bottom)
    })?;
    imageops::replace(&mut sheet, picture, i64::from(MARGIN), i64::from(HEAD));
    imageops::replace(&mut sheet, heat, i64::from(width + 2 * MARGIN), i64::from(HEAD));
    let scale = RgbImage::from_fn(BAR, height, |_, y| heat_color(1.0 - y as f32 / height.max(2) as f32));
    imageops::replace(&mut sheet, &scale, i64::from(bar), i64::from(HEAD));
    Ok(sheet)
}
