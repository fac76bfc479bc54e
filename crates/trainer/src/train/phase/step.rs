//! The steps of an epoch.

use std::time::{Duration, Instant};

use burn::data::dataloader::{DataLoader, Progress as BurnProgress};
use burn::train::{LearnerEvent, TrainOutput, TrainStep, TrainingItem};

use super::context::End;
use super::epoch::{EpochState, PhaseState};
use super::phase_run::PhaseRun;
use super::score::correct;
use crate::random::{Purpose, Random};
use crate::tensor::numbers;
use crate::train::devices::StepDevices;
use crate::train::error::TrainError;
use crate::train::event::Event;
use crate::train::feed::Feed;
use crate::train::parameters::{clip, scale};
use crate::train::step::{StepInput, StepOutput};

/// The shortest time between two reports of steps to Burn's metrics. Each report wakes the metrics' thread, which takes
/// a tenth of a step on kept features. All other kinds of steps are longer than this time.
const REPORT_EVERY: Duration = Duration::from_millis(10);

impl PhaseRun {
    /// Trains the epoch's remaining batches. Returns why the phase must end, if it must.
    pub(super) fn steps(
        &mut self,
        feed: &Feed,
        state: &mut PhaseState<'_>,
        epoch: &mut EpochState,
    ) -> Result<Option<End>, TrainError> {
        let devices = StepDevices::new(&self.context.devices);
        let count = self.context.devices.len();
        let mut batches = feed.iter();
        loop {
            let round: Vec<StepInput> = batches
                .by_ref()
                .take(count)
                .collect::<Result<_, _>>()
                .map_err(|error| TrainError::Stopped(error.to_string()))?;
            if round.is_empty() {
                return Ok(None);
            }
            self.seed_devices();
            let start = Instant::now();
            let outputs = devices.step(round, &self.weights.trainee)?;
            self.count_step_time(start);
            for output in outputs {
                self.take_output(output, state, epoch)?;
            }
            let is_last = self.progress.batch == self.batches_per_epoch();
            if epoch.pending >= self.phase.accumulate * count || is_last {
                self.update(state, epoch);
            }
            self.count_time(&mut epoch.clock);
            // A checkpoint holds no gradients, so it is written only when no gradients are pending.
            if epoch.pending == 0 && !is_last {
                if let Some(end) = self.must_stop() {
                    return Ok(Some(end));
                }
                if state.last_save.at.elapsed() >= self.context.checkpoint_every {
                    self.save(state)?;
                    epoch.clock = Instant::now();
                }
            }
        }
    }

    fn batches_per_epoch(&self) -> usize {
        self.train.num_items().div_ceil(self.phase.batch_size)
    }

    /// Seeds Burn's random numbers for this step on every device. A device of another machine has its own generator.
    fn seed_devices(&self) {
        let step = self.progress.step as usize;
        for (place, device) in self.context.devices.iter().enumerate().rev() {
            device.seed(Random::new(self.context.seed, Purpose::Step, place, step).seed());
        }
    }

    /// Counts one batch, adds its gradients to the pending gradients, and reports the batch.
    fn take_output(
        &mut self,
        output: TrainOutput<StepOutput>,
        state: &mut PhaseState<'_>,
        epoch: &mut EpochState,
    ) -> Result<(), TrainError> {
        if epoch.pending == 0 {
            epoch.rate = state.rates.step();
        }
        let rate = epoch.rate.base();
        self.count_batch(&output.item, rate)?;
        let start = Instant::now();
        epoch.gradients.accumulate(&self.weights.trainee, output.grads);
        self.count_step_time(start);
        epoch.pending += 1;

        let (seen, total) = (self.progress.seen, self.train.num_items());
        let mut output = output.item;
        let is_last = self.progress.batch == self.batches_per_epoch();
        if epoch.unreported.since.elapsed() >= REPORT_EVERY || is_last {
            output.earlier = std::mem::take(&mut epoch.unreported).outputs;
            let progress = BurnProgress::new(seen, total, Some("pictures".to_owned()));
            let item = TrainingItem::new(output, progress, Some(self.progress.batch), Some(epoch.rate.clone()));
            self.report(state, LearnerEvent::ProcessedItem(item));
        } else {
            epoch.unreported.outputs.push(output);
        }
        (self.context.observer)(Event::Step {
            done: seen,
            total,
            loss: self.progress.loss_sum / seen as f64,
            rate,
        });
        Ok(())
    }

    /// Adds a batch to the run's counts and to `steps.csv`.
    fn count_batch(&mut self, output: &StepOutput, rate: f64) -> Result<(), TrainError> {
        // A GPU computes asynchronously: reading the loss waits for the GPU.
        let start = Instant::now();
        let loss = numbers(output.loss.clone())[0];
        self.count_step_time(start);
        let pictures = output.targets.dims()[0];
        let epoch = self.progress.epoch + 1;
        let progress = &mut self.progress;
        progress.batch += 1;
        progress.step += 1;
        progress.seen += pictures;
        progress.loss_sum += f64::from(loss) * pictures as f64;
        progress.correct += correct(output, self.weights.trainee.objective());
        self.step_log
            .write(progress.step, &self.phase.name, epoch, rate, loss)?;
        if loss.is_finite() {
            Ok(())
        } else {
            Err(TrainError::NotFinite {
                loss,
                step: progress.step,
                phase: self.phase.name.clone(),
                epoch,
                rate,
            })
        }
    }

    /// Updates the weights by the mean of the pending gradients.
    fn update(&mut self, state: &mut PhaseState<'_>, epoch: &mut EpochState) {
        let start = Instant::now();
        let mut gradients = epoch.gradients.grads();
        // The weights have no other owner now, so they are changed in place.
        let trainee = self.weights.trainee.take();
        if epoch.pending > 1 {
            scale(&trainee, &mut gradients, 1.0 / epoch.pending as f64);
        }
        if let Some(longest) = self.phase.clip_norm {
            clip(&trainee, &mut gradients, longest);
        }
        self.weights.trainee = trainee.optimize(&mut state.optimizer, epoch.rate.clone(), gradients);
        if let Some(ema) = &mut self.weights.ema {
            ema.update(&self.weights.trainee.network);
            self.progress.ema_updates = ema.updates();
        }
        self.progress.update += 1;
        epoch.pending = 0;
        self.count_step_time(start);
    }
}
