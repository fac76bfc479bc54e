//! Estimates how long the rest of a run will take.

use std::time::Instant;

use burn::module::Module;
use burn::tensor::Tensor;

use super::Run;
use super::report::MAPS;
use crate::data::Split;
use crate::tensor::numbers;
use crate::train::error::TrainError;
use crate::train::estimate::{Estimate, PhaseEstimate, learns_on_pictures, seconds_per_picture, step_seconds};
use crate::train::event::{Activity, Event};
use crate::train::phase::Context;
use crate::train::recipe::{Phase, Trains};
use crate::train::trainee::Trainee;

/// The time of a heat map, in predicted pictures. A heat map runs the network without fused layers, and runs the last
/// layers backwards.
const MAP: f64 = 3.0;

impl Run {
    /// Measures a step, and reports the estimated duration of the rest of the run to the observer. Measures nothing if
    /// no training is left.
    pub(super) fn announce_time(&mut self, context: &Context) -> Result<(), TrainError> {
        let start = Instant::now();
        let left = self.file.recipe.phases.len().saturating_sub(self.progress.phase);
        if left == 0 || context.must_stop(self.progress.seconds).is_some() {
            return Ok(());
        }
        let estimate = self.estimate(context)?;
        (self.settings.observer)(Event::Estimate(estimate));
        self.progress.seconds += start.elapsed().as_secs_f64();
        Ok(())
    }

    fn estimate(&self, context: &Context) -> Result<Estimate, TrainError> {
        let count = |split| self.dataset.count(split) as f64;
        let phases: Vec<&Phase> = self.file.recipe.phases.iter().skip(self.progress.phase).collect();
        let measured = phases.iter().filter(|phase| learns_on_pictures(phase)).count();
        let tell = |done| {
            (self.settings.observer)(Event::Work {
                activity: Activity::Measurement,
                done,
                total: measured + 1,
            });
        };
        tell(0);
        let forward = self.forward_seconds()?;
        let mut estimates = Vec::new();
        for (index, phase) in phases.into_iter().enumerate() {
            tell(
                estimates
                    .iter()
                    .filter(|phase: &&PhaseEstimate| phase.epoch > 0.0)
                    .count()
                    + 1,
            );
            let is_current = index == 0;
            let begun = is_current && self.progress.epoch > 0;
            let validation = count(Split::Val) * forward * if phase.ema.is_some() { 2.0 } else { 1.0 };
            let (features, epoch) = match (&phase.trains, phase.uses_features()) {
                (Trains::Head, true) if begun => (0.0, 0.0),
                (Trains::Head, true) => ((count(Split::Train) + count(Split::Val)) * forward, 0.0),
                (Trains::Head, false) => (count(Split::Val) * forward, count(Split::Train) * forward),
                _ => (
                    0.0,
                    self.step_seconds(phase, context)? * count(Split::Train) + validation,
                ),
            };
            estimates.push(PhaseEstimate {
                number: self.progress.phase + index,
                epochs: phase.epochs - if is_current { self.progress.epoch } else { 0 },
                features,
                epoch,
            });
        }
        tell(measured + 1);
        let predictions: f64 = Split::ALL.into_iter().map(count).sum();
        Ok(Estimate {
            phases: estimates,
            end: (predictions + MAP * MAPS as f64) * forward,
        })
    }

    /// Seconds per picture without gradients.
    fn forward_seconds(&self) -> Result<f64, TrainError> {
        let device = self.settings.device().clone().inner();
        let size = self.file.augmentation.eval.size;
        let fused = self.weights.trainee.network.valid().to_device(&device).fuse();
        seconds_per_picture(|pictures| {
            numbers(fused.forward(Tensor::ones([pictures, 3, size, size], &device))?);
            Ok(())
        })
    }

    /// Seconds per picture in a step of the phase, over all devices.
    fn step_seconds(&self, phase: &Phase, context: &Context) -> Result<f64, TrainError> {
        let device = &context.devices[0];
        let network = self.file.model.network.init(self.settings.device())?;
        let trainee = Trainee::new(network, self.file.objective(&self.dataset)).on(device);
        let size = self.file.augmentation.train.size;
        Ok(step_seconds(trainee, phase, size, device)? / context.devices.len() as f64)
    }
}
