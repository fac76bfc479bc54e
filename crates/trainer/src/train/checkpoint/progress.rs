//! The progress of a run: `progress.toml` of a checkpoint.

use serde::{Deserialize, Serialize};

use crate::judge::metrics::EpochRow;

/// The progress of a run.
///
/// Random numbers need no saved state: they follow from the run's seed and these counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The phase, from 0.
    pub phase: usize,
    /// Completed epochs of the phase.
    pub epoch: usize,
    /// Completed batches of the current epoch.
    pub batch: usize,
    /// Updates of the weights in this phase.
    pub update: usize,
    /// Steps since the run started.
    pub step: u64,
    /// The sum of loss times pictures over the current epoch's batches.
    pub loss_sum: f64,
    /// Correctly classified pictures of the current epoch.
    pub correct: f64,
    /// Pictures of the current epoch that were trained on.
    pub seen: usize,
    /// Seconds since the run started, without the time in which the run was stopped.
    pub seconds: f64,
    /// Seconds spent on the features of the frozen backbone.
    #[serde(default)]
    pub feature_seconds: f64,
    /// Seconds of the current epoch.
    pub epoch_seconds: f64,
    /// Seconds of the current epoch spent waiting for pictures.
    pub wait_seconds: f64,
    /// Seconds of the current epoch spent in steps: forward, backward and update.
    pub step_seconds: f64,
    /// Updates of the moving average of the weights.
    pub ema_updates: u64,
    /// Epochs of the phase since its lowest validation loss.
    pub stale: usize,
    /// The lowest validation loss of the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_best: Option<f64>,
    /// The best weights so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// The metrics of every epoch.
    #[serde(default)]
    pub rows: Vec<EpochRow>,
}

/// The best weights of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// The row of the best weights in the metrics table, from 0.
    pub row: usize,
    /// Whether the best weights are the moving average.
    pub ema: bool,
    /// The validation loss of the best weights.
    pub loss: f64,
    /// The validation accuracy of the best weights.
    pub accuracy: f64,
}
