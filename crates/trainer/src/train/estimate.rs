//! How long a run will take, from a measurement before its first step.
//!
//! The measured network has random weights of its own, and every step of the run seeds its random numbers anew: a run
//! has the same numbers with and without the measurement.

use std::time::Instant;

use burn::tensor::{Device, Tensor};
use burn::train::TrainStep;

use super::error::TrainError;
use super::parameters::prepare;
use super::recipe::{Phase, Trains};
use super::step::{NetworkInput, StepInput};
use super::trainee::Trainee;
use crate::tensor::numbers;

/// Pictures of a measurement, where the first one is quick.
const PICTURES: usize = 4;
/// A first picture that takes more seconds is the measurement.
const QUICK: f64 = 0.5;

/// How long the rest of a run will take, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct Estimate {
    /// The phases that are left, in order.
    pub phases: Vec<PhaseEstimate>,
    /// The evaluation and the report.
    pub end: f64,
}

/// How long a phase will take, in seconds.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseEstimate {
    /// Its number, from 0.
    pub number: usize,
    /// Its epochs that are left.
    pub epochs: usize,
    /// The features of the frozen backbone, before its first epoch.
    pub features: f64,
    /// An epoch with its validation; 0 on kept features.
    pub epoch: f64,
}

impl Estimate {
    /// All that is left, if no phase ends early.
    pub fn total(&self) -> f64 {
        self.phases.iter().map(PhaseEstimate::total).sum::<f64>() + self.end
    }
}

impl PhaseEstimate {
    /// The phase, if it does not end early.
    pub fn total(&self) -> f64 {
        self.features + self.epochs as f64 * self.epoch
    }
}

/// The seconds of a picture in a step of a phase that trains on pictures.
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
        // A GPU computes the gradients later.
        device
            .sync()
            .map_err(|error| TrainError::Stopped(format!("the device failed: {error}")))
    })
}

/// The seconds of a picture, if `compute` takes so many of them.
pub(crate) fn seconds_per_picture(mut compute: impl FnMut(usize) -> Result<(), TrainError>) -> Result<f64, TrainError> {
    let mut measured = |pictures: usize| {
        let start = Instant::now();
        compute(pictures)?;
        Ok(start.elapsed().as_secs_f64() / pictures as f64)
    };
    let first = measured(1)?;
    if first > QUICK { Ok(first) } else { measured(PICTURES) }
}

/// Whether the phase's steps take pictures through the layers that learn.
pub(crate) fn learns_on_pictures(phase: &Phase) -> bool {
    phase.trains != Trains::Head
}
