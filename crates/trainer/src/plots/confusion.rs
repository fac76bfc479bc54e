use image::{Rgb, RgbImage};
use plotters::prelude::*;
use plotters::style::text_anchor::{HPos, Pos, VPos};

use super::canvas::{self, Area, GREY, INK, PALE, Pen, refused};
use super::error::PlotError;
use crate::judge::metrics::{Evaluation, Task};
use crate::shortened::shortened;

/// The longest name of a class on the axes, in characters.
const NAME: usize = 22;

/// The space for the title above a matrix, and around it.
const TITLE: u32 = 60;
const MARGIN: u32 = 20;
/// The space between a matrix and the names.
const GAP: u32 = 6;

/// The layout of a matrix, in pixels.
struct Layout {
    /// The side of a cell.
    cell: u32,
    /// The font size of the names; `None` leaves them out.
    letters: Option<u32>,
    /// The font size of the numbers in the cells; `None` leaves them out.
    digits: Option<u32>,
    /// The space for the names.
    names: u32,
}

impl Layout {
    fn new(names: &[String]) -> Result<Self, PlotError> {
        let count = names.len();
        let (cell, letters, digits) = match count {
            0..=6 => (72, Some(15), Some(15)),
            7..=12 => (52, Some(14), Some(13)),
            13..=25 => (40, Some(13), Some(11)),
            26..=60 => (18, Some(12), None),
            61..=200 => (10, Some(9), None),
            _ => ((2000 / count as u32).max(1), None, None),
        };
        let mut room = 0;
        for name in names.iter().filter(|_| letters.is_some()) {
            room = room.max(canvas::text_width(name, letters.unwrap_or(0))?);
        }
        Ok(Self {
            cell,
            letters,
            digits,
            names: room + GAP,
        })
    }

    fn side(&self, count: usize) -> u32 {
        self.cell * count as u32
    }
}

pub(super) fn draw(evaluation: &Evaluation) -> Result<RgbImage, PlotError> {
    let nothing = |problem| PlotError::Nothing {
        what: "a confusion matrix",
        problem,
    };
    let counts = match &evaluation.task {
        Task::Multi { .. } => return Err(nothing("pictures have several labels")),
        Task::Single { confusion: None, .. } => return Err(nothing("there are too many classes")),
        Task::Single {
            confusion: Some(counts),
            ..
        } => counts,
    };
    let names: Vec<String> = evaluation
        .classes
        .iter()
        .map(|class| shortened(&class.class, NAME))
        .collect();
    let layout = Layout::new(&names)?;
    let side = layout.side(names.len());
    // A small matrix is narrower than its title.
    let panel = layout.names + side / 2 + (side / 2).max(190) + 2 * MARGIN;
    let height = TITLE + side + layout.names + 2 * MARGIN;
    canvas::sheet([2 * panel, height], |area, pen| {
        let (left, right) = area.split_horizontally(pen.px(panel));
        let largest = counts.iter().flatten().copied().max().unwrap_or(0);
        matrix(&left, pen, &layout, &names, "Pictures", &|row, column| {
            let count = cell(counts, row, column);
            (shade(count, largest), count.to_string())
        })?;
        matrix(&right, pen, &layout, &names, "% of the class", &|row, column| {
            let count = cell(counts, row, column);
            let total = counts.get(row).map_or(0, |row| row.iter().sum());
            let part = shade(count, total);
            (part, format!("{:.0}", 100.0 * part))
        })
    })
}

fn cell(counts: &[Vec<usize>], row: usize, column: usize) -> usize {
    counts.get(row).and_then(|row| row.get(column)).copied().unwrap_or(0)
}

fn shade(count: usize, of: usize) -> f64 {
    if of == 0 { 0.0 } else { count as f64 / of as f64 }
}

