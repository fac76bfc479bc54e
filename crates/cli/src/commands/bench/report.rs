//! The measurements of one call.

use serde::Serialize;

use crate::commands::bench::limit::Limit;
use crate::commands::bench::load;
use crate::commands::bench::machine::Machine;
use crate::commands::bench::row::{Implementation, Row};

/// The measurements of one call.
#[derive(Debug, Serialize)]
pub struct Report {
    #[serde(flatten)]
    pub machine: Machine,
    /// Where the weights came from.
    pub weights: String,
    pub input: [usize; 3],
    /// For one picture of this input.
    pub multiply_adds: u64,
    pub networks: Vec<Start>,
    pub limits: Vec<Limit>,
    pub rows: Vec<Row>,
    /// Of the whole process, on Linux.
    pub peak_memory_bytes: Option<u64>,
    /// The share of the processor's time that other programs took, on Linux.
    pub others: Option<f64>,
}

impl Report {
    /// What makes the measurements doubtful.
    pub fn warnings(&self) -> Vec<String> {
        let times = self.rows.iter().map(|row| row.times_ms.as_slice());
        load::warnings(self.others, times)
    }

    /// Raises the peak of the whole run to that of a part of the run.
    pub fn remember_peak(&mut self, peak: Option<u64>) {
        self.peak_memory_bytes = self.peak_memory_bytes.max(peak);
    }
}

/// How long an implementation took to get ready and to give its first prediction, on all threads.
#[derive(Debug, Serialize)]
pub struct Start {
    pub network: Implementation,
    pub load_ms: f64,
    pub first_prediction_ms: f64,
}
