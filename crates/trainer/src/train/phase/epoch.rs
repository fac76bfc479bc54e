//! The epochs of a phase.

use std::time::{Duration, Instant};

use burn::data::dataloader::DataLoader;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::optim::{GradientsAccumulator, ModuleOptimizer};
use burn::train::{EventProcessorTraining, LearnerEvent};

use super::context::End;
use super::phase_run::PhaseRun;
use super::processor::Processor;
use crate::train::error::TrainError;
use crate::train::event::Event;
use crate::train::parameters::{learning_rates, optimizer};
use crate::train::step::StepOutput;
use crate::train::trainee::Trainee;

/// The state of a phase from its first step to its last, besides the weights.
pub(super) struct PhaseState<'a> {
    pub optimizer: ModuleOptimizer,
    pub rates: ModuleLrScheduler,
    pub last_save: LastSave,
    /// Burn's metrics and dashboard.
    pub processor: &'a mut Processor,
}

/// The time of the last checkpoint, and how long writing the checkpoint took.
pub(super) struct LastSave {
    pub at: Instant,
    pub took: Duration,
}

/// The state of an epoch from its first step to its last.
pub(super) struct EpochState {
    /// The learning rate of the last update.
    pub rate: ModuleLearningRate,
    pub gradients: GradientsAccumulator<Trainee>,
    /// Batches whose gradients wait for an update.
    pub pending: usize,
    pub unreported: Unreported,
    /// When the run's time was last counted.
    pub clock: Instant,
}

/// Steps not yet sent to Burn's metrics.
pub(super) struct Unreported {
    pub outputs: Vec<StepOutput>,
    pub since: Instant,
}

impl Default for Unreported {
    fn default() -> Self {
        Self {
            outputs: Vec::new(),
            since: Instant::now(),
        }
    }
}

impl PhaseRun {
    /// Trains the phase from its current position.
    pub(super) fn fit(&mut self, processor: &mut Processor) -> Result<End, TrainError> {
        let mut state = PhaseState {
            optimizer: match self.weights.optimizer.take() {
                Some(optimizer) => optimizer,
                None => optimizer(&self.weights.trainee, &self.phase),
            },
            rates: learning_rates(&self.weights.trainee, &self.phase, self.length, self.progress.update),
            last_save: LastSave {
                at: Instant::now(),
                took: Duration::ZERO,
            },
            processor,
        };
        (self.context.observer)(Event::Phase {
            name: self.phase.name.clone(),
            number: self.progress.phase,
            epochs: self.phase.epochs,
            done: self.progress.epoch,
            averages: self.phase.ema.is_some(),
        });
        let mut end = End::Complete;
        while self.progress.epoch < self.phase.epochs && end == End::Complete {
            end = self.epoch(&mut state)?;
            if end == End::Complete && self.is_out_of_patience() {
                break;
            }
        }
        if end == End::Complete {
            self.announce_end();
        } else {
            self.save(&mut state)?;
        }
        self.weights.optimizer = Some(state.optimizer);
        Ok(end)
    }

    /// Reports why the phase ended.
    fn announce_end(&self) {
        let (progress, phase) = (&self.progress, &self.phase);
        (self.context.observer)(Event::PhaseEnd {
            name: phase.name.clone(),
            epochs: progress.epoch,
            patience: phase.patience.filter(|_| progress.epoch < phase.epochs),
            best: progress.phase_best.map(|_| progress.epoch - progress.stale),
        });
    }

    /// Trains one epoch from its current batch.
    fn epoch(&mut self, state: &mut PhaseState<'_>) -> Result<End, TrainError> {
        let number = self.progress.epoch + 1;
        let feed = self.train.clone();
        feed.begin(self.epochs_before + self.progress.epoch, self.progress.batch);
        self.report(
            state,
            LearnerEvent::StartSplit {
                epoch_number: number,
                total_items: feed.num_items(),
            },
        );
        let mut epoch = EpochState {
            rate: self.last_rate(),
            gradients: GradientsAccumulator::new(),
            pending: 0,
            unreported: Unreported::default(),
            clock: Instant::now(),
        };
        if let Some(end) = self.steps(&feed, state, &mut epoch)? {
            return Ok(end);
        }
        self.count_time(&mut epoch.clock);
        self.report(state, LearnerEvent::EndSplit(number));

        if let Some(end) = self.end_epoch(epoch.rate.base(), &mut epoch.clock, state.processor)? {
            return Ok(end);
        }
        self.report(state, LearnerEvent::EndEpoch(number));
        if self.progress.epoch < self.phase.epochs
            && let Some(end) = self.must_stop()
        {
            return Ok(end);
        }
        // An epoch on kept features takes milliseconds, so checkpoints may take at most a twentieth of the time.
        let is_last = self.progress.epoch == self.phase.epochs || self.is_out_of_patience();
        if is_last || state.last_save.at.elapsed() >= state.last_save.took * 20 {
            self.save(state)?;
        }
        Ok(End::Complete)
    }

    /// The learning rate of the last update, for an epoch that was stopped after it.
    fn last_rate(&self) -> ModuleLearningRate {
        match self.progress.update.checked_sub(1) {
            None => 0.0.into(),
            Some(before) => learning_rates(&self.weights.trainee, &self.phase, self.length, before).step(),
        }
    }

    /// Sends an event of the training split to Burn's metrics and dashboard.
    pub(super) fn report(&self, state: &mut PhaseState<'_>, event: LearnerEvent<StepOutput>) {
        let reported = state.processor.process_train(event);
        self.context.interrupter.fail_on_error(reported);
    }

    /// Adds the time since the last call to the run's and the epoch's time.
    pub(super) fn count_time(&mut self, clock: &mut Instant) {
        let seconds = clock.elapsed().as_secs_f64();
        *clock = Instant::now();
        self.progress.seconds += seconds;
        self.progress.epoch_seconds += seconds;
        self.progress.wait_seconds += self.train.waited().as_secs_f64();
        self.progress.step_seconds += self.train.embedded().as_secs_f64();
    }

    /// Adds the time since `start` to the time of the epoch's steps.
    pub(super) fn count_step_time(&mut self, start: Instant) {
        self.progress.step_seconds += start.elapsed().as_secs_f64();
    }
}
