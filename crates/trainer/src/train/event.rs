//! The events of a run, from which a program shows its progress.

use std::sync::Arc;

use super::estimate::Estimate;
use crate::data::Split;
use crate::judge::metrics::EpochRow;

/// Something that happened in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A stage without steps goes on. Sent often; while pictures are checked, from several threads.
    Work {
        /// The stage.
        stage: Stage,
        /// Pictures, or steps, done so far.
        done: usize,
        /// Pictures, or steps, of the stage.
        total: usize,
    },
    /// How long the run will take, from a measurement before its first step.
    Estimate(Estimate),
    /// A phase starts or continues.
    Phase {
        /// Its number, from 0.
        number: usize,
        /// Its name.
        name: String,
        /// Its epochs.
        epochs: usize,
        /// Epochs that are complete already.
        done: usize,
        /// Whether it averages weights.
        averages: bool,
    },
    /// A step is complete.
    Step {
        /// Pictures of the epoch so far.
        done: usize,
        /// Pictures of the epoch.
        total: usize,
        /// The mean loss of the epoch so far.
        loss: f64,
        /// The learning rate of the last layer.
        rate: f64,
    },
    /// An epoch is complete.
    Epoch {
        /// Its number in its phase, from 1.
        number: usize,
        /// Its figures.
        row: EpochRow,
        /// Whether its weights, or their average, are the best so far.
        best: bool,
    },
    /// A phase ended by itself.
    PhaseEnd {
        /// Its name.
        name: String,
        /// Epochs that it trained.
        epochs: usize,
        /// The epochs without a better validation loss that ended it early; `None` if all its epochs are trained.
        patience: Option<usize>,
        /// The number in the phase of its best epoch, from 1; `None` without validation.
        best: Option<usize>,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The number of steps before it.
        step: u64,
    },
    /// A problem that does not stop the run.
    Warning(String),
}

/// A part of a run that takes time and has no steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Stage {
    /// Every picture is opened once.
    Check,
    /// The time of a step is measured.
    Measurement,
    /// The frozen backbone computes the features of a split.
    Features(Split),
    /// The learning rate rises, a step at a time, to find a good one.
    RateSearch,
    /// The last weights are validated.
    Validation,
    /// The averaged weights are validated.
    AverageValidation,
    /// A checkpoint or the last weights are written.
    Saving,
    /// The best weights predict the pictures of a split.
    Predictions(Split),
    /// The report's heat maps are computed.
    HeatMaps,
    /// The report is written.
    Report,
}

/// Receives the events.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;
