//! The step from one phase to the next.

use burn::module::Module;

use super::Run;
use crate::train::checkpoint::{Progress, State};
use crate::train::error::TrainError;
use crate::train::event::Activity;
use crate::train::trainee::Trainee;

impl Run {
    /// Prepares the next phase, which starts from the best weights so far, and writes a checkpoint.
    pub(super) fn next_phase(&mut self) -> Result<(), TrainError> {
        self.tell(Activity::Saving, 0, 1);
        if self.progress.phase + 1 == self.file.recipe.phases.len() {
            self.save_last()?;
        }
        if let Some(best) = self.weights.best.clone() {
            let objective = self.weights.trainee.objective().clone();
            let device = self.settings.training(self.settings.device());
            self.weights.trainee = Trainee::new(best, objective).on(&device);
        }
        self.weights.optimizer = None;
        self.weights.ema = None;
        self.progress = Progress {
            phase: self.progress.phase + 1,
            step: self.progress.step,
            seconds: self.progress.seconds,
            feature_seconds: self.progress.feature_seconds,
            best: self.progress.best.take(),
            rows: std::mem::take(&mut self.progress.rows),
            ..Progress::default()
        };
        self.checkpoints().save(
            &self.progress,
            State {
                model: self.weights.trainee.network.clone().into_record(),
                ema: None,
                best: self.weights.best.as_ref().map(|best| best.clone().into_record()),
                optimizer: None,
            },
        )
    }
}
