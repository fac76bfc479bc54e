//! The results of all runs: table, curves, every epoch.

use std::fmt::Write as _;
use std::path::Path;

use trainer::Outcome;
use trainer::metrics::EpochRow;
use trainer::plots::{self, Compared, PlotError};

use crate::Failure;
use crate::figure::{Figure, Variant};

/// The share of right answers by which convergence is measured.
const REACHED: f64 = 0.9;

/// The runs of one network.
pub struct VariantRuns {
    name: &'static str,
    /// The epochs of each run.
    rows: Vec<Vec<EpochRow>>,
    /// The share of the test pictures that each run's best weights answer correctly.
    test: Vec<f64>,
}

/// The results of a figure.
pub struct Results {
    pub figure: Figure,
    pub kinds: Vec<VariantRuns>,
}

/// A run's result for people.
pub fn sentence(outcome: &Outcome) -> String {
    let right = test_accuracy(outcome).map_or_else(String::new, |part| {
        format!("{:.1} % of the test pictures, ", 100.0 * part)
    });
    let seconds: f64 = outcome.times.iter().map(|time| time.seconds).sum();
    format!("{right}{seconds:.0} s")
}

fn test_accuracy(outcome: &Outcome) -> Option<f64> {
    outcome.evaluation.as_ref().map(|(_, evaluation)| evaluation.accuracy())
}

impl VariantRuns {
    pub fn new(variant: &Variant, outcomes: Vec<Outcome>) -> Self {
        Self {
            name: variant.name,
            test: outcomes.iter().filter_map(test_accuracy).collect(),
            rows: outcomes.into_iter().map(|outcome| outcome.progress.rows).collect(),
        }
    }

    /// A value of each run.
    fn of_runs(&self, value: impl Fn(&[EpochRow]) -> Option<f64>) -> Vec<f64> {
        self.rows.iter().filter_map(|rows| value(rows)).collect()
    }
}

impl Results {
    /// A table in Markdown: mean over the seeds, lowest and highest.
    pub fn table(&self) -> String {
        let mut text = format!(
            "| network | test, % right | validation loss, last epoch | epochs to {:.0} % | s per epoch |\n",
            100.0 * REACHED
        );
        text.push_str("|---|---|---|---|---|\n");
        for kind in &self.kinds {
            let right: Vec<f64> = kind.test.iter().map(|part| 100.0 * part).collect();
            let loss = kind.of_runs(|rows| rows.last()?.val_loss);
            let reached = kind.of_runs(epochs_to);
            let seconds =
                kind.of_runs(|rows| Some(rows.iter().map(|row| row.seconds).sum::<f64>() / rows.len() as f64));
            let reached = match reached.len() {
                count if count == kind.rows.len() => range(&reached, 1),
                count => format!("{count} of {} runs", kind.rows.len()),
            };
            // Writing to a text cannot fail.
            let _ = writeln!(
                text,
                "| {} | {} | {} | {reached} | {:.1} |",
                kind.name,
                range(&right, 1),
                range(&loss, 3),
                mean(&seconds)
            );
        }
        let loss = |kind: &VariantRuns| kind.of_runs(|rows| rows.last()?.val_loss);
        let wrong = |kind: &VariantRuns| kind.test.iter().map(|right| 1.0 - right).collect();
        let _ = writeln!(text, "\nBest first by the loss: {}.", self.order(loss));
        let _ = writeln!(text, "Best first by the test pictures: {}.", self.order(wrong));
        text
    }

    /// The networks by the mean of a value, the smallest first, and how many seeds rank them so.
    fn order(&self, value: impl Fn(&VariantRuns) -> Vec<f64>) -> String {
        let mut ranked: Vec<(&str, Vec<f64>)> = self.kinds.iter().map(|kind| (kind.name, value(kind))).collect();
        ranked.sort_by(|(_, a), (_, b)| mean(a).total_cmp(&mean(b)));
        let names: Vec<&str> = ranked.iter().map(|(name, _)| *name).collect();
        let seeds = ranked.iter().map(|(_, values)| values.len()).min().unwrap_or(0);
        let agree = |seed: &usize| ranked.windows(2).all(|pair| pair[0].1[*seed] < pair[1].1[*seed]);
        let agreeing = (0..seeds).filter(agree).count();
        format!("{} (so in {agreeing} of {seeds} seeds)", names.join(", "))
    }

    pub fn plot(&self, path: &Path) -> Result<(), PlotError> {
        let compared = self.kinds.iter().map(|kind| Compared {
            name: kind.name.to_owned(),
            runs: kind.rows.clone(),
        });
        plots::comparison(self.figure.title(), &compared.collect::<Vec<_>>(), path)
    }

    /// Every epoch of every run.
    pub fn write_epochs(&self, path: &Path) -> Result<(), Failure> {
        let mut writer = csv::Writer::from_path(path)?;
        writer.write_record([
            "network",
            "run",
            "epoch",
            "train_loss",
            "val_loss",
            "val_accuracy",
            "seconds",
        ])?;
        for kind in &self.kinds {
            for (run, rows) in (1..).zip(&kind.rows) {
                for row in rows {
                    let number = |value: Option<f64>| value.map_or_else(String::new, |value| format!("{value:.5}"));
                    writer.write_record([
                        kind.name.to_owned(),
                        format!("{run}"),
                        row.epoch.to_string(),
                        number(Some(row.train_loss)),
                        number(row.val_loss),
                        number(row.val_accuracy),
                        format!("{:.2}", row.seconds),
                    ])?;
                }
            }
        }
        writer.flush()?;
        Ok(())
    }
}

/// The first epoch in which so many validation pictures are right.
fn epochs_to(rows: &[EpochRow]) -> Option<f64> {
    let first = rows
        .iter()
        .find(|row| row.val_accuracy.is_some_and(|part| part >= REACHED))?;
    Some(first.epoch as f64)
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len() as f64
}

/// `96.1 (95.4 to 96.9)`.
fn range(values: &[f64], digits: usize) -> String {
    let low = values.iter().copied().fold(f64::INFINITY, f64::min);
    let high = values.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    format!("{:.digits$} ({low:.digits$} to {high:.digits$})", mean(values))
}
