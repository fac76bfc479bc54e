//! Predictions as text, JSON and CSV.

mod json;
mod table;

use std::io::{self, Write};

use xception_model::{Outputs, Prediction};

use self::table::Table;
use crate::args::PredictionFormat;
use crate::io::csv;
use crate::io::output::Output;

/// Writes the predictions for each picture.
pub struct PredictionWriter {
    format: PredictionFormat,
    output: Output,
    outputs: Outputs,
    /// Pictures written so far.
    pictures: usize,
    table: Table,
}

impl PredictionWriter {
    pub fn new(format: PredictionFormat, output: Output, outputs: Outputs) -> Self {
        Self {
            format,
            output,
            outputs,
            pictures: 0,
            table: Table::default(),
        }
    }

    /// Writes a batch.
    pub fn write(&mut self, names: &[String], predictions: &[Vec<Prediction>]) -> io::Result<()> {
        if self.format == PredictionFormat::Text {
            self.table.widen(names, predictions);
        }
        for (name, predictions) in names.iter().zip(predictions) {
            self.write_picture(name, predictions)?;
            self.pictures += 1;
        }
        // A program at the other end of a pipe gets each batch as soon as it is computed.
        self.output.flush()
    }

    /// Completes the output. Without this call no file appears.
    pub fn finish(mut self) -> anyhow::Result<()> {
        match (self.format, self.pictures) {
            (PredictionFormat::Json, 0) => self.output.write_all(b"[]\n")?,
            (PredictionFormat::Json, _) => self.output.write_all(b"\n]\n")?,
            (PredictionFormat::Csv, 0) => self.write_csv_head()?,
            _ => {}
        }
        self.output.finish()
    }

    fn write_picture(&mut self, name: &str, predictions: &[Prediction]) -> io::Result<()> {
        let value = self.value(predictions);
        match self.format {
            PredictionFormat::Text => {
                let line = match value {
                    Some(value) => self.table.value_line(name, value),
                    None => self.table.line(name, predictions),
                };
                writeln!(self.output, "{line}")
            }
            PredictionFormat::Json => {
                let separator = if self.pictures == 0 { "[\n" } else { ",\n" };
                self.output.write_all(separator.as_bytes())?;
                json::write(&mut self.output, name, predictions, value)
            }
            PredictionFormat::Jsonl => {
                json::write(&mut self.output, name, predictions, value)?;
                self.output.write_all(b"\n")
            }
            PredictionFormat::Csv => self.write_csv(name, predictions, value),
        }
    }

    /// The output of a network that gives a number instead of probabilities.
    fn value(&self, predictions: &[Prediction]) -> Option<f32> {
        let number = predictions.first().map(|prediction| prediction.probability);
        number.filter(|_| self.outputs == Outputs::Value)
    }

    fn write_csv_head(&mut self) -> io::Result<()> {
        if self.outputs == Outputs::Value {
            return csv::write_row(&mut self.output, ["file", "value"]);
        }
        let head = ["file", "rank", "class", "id", "label", "probability"];
        csv::write_row(&mut self.output, head)
    }

    fn write_csv(&mut self, name: &str, predictions: &[Prediction], value: Option<f32>) -> io::Result<()> {
        if self.pictures == 0 {
            self.write_csv_head()?;
        }
        if let Some(value) = value {
            return csv::write_row(&mut self.output, [name, &value.to_string()]);
        }
        for (rank, prediction) in (1..).zip(predictions) {
            let fields: [&str; 6] = [
                name,
                &rank.to_string(),
                &prediction.class.to_string(),
                prediction.label.id.as_deref().unwrap_or_default(),
                &prediction.label.name,
                &prediction.probability.to_string(),
            ];
            csv::write_row(&mut self.output, fields)?;
        }
        Ok(())
    }
}
