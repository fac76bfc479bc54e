//! The events of a run, from which a program shows its progress.

use std::sync::Arc;

use super::estimate::Estimate;
use crate::data::Split;
use crate::judge::metrics::EpochRow;

/// Something that happened in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The progress of an activity. Sent often; while pictures are checked, from several threads.
    Work {
        /// The activity.
        activity: Activity,
        /// Completed pictures, or steps.
        done: usize,
        /// All pictures, or steps, of the activity.
        total: usize,
    },
    /// The estimated duration of the run, from a measurement before its first step.
    Estimate(Estimate),
    /// A phase starts or continues.
    Phase {
        /// The phase's number, from 0.
        number: usize,
        /// The phase's name.
        name: String,
        /// The phase's epochs.
        epochs: usize,
        /// Completed epochs of the phase.
        done: usize,
        /// Whether the phase averages weights.
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
        /// The epoch's number in its phase, from 1.
        number: usize,
        /// The epoch's figures.
        row: EpochRow,
        /// Whether the epoch's weights, or their average, are the best so far.
        best: bool,
    },
    /// A phase ended without being stopped.
    PhaseEnd {
        /// The phase's name.
        name: String,
        /// Trained epochs of the phase.
        epochs: usize,
        /// The number of epochs without a better validation loss that ended the phase early; `None` if all epochs are
        /// trained.
        patience: Option<usize>,
        /// The best epoch's number in the phase, from 1; `None` without validation.
        best: Option<usize>,
    },
    /// A checkpoint was written.
    Checkpoint {
        /// The number of steps before the checkpoint.
        step: u64,
    },
    /// A problem that does not stop the run.
    Warning(String),
}

/// A part of a run between the training steps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Activity {
    /// Every picture is opened once.
    Check,
    /// The time of a step is measured.
    Measurement,
    /// The frozen backbone computes the features of a split.
    Features(Split),
    /// The search for a learning rate raises the rate step by step.
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
