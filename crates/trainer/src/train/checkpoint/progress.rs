//! Where a run stands: `progress.toml` of a checkpoint.

use serde::{Deserialize, Serialize};

use crate::judge::metrics::EpochRow;

/// Where a run stands.
///
/// Random numbers need no state of their own: they follow from the run's seed and these counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The phase, from 0.
    pub phase: usize,
    /// Epochs of the phase that are complete.
    pub epoch: usize,
    /// Batches of the current epoch that are trained on.
    pub batch: usize,
    /// Updates of the weights in this phase.
    pub update: usize,
    /// Steps since the run started.
    pub step: u64,
    /// The sum over the current epoch's batches of loss times pictures.
    pub loss_sum: f64,
    /// Pictures of the current epoch that were classified correctly.
    pub correct: f64,
    /// Pictures of the current epoch that were trained on.
    pub seen: usize,
    /// Seconds since the run started, without the time it was stopped.
    pub seconds: f64,
    /// Seconds that the features of the frozen backbone took.
    #[serde(default)]
    pub feature_seconds: f64,
    /// Seconds of the current epoch.
    pub epoch_seconds: f64,
    /// Seconds of the current epoch in which the step waited for pictures.
    pub wait_seconds: f64,
    /// Seconds of the current epoch that steps took: forward, backward and update.
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
    /// Their row in the metrics table, from 0.
    pub row: usize,
    /// Whether they are the moving average.
    pub ema: bool,
    /// Their validation loss.
    pub loss: f64,
    /// Their validation accuracy.
    pub accuracy: f64,
}
