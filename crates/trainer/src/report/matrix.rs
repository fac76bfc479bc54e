//! The confusion matrix as numbers for the page's template, which draws the matrix as SVG.

use serde::Serialize;

use crate::judge::metrics::{Evaluation, Task};
use crate::shortened::shortened;

/// The longest name of a class on the axes, in characters.
const NAME: usize = 20;
/// The width of a letter as a part of the font's size.
const LETTER: f64 = 0.58;

/// A confusion matrix in pixels.
#[derive(Serialize)]
pub(super) struct Matrix {
    width: f64,
    height: f64,
    /// The corner of the cells, and their side.
    left: f64,
    top: f64,
    side: f64,
    cell: f64,
    /// The font sizes of the names and the numbers; 0 leaves them out.
    letters: f64,
    digits: f64,
    names: Vec<Name>,
    /// Cells with pictures.
    cells: Vec<Cell>,
}

#[derive(Serialize)]
struct Name {
    /// The middle of the name's row or column.
    at: f64,
    short: String,
    full: String,
}

#[derive(Serialize)]
struct Cell {
    x: f64,
    y: f64,
    right: bool,
    /// How dark the cell is, 0 to 1.
    depth: f64,
    count: usize,
    title: String,
}

/// The matrix; `None` with several labels per picture, or with too many classes.
pub(super) fn matrix(evaluation: &Evaluation) -> Option<Matrix> {
    let Task::Single {
        confusion: Some(confusion),
        ..
    } = &evaluation.task
    else {
        return None;
    };
    let count = confusion.len();
    let (cell, letters, digits) = match count {
        0..=6 => (56.0, 14.0, 15.0),
        7..=12 => (42.0, 13.0, 14.0),
        13..=25 => (30.0, 12.0, 12.0),
        26..=60 => (18.0, 12.0, 0.0),
        61..=200 => (12.0, 10.0, 0.0),
        _ => ((2000.0 / count as f64).max(1.0), 0.0, 0.0),
    };
    let names: Vec<Name> = evaluation
        .classes
        .iter()
        .enumerate()
        .filter(|_| letters > 0.0)
        .map(|(index, class)| Name {
            at: (index as f64 + 0.5) * cell,
            short: shortened(&class.class, NAME),
            full: class.class.clone(),
        })
        .collect();
    let longest = names.iter().map(|name| name.short.chars().count()).max().unwrap_or(0);
    let room = longest as f64 * letters * LETTER + 12.0;
    let side = count as f64 * cell;
    Some(Matrix {
        width: room + side + 8.0,
        height: room + side + 8.0,
        left: room,
        top: 4.0,
        side,
        cell,
        letters,
        digits,
        names,
        cells: cells(evaluation, confusion, cell),
    })
}

fn cells(evaluation: &Evaluation, confusion: &[Vec<usize>], cell: f64) -> Vec<Cell> {
    let name = |class: usize| evaluation.classes[class].class.as_str();
    let mut cells = Vec::new();
    for (truth, row) in confusion.iter().enumerate() {
        let total: usize = row.iter().sum();
        for (predicted, &count) in row.iter().enumerate().filter(|(_, count)| **count > 0) {
            let share = count as f64 / total as f64;
            let what = if truth == predicted {
                format!("{} recognised", name(truth))
            } else {
                format!("{} taken for {}", name(truth), name(predicted))
            };
            cells.push(Cell {
                x: predicted as f64 * cell,
                y: truth as f64 * cell,
                right: truth == predicted,
                // The curve rises fast at first, so that small shares are visible.
                depth: share.powf(0.6),
                count,
                title: format!("{what}: {count} of {total} ({:.0} %)", 100.0 * share),
            });
        }
    }
    cells
}