/// Draws one matrix. `value` gives the shade of a cell, 0 to 1, and its number.
fn matrix(
    area: &Area<'_>,
    pen: Pen,
    layout: &Layout,
    names: &[String],
    title: &str,
    value: &dyn Fn(usize, usize) -> (f64, String),
) -> Result<(), PlotError> {
    let origin = (pen.at(layout.names + MARGIN), pen.at(TITLE));
    let cell = pen.px(layout.cell);
    let side = pen.at(layout.side(names.len()));
    // The start and the middle of a row or column, from the corner of the matrix.
    let start = |index: usize| index as u32 * cell;
    let center = |index: usize| (start(index) + cell / 2).cast_signed();
    let middle = origin.0 + side / 2;
    let write = |text: &str, size: u32, color: RGBColor, at: (i32, i32), anchor: (HPos, VPos)| {
        let style = pen.text(size, color).pos(Pos::new(anchor.0, anchor.1));
        area.draw_text(text, &style, at).map_err(refused)
    };
    let above = |text, size, color, y| write(text, size, color, (middle, pen.at(y)), (HPos::Center, VPos::Top));
    above(title, 17, INK, 12)?;
    above(
        "rows: truth, columns: prediction; blue: right, red: wrong",
        12,
        GREY,
        37,
    )?;

    // Thin lines between cells that are large enough.
    let gap = if layout.cell >= 18 { pen.px(1) } else { 0 };
    // plotters needs seconds to draw a million rectangles.
    let mut cells = RgbImage::from_pixel(start(names.len()), start(names.len()), Rgb([0xff; 3]));
    for row in 0..names.len() {
        for column in 0..names.len() {
            let RGBColor(red, green, blue) = color(value(row, column).0, row == column);
            for y in 0..cell - gap {
                for x in 0..cell - gap {
                    cells.put_pixel(start(column) + x, start(row) + y, Rgb([red, green, blue]));
                }
            }
        }
    }
    let bitmap = BitMapElement::with_owned_buffer(origin, cells.dimensions(), cells.into_raw());
    area.draw(&bitmap.ok_or_else(|| refused("the matrix has another size"))?)
        .map_err(refused)?;
    if let Some(size) = layout.digits {
        for row in 0..names.len() {
            for column in 0..names.len() {
                let (shade, number) = value(row, column);
                let ink = if depth(shade) > 0.5 { WHITE } else { INK };
                let at = (origin.0 + center(column), origin.1 + center(row));
                if shade > 0.0 {
                    write(&number, size, ink, at, (HPos::Center, VPos::Center))?;
                }
            }
        }
    }
    let frame = [(origin.0 - 1, origin.1 - 1), (origin.0 + side, origin.1 + side)];
    area.draw(&Rectangle::new(frame, pen.line(PALE, 1))).map_err(refused)?;

    if let Some(size) = layout.letters {
        let gap = pen.at(GAP);
        for (index, name) in names.iter().enumerate() {
            let along = center(index);
            let at = (origin.0 - gap, origin.1 + along);
            write(name, size, INK, at, (HPos::Right, VPos::Center))?;
            let style = pen.text(size, INK).transform(FontTransform::Rotate270);
            let style = style.pos(Pos::new(HPos::Right, VPos::Center));
            area.draw_text(name, &style, (origin.0 + along, origin.1 + side + gap))
                .map_err(refused)?;
        }
    }
    Ok(())
}

/// How dark a cell is, 0 to 1. It rises fast at first, so that small parts are visible.
fn depth(shade: f64) -> f64 {
    shade.clamp(0.0, 1.0).powf(0.6)
}

/// White to a deep blue on the diagonal, and to a deep vermilion for errors.
fn color(shade: f64, right: bool) -> RGBColor {
    let mix = |from: f64, to: f64| (from + (to - from) * depth(shade)).round() as u8;
    let [red, green, blue] = if right { [8.0, 69.0, 138.0] } else { [178.0, 60.0, 0.0] };
    RGBColor(mix(247.0, red), mix(249.0, green), mix(251.0, blue))
}
