//! The events of a run, from which a program shows its progress.

use std::sync::Arc;

use crate::judge::metrics::EpochRow;

/// Something that happened in a run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// Pictures are checked. Sent often, and from several threads.
    Check {
        /// Pictures checked so far.
        done: usize,
        /// Pictures to check.
        total: usize,
    },
    /// The frozen backbone computes the features that are kept.
    Features {
        /// Pictures done so far.
        done: usize,
        /// Pictures of the split.
        total: usize,
    },
    /// A phase starts or continues.
    Phase {
        /// Its name.
        name: String,
        /// Its epochs.
        epochs: usize,
        /// Epochs that are complete already.
        done: usize,
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
    Epoch(EpochRow),
    /// A checkpoint was written.
    Checkpoint {
        /// The number of steps before it.
        step: u64,
    },
    /// A problem that does not stop the run.
    Warning(String),
}

/// Receives the events.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;
