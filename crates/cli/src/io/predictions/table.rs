//! A table for people.

use std::fmt::Write;

use unicode_width::UnicodeWidthStr;
use xception_model::Prediction;

use crate::io::message::printable;

/// The widest first column: one long name must not push all other columns to the right.
const MAX_NAME_WIDTH: usize = 60;

/// Lines with aligned columns: the name, then each rank's probability and label.
#[derive(Default)]
pub struct Table {
    /// Of the name, then of each rank's label. Widths only grow, because earlier lines are already written.
    widths: Vec<usize>,
}

impl Table {
    /// Widens the columns for a batch.
    pub fn widen(&mut self, names: &[String], predictions: &[Vec<Prediction>]) {
        let columns = 1 + predictions.iter().map(Vec::len).max().unwrap_or(0);
        self.widths.resize(columns.max(self.widths.len()), 0);
        let mut widen = |column: usize, width: usize| {
            if let Some(widest) = self.widths.get_mut(column) {
                *widest = width.max(*widest);
            }
        };
        for (name, predictions) in names.iter().zip(predictions) {
            widen(0, printable(name).width().min(MAX_NAME_WIDTH));
            for (column, prediction) in (1..).zip(predictions) {
                widen(column, prediction.label.name.width());
            }
        }
    }

    /// The name, then `98.7 %  label` for each rank.
    pub fn line(&self, name: &str, predictions: &[Prediction]) -> String {
        let mut line = self.padded(&printable(name), 0);
        for (column, prediction) in (1..).zip(predictions) {
            let percent = 100.0 * prediction.probability;
            let label = self.padded(&prediction.label.name, column);
            let _ = write!(line, "  {percent:5.1} %  {label}");
        }
        line.truncate(line.trim_end().len());
        line
    }

    /// The name and the output of a network that gives a number.
    pub fn value_line(&self, name: &str, value: f32) -> String {
        format!("{}  {value}", self.padded(&printable(name), 0))
    }

    fn padded(&self, text: &str, column: usize) -> String {
        let width = self.widths.get(column).copied().unwrap_or(0);
        format!("{text}{}", " ".repeat(width.saturating_sub(text.width())))
    }
}
