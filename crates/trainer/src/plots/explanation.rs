use image::{RgbImage, imageops};
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, GREY, INK, refused};
use super::error::PlotError;
use crate::explain::heat_color;
use crate::shortened::shortened;

const MARGIN: u32 = 16;
/// The height of the two lines of text.
const HEAD: u32 = 64;
/// The width of the colour scale, and of its labels.
const BAR: u32 = 14;
const WORDS: u32 = 46;

pub(super) fn draw(picture: &RgbImage, heats: &[(RgbImage, String)], title: &str) -> Result<RgbImage, PlotError> {
    let (width, height) = picture.dimensions();
    let columns = 1 + heats.len() as u32;
    let bar = columns * (width + MARGIN) + MARGIN;
    let size = [bar + BAR + WORDS + MARGIN, height + HEAD + MARGIN];
    let left = |column: u32| MARGIN + column * (width + MARGIN);
    // An average letter is about half as wide as the font size.
    let letters = |width: u32, size: u32| (2 * width / size) as usize;
    let mut sheet = canvas::sheet(size, |area, pen| {
        let write = |text: &str, size, color, at: (u32, u32), vertical| {
            let style = pen.text(size, color).pos(Pos::new(HPos::Left, vertical));
            let at = (pen.at(at.0), pen.at(at.1));
            area.draw_text(text, &style, at).map_err(refused)
        };
        let title = shortened(title, letters(bar, 14));
        write(&title, 14, GREY, (MARGIN, 12), VPos::Top)?;
        for (column, (_, caption)) in (1..).zip(heats) {
            // The last caption has the room above the scale too.
            let room = if column + 1 == columns {
                width + MARGIN + BAR + WORDS
            } else {
                width
            };
            write(
                &shortened(caption, letters(room, 16)),
                16,
                INK,
                (left(column), 36),
                VPos::Top,
            )?;
        }
        let words = bar + BAR + 6;
        write("most", 12, GREY, (words, HEAD), VPos::Top)?;
        write("none", 12, GREY, (words, HEAD + height), VPos::Bottom)
    })?;
    imageops::replace(&mut sheet, picture, i64::from(left(0)), i64::from(HEAD));
    for (column, (heat, _)) in (1..).zip(heats) {
        imageops::replace(&mut sheet, heat, i64::from(left(column)), i64::from(HEAD));
    }
    let scale = RgbImage::from_fn(BAR, height, |_, y| heat_color(1.0 - y as f32 / height.max(2) as f32));
    imageops::replace(&mut sheet, &scale, i64::from(bar), i64::from(HEAD));
    Ok(sheet)
}
