//! Estimates a run's duration from a measurement before the first step.
//!
//! The measured network has random weights of its own, and every step of the run seeds its random numbers anew. A run
//! therefore has the same numbers with and without the measurement.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;

use super::error::TrainError;
use super::parameters::prepare;
use super::recipe::{Phase, Trains};
use super::step::{NetworkInput, StepInput};
use super::trainee::Trainee;
use crate::tensor::numbers;

/// The pictures of a measurement, if the first picture is quick.
const PICTURES: usize = 4;
/// A first picture that takes more seconds than this is the whole measurement.
const QUICK: f64 = 0.5;

/// The estimated duration of the rest of a run, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The remaining phases, in order.
    pub phases: Vec<PhaseEstimate>,
    /// Seconds of the evaluation and the report.
    pub end: f64,
}

/// The estimated duration of a phase, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseEstimate {
    /// The phase's number, from 0.
    pub number: usize,
    /// The remaining epochs.
    pub epochs: usize,
    /// Seconds of computing the frozen backbone's features, before the first epoch.
    pub features: f64,
    /// Seconds per epoch, with validation; 0 on kept features.
    pub epoch: f64,
}

impl Estimate {
    /// Seconds of all remaining work, if no phase ends early.
    pub fn total(&self) -> f64 {
        self.phases.iter().map(PhaseEstimate::total).sum::<f64>() + self.end
    }
}

impl PhaseEstimate {
    /// Seconds of the phase, if it does not end early.
    pub fn total(&self) -> f64 {
        self.features + self.epochs as f64 * self.epoch
    }
}

/// Seconds per picture in a step of a phase that trains on pictures.
pub(crate) fn step_seconds(trainee: Trainee, phase: &Phase, size: usize, device: &Device) -> Result<f64, TrainError> {
    let trainee = prepare(trainee, phase).map_err(TrainError::Stopped)?;
    let classes = trainee.network.architecture().outputs().unwrap_or(1);
    seconds_per_picture(|pictures| {
        let batch = StepInput {
            input: NetworkInput::Pictures(Tensor::ones([pictures, 3, size, size], device)),
            targets: Tensor::full([pictures, classes], 1.0 / classes as f64, device),
            place: 0,
        };
        let output = TrainStep::step(&trainee, batch);
        numbers(output.item.loss);
        // A GPU computes the gradients asynchronously.
        device
            .sync()
            .map_err(|error| TrainError::Stopped(format!("the device failed: {error}")))
    })
}

/// Seconds per picture. `compute` takes the number of pictures.
pub(crate) fn seconds_per_picture(mut compute: impl FnMut(usize) -> Result<(), TrainError>) -> Result<f64, TrainError> {
    let mut measured = |pictures: usize| {
        let start = Instant::now();
        compute(pictures)?;
        Ok(start.elapsed().as_secs_f64() / pictures as f64)
    };
    let first = measured(1)?;
    if first > QUICK { Ok(first) } else { measured(PICTURES) }
}

/// Whether the phase's steps pass pictures through the layers that learn.
pub(crate) fn learns_on_pictures(phase: &Phase) -> bool {
    phase.trains != Trains::Head
}
