use std::sync::Arc;

use super::context::{Context, End};
use super::weights::Weights;
use crate::train::checkpoint::Progress;
use crate::train::feed::Feed;
use crate::train::recipe::Phase;
use crate::train::schedule::Length;
use crate::train::step_log::StepLog;

/// A phase that is being trained.
pub(crate) struct PhaseRun {
    pub context: Arc<Context>,
    pub phase: Phase,
    pub length: Length,
    /// Epochs of the earlier phases.
    pub epochs_before: usize,
    pub train: Feed,
    /// `None` without validation pictures.
    pub valid: Option<Feed>,
    pub weights: Weights,
    pub progress: Progress,
    pub step_log: StepLog,
}

impl PhaseRun {
    /// Why the phase must end between two updates, if it must.
    pub fn must_stop(&self) -> Option<End> {
        self.context.must_stop(self.progress.seconds)
    }

    /// Whether the validation loss has not improved for `patience` epochs.
    ///
    /// Burn's early stopping starts from zero in every process, so a resumed run would stop later. Burn's early
    /// stopping also ignores the averaged weights.
    pub fn is_out_of_patience(&self) -> bool {
        self.phase.patience.is_some_and(|epochs| self.progress.stale >= epochs)
    }
}
