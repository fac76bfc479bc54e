//! Checkpoints of a phase, and the best weights so far as a usable network.

use std::time::Instant;

use burn::module::Module;

use super::epoch::{LastSave, PhaseState};
use super::phase_run::PhaseRun;
use crate::train::checkpoint::State;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};
use crate::train::folder::MODEL;

impl PhaseRun {
    /// Writes a checkpoint, and the best weights if they are new.
    pub(super) fn save(&mut self, state: &mut PhaseState<'_>) -> Result<(), TrainError> {
        let start = Instant::now();
        (self.context.observer)(Event::Work {
            activity: Activity::Saving,
            done: 0,
            total: 1,
        });
        self.step_log.sync()?;
        self.context.checkpoints.save(
            &self.progress,
            State {
                model: self.weights.trainee.network.clone().into_record(),
                ema: self.weights.ema.as_ref().map(|ema| ema.network().clone().into_record()),
                best: self.weights.best.as_ref().map(|best| best.clone().into_record()),
                optimizer: Some(state.optimizer.to_record()),
            },
        )?;
        self.publish()?;
        self.progress.seconds += start.elapsed().as_secs_f64();
        state.last_save = LastSave {
            at: Instant::now(),
            took: start.elapsed(),
        };
        (self.context.observer)(Event::Checkpoint {
            step: self.progress.step,
        });
        Ok(())
    }

    /// Writes `model.bpk` with the best weights so far, if they are new: a run that never ends still gives a network.
    /// Without validation the last weights are the best.
    fn publish(&mut self) -> Result<(), TrainError> {
        let row = match (&self.progress.best, &self.valid) {
            (Some(best), _) => best.row,
            (None, Some(_)) => return Ok(()),
            (None, None) => self.progress.rows.len(),
        };
        if self.weights.published == Some(row) {
            return Ok(());
        }
        let network = match &self.weights.best {
            Some(best) => best.clone(),
            None => self.weights.trainee.network.valid(),
        };
        xception_model::save(&network, &self.context.spec, &self.context.folder.join(MODEL), true)?;
        self.weights.published = Some(row);
        Ok(())
    }
}
