//! How predictions are written.

use std::io::{self, Write};

use serde::Serialize;
use unicode_width::UnicodeWidthStr;
use xception_model::{Outputs, Prediction};

use crate::args::ReportFormat;
use crate::csv;
use crate::output::{Outcome, Output, printable};

/// A table's first column is no wider: one long name must not push all others to the right.
const MAX_NAME_WIDTH: usize = 60;

/// Predictions on their way out.
pub struct Report {
    format: ReportFormat,
    output: Output,
    outputs: Outputs,
    pictures: usize,
    /// Widths of the table's columns: the name, then each rank's label. They only grow.
    widths: Vec<usize>,
}

#[derive(Serialize)]
struct Picture<'a> {
    file: &'a str,
    predictions: Vec<Guess<'a>>,
}

/// A picture of a network whose output is a number.
#[derive(Serialize)]
struct Measured<'a> {
    file: &'a str,
    value: f32,
}

#[derive(Serialize)]
struct Guess<'a> {
    class: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    label: &'a str,
    probability: f32,
}

impl Report {
    pub fn new(format: ReportFormat, output: Output, outputs: Outputs) -> Self {
        Self {
            format,
            output,
            outputs,
            pictures: 0,
            widths: Vec::new(),
        }
    }

    /// Writes a batch.
    pub fn write(&mut self, names: &[String], predictions: &[Vec<Prediction>]) -> io::Result<()> {
        if self.format == ReportFormat::Text {
            self.widen(names, predictions);
        }
        for (name, guesses) in names.iter().zip(predictions) {
            match self.format {
                ReportFormat::Text => self.write_text(name, guesses)?,
                ReportFormat::Json => {
                    let separator = if self.pictures == 0 { "[\n" } else { ",\n" };
                    self.output.write_all(separator.as_bytes())?;
                    self.write_json(name, guesses)?;
                }
                ReportFormat::Jsonl => {
                    self.write_json(name, guesses)?;
                    self.output.write_all(b"\n")?;
                }
                ReportFormat::Csv => self.write_csv(name, guesses)?,
            }
            self.pictures += 1;
        }
        // Whoever reads along gets every batch as it is done.
        self.output.flush()
    }

    pub fn finish(mut self) -> anyhow::Result<Outcome> {
        match (self.format, self.pictures) {
            (ReportFormat::Json, 0) => self.output.write_all(b"[]\n")?,
            (ReportFormat::Json, _) => self.output.write_all(b"\n]\n")?,
            (ReportFormat::Csv, 0) => self.write_csv_head()?,
            _ => {}
        }
        self.output.finish()
    }

    /// The number of a network that gives one instead of probabilities.
    fn value(&self, guesses: &[Prediction]) -> Option<f32> {
        let number = guesses.first().map(|guess| guess.probability);
        number.filter(|_| self.outputs == Outputs::Value)
    }

    fn write_json(&mut self, name: &str, guesses: &[Prediction]) -> io::Result<()> {
        if let Some(value) = self.value(guesses) {
            return Ok(serde_json::to_writer(
                &mut self.output,
                &Measured { file: name, value },
            )?);
        }
        let picture = Picture {
            file: name,
            predictions: guesses
                .iter()
                .map(|guess| Guess {
                    class: guess.class,
                    id: guess.label.id.as_deref(),
                    label: &guess.label.name,
                    probability: guess.probability,
                })
                .collect(),
        };
        Ok(serde_json::to_writer(&mut self.output, &picture)?)
    }

    fn write_csv_head(&mut self) -> io::Result<()> {
        if self.outputs == Outputs::Value {
            return csv::write_row(&mut self.output, ["file", "value"]);
        }
        let head = ["file", "rank", "class", "id", "label", "probability"];
        csv::write_row(&mut self.output, head)
    }

    fn write_csv(&mut self, name: &str, guesses: &[Prediction]) -> io::Result<()> {
        if self.pictures == 0 {
            self.write_csv_head()?;
        }
        if let Some(value) = self.value(guesses) {
            return csv::write_row(&mut self.output, [name, &value.to_string()]);
        }
        for (rank, guess) in (1..).zip(guesses) {
            let fields: [&str; 6] = [
                name,
                &rank.to_string(),
                &guess.class.to_string(),
                guess.label.id.as_deref().unwrap_or_default(),
                &guess.label.name,
                &guess.probability.to_string(),
            ];
            csv::write_row(&mut self.output, fields)?;
        }
        Ok(())
    }

    fn widen(&mut self, names: &[String], predictions: &[Vec<Prediction>]) {
        let columns = 1 + predictions.iter().map(Vec::len).max().unwrap_or(0);
        self.widths.resize(columns.max(self.widths.len()), 0);
        let mut widen = |column: usize, width: usize| {
            if let Some(widest) = self.widths.get_mut(column) {
                *widest = width.max(*widest);
            }
        };
        for (name, guesses) in names.iter().zip(predictions) {
            widen(0, printable(name).width().min(MAX_NAME_WIDTH));
            for (column, guess) in (1..).zip(guesses) {
                widen(column, guess.label.name.width());
            }
        }
    }

    /// The name, then `98.7 %  label` for each rank, or the number.
    fn write_text(&mut self, name: &str, guesses: &[Prediction]) -> io::Result<()> {
        let pad = |text: &str, column: usize| {
            let width = self.widths.get(column).copied().unwrap_or(0);
            " ".repeat(width.saturating_sub(text.width()))
        };
        let name = printable(name);
        let mut line = format!("{name}{}", pad(&name, 0));
        if let Some(value) = self.value(guesses) {
            return writeln!(self.output, "{line}  {value}");
        }
        for (column, guess) in (1..).zip(guesses) {
            let label = &guess.label.name;
            let percent = 100.0 * guess.probability;
            line.push_str(&format_args!("  {percent:5.1} %  {label}{}", pad(label, column)).to_string());
        }
        writeln!(self.output, "{}", line.trim_end())
    }
}
