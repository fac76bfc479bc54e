//! The work after the last step of an epoch: validation, the epoch's row of `metrics.csv`, and the best weights.

use std::ops::ControlFlow;
use std::time::Instant;

use burn::module::Module;

use super::context::End;
use super::phase_run::PhaseRun;
use super::processor::Processor;
use super::score::Score;
use crate::judge::metrics::EpochRow;
use crate::train::checkpoint::Best;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};

impl PhaseRun {
    /// Validates, writes the epoch's row, and keeps the best weights. `rate` is the rate of the last update. Returns
    /// why the phase must end before this work is complete, if it must: a resumed run validates the epoch again.
    pub(super) fn end_epoch(
        &mut self,
        rate: f64,
        clock: &mut Instant,
        processor: &mut Processor,
    ) -> Result<Option<End>, TrainError> {
        let training_seconds = self.progress.epoch_seconds;
        let last = self.validate(
            &self.weights.trainee.network.valid(),
            Activity::Validation,
            Some(processor),
        )?;
        let averaged = match (&last, &self.weights.ema) {
            (ControlFlow::Continue(_), Some(ema)) => self.validate(ema.network(), Activity::AverageValidation, None)?,
            _ => ControlFlow::Continue(None),
        };
        let (last, averaged) = match (last, averaged) {
            (ControlFlow::Continue(last), ControlFlow::Continue(averaged)) => (last, averaged),
            (ControlFlow::Break(end), _) | (_, ControlFlow::Break(end)) => return Ok(Some(end)),
        };
        self.count_time(clock);
        let row = self.row(rate, training_seconds, [last, averaged]);
        self.start_next_epoch(row.clone());
        let best = self.keep_best([last, averaged]);
        let number = self.progress.epoch;
        (self.context.observer)(Event::Epoch { number, row, best });
        Ok(None)
    }

    /// The row of an epoch whose steps took `training_seconds`, with the scores of the last weights and of their
    /// average.
    fn row(&self, rate: f64, training_seconds: f64, [last, averaged]: [Option<Score>; 2]) -> EpochRow {
        let progress = &self.progress;
        let share = |seconds: f64| (seconds / training_seconds.max(f64::MIN_POSITIVE)).max(0.0);
        EpochRow {
            epoch: progress.rows.len() + 1,
            phase: self.phase.name.clone(),
            step: progress.step as usize,
            learning_rate: rate,
            train_loss: progress.loss_sum / progress.seen as f64,
            train_accuracy: Some(progress.correct / progress.seen as f64),
            val_loss: last.map(|score| score.loss),
            val_accuracy: last.map(|score| score.accuracy),
            ema_val_loss: averaged.map(|score| score.loss),
            ema_val_accuracy: averaged.map(|score| score.accuracy),
            seconds: progress.epoch_seconds,
            wait_share: share(progress.wait_seconds),
            overhead_share: share(training_seconds - progress.wait_seconds - progress.step_seconds),
        }
    }

    /// Adds the row and resets the epoch's counters to zero.
    fn start_next_epoch(&mut self, row: EpochRow) {
        let progress = &mut self.progress;
        progress.rows.push(row);
        progress.epoch += 1;
        progress.batch = 0;
        (progress.loss_sum, progress.correct, progress.seen) = (0.0, 0.0, 0);
        (progress.epoch_seconds, progress.wait_seconds, progress.step_seconds) = (0.0, 0.0, 0.0);
    }

    /// Keeps the weights of the lowest validation loss, either the last ones or their average. Returns whether the kept
    /// weights are new.
    fn keep_best(&mut self, [last, averaged]: [Option<Score>; 2]) -> bool {
        let progress = &mut self.progress;
        let mut found = false;
        progress.stale += 1;
        for (score, ema) in [(last, false), (averaged, true)] {
            let Some(score) = score else { continue };
            if progress.phase_best.is_none_or(|best| score.loss < best) {
                progress.phase_best = Some(score.loss);
                progress.stale = 0;
            }
            if progress.best.as_ref().is_none_or(|best| score.loss < best.loss) {
                found = true;
                progress.best = Some(Best {
                    row: progress.rows.len() - 1,
                    ema,
                    loss: score.loss,
                    accuracy: score.accuracy,
                });
                self.weights.best = Some(match &self.weights.ema {
                    Some(average) if ema => average.network().clone(),
                    _ => self.weights.trainee.network.valid(),
                });
            }
        }
        found
    }
}
