//! Measures training steps.

use std::time::{Duration, Instant};

use burn::optim::ModuleOptimizer;
use burn::tensor::{Device, Tensor, TensorData};
use burn::train::TrainStep;
use serde::Serialize;
use xception_model::Network;

use super::objective::Objective;
use super::parameters::{optimizer, prepare};
use super::recipe::{Inputs, Norms, Optimizer, Phase, Recipe, Trains};
use super::step::{NetworkInput, StepInput};
use super::trainee::Trainee;
use crate::tensor::numbers;

/// The learning rate: small, so that many steps on one batch change no weight to infinity; large enough for the next
/// loss to show a wrong gradient.
const RATE: f64 = 1e-3;

/// The parameters that a measured step trains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum StepKind {
    /// All weights; batch norms use and update the statistics of the batch.
    Full,
    /// All weights; batch norms keep their statistics, as in fine-tuning.
    FrozenStatistics,
    /// The classifier only, on pictures.
    Head,
}

impl StepKind {
    /// All kinds.
    pub const ALL: [Self; 3] = [Self::Full, Self::FrozenStatistics, Self::Head];

    /// The name on the command line and in reports.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Full => "full",
            Self::FrozenStatistics => "frozen-statistics",
            Self::Head => "head",
        }
    }

    fn phase(self, batch_size: usize) -> Phase {
        let built_in = Recipe::load("fine-tune").map(|recipe| recipe.phases);
        let phase = built_in.unwrap_or_default().pop();
        Phase {
            trains: if self == Self::Head { Trains::Head } else { Trains::All },
            inputs: Inputs::Pictures,
            norms: if self == Self::Full {
                Norms::Train
            } else {
                Norms::Inference
            },
            batch_size,
            optimizer: Optimizer::Sgd {
                momentum: 0.9,
                nesterov: false,
                weight_decay: 0.0,
            },
            ..phase.unwrap_or_else(|| unreachable!("a built-in recipe has phases"))
        }
    }
}

/// Repeats a training step on one batch: forward pass, backward pass and update by SGD with momentum.
pub struct StepTimer {
    trainee: Trainee,
    optimizer: ModuleOptimizer,
    input: StepInput,
}

impl StepTimer {
    /// Prepares steps of a network with a classifier on generated pictures of `[batch, height, width]`.
    /// `scripts/peers/training_engines.py` generates the same pictures.
    ///
    /// # Panics
    ///
    /// If the network has no classifier.
    pub fn new(network: Network, kind: StepKind, [batch, height, width]: [usize; 3], device: &Device) -> Self {
        let device = &device.clone().autodiff();
        let classes = network.architecture().outputs().expect("a network with a classifier");
        let shape = [batch, network.graph().in_channels(), height, width];
        let objective = Objective {
            multi_label: false,
            label_smoothing: 0.0,
            class_weights: None,
        };
        let phase = kind.phase(batch);
        let trainee = prepare(Trainee::new(network, objective).on(device), &phase)
            .unwrap_or_else(|problem| unreachable!("every network has a head: {problem}"));
        let pixels = (0..shape.iter().product::<usize>()).map(|index| (index * 37 % 255) as f32 / 127.5 - 1.0);
        let pictures = Tensor::from_data(TensorData::new(pixels.collect::<Vec<f32>>(), shape), device);
        let mut targets = vec![0.0_f32; batch * classes];
        for (picture, targets) in targets.chunks_exact_mut(classes).enumerate() {
            targets[picture * 37 % classes] = 1.0;
        }
        Self {
            optimizer: optimizer(&trainee, &phase),
            trainee,
            input: StepInput {
                input: NetworkInput::Pictures(pictures),
                targets: Tensor::from_data(TensorData::new(targets, [batch, classes]), device),
                place: 0,
            },
        }
    }

    /// Takes one step, and returns its duration and its loss.
    pub fn step(&mut self) -> (Duration, f32) {
        let start = Instant::now();
        let output = TrainStep::step(&self.trainee, self.input.clone());
        let loss = numbers(output.item.loss.clone())[0];
        self.trainee = self
            .trainee
            .take()
            .optimize(&mut self.optimizer, RATE.into(), output.grads);
        (start.elapsed(), loss)
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::testing::trainee;
    use super::*;

    #[test]
    fn steps_of_every_kind_lower_the_loss_or_leave_it() {
        for kind in StepKind::ALL {
            let network = trainee().network;
            let mut timer = StepTimer::new(network, kind, [2, 71, 73], &Device::flex());
            let losses: Vec<f32> = (0..3).map(|_| timer.step().1).collect();
            assert!(losses.is_sorted_by(|a, b| a >= b), "{kind:?}: {losses:?}");
        }
    }
}
