use std::path::PathBuf;

use crate::explain::Examples;
use crate::judge::metrics::{EpochRow, Evaluation};

/// The content of a report.
#[derive(Clone, Debug)]
pub struct ReportData {
    /// Its headline.
    pub title: String,
    /// The folder or table of the pictures. The report shows their paths relative to it.
    pub root: PathBuf,
    /// Facts about the run, as name and value: weights, data, recipe, duration...
    pub facts: Vec<(String, String)>,
    /// Longer texts by name, such as the recipe, shown on a click.
    pub details: Vec<(String, String)>,
    /// The epochs of the training; empty for an evaluation.
    pub epochs: Vec<EpochRow>,
    /// The pictures that were judged, as a phrase: `the test pictures`.
    pub judged: String,
    /// How good the network is.
    pub evaluation: Evaluation,
    /// The pictures that it shows.
    pub examples: Examples,
}
