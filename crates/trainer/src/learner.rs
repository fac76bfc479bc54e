//! The network as Burn's learner takes it: a step's loss and gradients.

use burn::module::Module;
use burn::tensor::activation::{log_sigmoid, log_softmax};
use burn::tensor::{ExecutionError, Int, Tensor};
use burn::train::metric::{AccuracyInput, Adaptor, HammingScoreInput, LossInput};
use burn::train::{InferenceStep, ItemLazy, TrainOutput, TrainStep};
use xception_model::Network;

/// A network and what it is trained for.
#[derive(Module, Debug)]
pub struct Trainee {
    /// The network.
    pub network: Network,
    #[module(skip)]
    objective: Objective,
}

/// What a training makes small.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Whether a picture may have several labels: then each class is a yes or no of its own.
    pub multi_label: bool,
    /// Part of each target that is spread over all classes.
    pub label_smoothing: f64,
    /// Each class's weight in the loss; `None` for all alike.
    pub class_weights: Option<Vec<f32>>,
}

/// What a step is given.
#[derive(Clone, Debug)]
pub struct StepInput {
    /// Pictures, or what the frozen backbone made of them.
    pub input: NetworkInput,
    /// The classes that are there, `[batch, classes]`; parts of one where pictures were mixed.
    pub targets: Tensor<2>,
    /// Which of the batches that are worked on at once this is, from 0.
    pub place: usize,
}

/// Pictures, or what the frozen backbone made of them.
#[derive(Clone, Debug)]
pub enum NetworkInput {
    /// `[batch, channels, height, width]`.
    Pictures(Tensor<4>),
    /// `[batch, embedding]`.
    Features(Tensor<2>),
}

/// What a step gives: the loss, and what its metrics need.
#[derive(Debug)]
pub struct StepOutput {
    /// `[1]`; once synced, one a step.
    pub loss: Tensor<1>,
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// `[batch, classes]`.
    pub targets: Tensor<2>,
    /// The batch's [`StepInput::place`].
    pub place: usize,
    /// Steps before this one that metrics are told of together with it.
    pub earlier: Vec<Self>,
}

impl Trainee {
    /// A network to be trained for `objective`.
    pub fn new(network: Network, objective: Objective) -> Self {
        Self { network, objective }
    }

    /// What it is trained for.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    fn forward(&self, item: StepInput) -> StepOutput {
        let logits = match item.input {
            NetworkInput::Pictures(pictures) => self.network.forward(pictures),
            NetworkInput::Features(features) => self.network.forward_head(features),
        };
        // The run's set-up has checked channels, size and head, and a batch is never empty.
        let logits = logits.unwrap_or_else(|error| unreachable!("checked before the first step: {error}"));
        StepOutput {
            loss: self.objective.loss(logits.clone(), item.targets.clone()),
            logits,
            targets: item.targets,
            place: item.place,
            earlier: Vec::new(),
        }
    }
}

impl Objective {
    /// The mean loss of a batch: cross-entropy of the softmax, or of each class's sigmoid where labels are several. Burn's
    /// losses take whole classes, and the targets of mixed pictures are parts.
    ///
    /// Label smoothing as in Keras's `CategoricalCrossentropy` and `BinaryCrossentropy`. Class weights multiply a
    /// picture's loss by its target's weight.
    ///
    /// # Shapes
    ///
    /// - `logits`, `targets`: `[batch, classes]`
    /// - output: `[1]`
    pub fn loss(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        let [_, classes] = logits.dims();
        let weights = self
            .class_weights
            .as_ref()
            .map(|weights| Tensor::<1>::from_floats(weights.as_slice(), &targets.device()).unsqueeze::<2>());
        if self.multi_label {
            let targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / 2.0;
            // Both sums without ever taking the logarithm of 0.
            let each = -(targets.clone() * log_sigmoid(logits.clone()) + (-targets + 1.0) * log_sigmoid(-logits));
            return match weights {
                Some(weights) => (each * weights).mean(),
                None => each.mean(),
            };
        }
        let picture_weights = weights.map(|weights| (targets.clone() * weights).sum_dim(1));
        let targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        let each = -(targets * log_softmax(logits, 1)).sum_dim(1);
        match picture_weights {
            Some(weights) => (each * weights).mean(),
            None => each.mean(),
        }
    }
}

impl TrainStep for Trainee {
    type Input = StepInput;
    type Output = StepOutput;

    fn step(&self, item: StepInput) -> TrainOutput<StepOutput> {
        let output = self.forward(item);
        let gradients = output.loss.backward();
        TrainOutput::new(self, gradients, output)
    }
}

impl InferenceStep for Trainee {
    type Input = StepInput;
    type Output = StepOutput;

    fn step(&self, item: StepInput) -> StepOutput {
        self.forward(item)
    }
}

impl ItemLazy for StepOutput {
    /// The batches one after the other, and a loss each, without what gradients need.
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        let place = self.place;
        let (mut losses, mut logits, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let mut steps = self.earlier;
        steps.push(Self {
            earlier: Vec::new(),
            ..self
        });
        for step in steps {
            losses.push(step.loss.without_autodiff());
            logits.push(step.logits.without_autodiff());
            targets.push(step.targets.without_autodiff());
        }
        Ok(Self {
            loss: Tensor::cat(losses, 0),
            logits: Tensor::cat(logits, 0),
            targets: Tensor::cat(targets, 0),
            place,
            earlier: Vec::new(),
        })
    }
}

impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<AccuracyInput> for StepOutput {
    fn adapt(&self) -> AccuracyInput {
        let truth: Tensor<1, Int> = self.targets.clone().argmax(1).squeeze_dim(1);
        AccuracyInput::new(self.logits.clone(), truth)
    }
}

impl Adaptor<HammingScoreInput> for StepOutput {
    fn adapt(&self) -> HammingScoreInput {
        HammingScoreInput::new(self.logits.clone(), self.targets.clone().greater_elem(0.5).int())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::feed::numbers;
    use burn::tensor::Device;

    fn loss(multi_label: bool, label_smoothing: f64, class_weights: Option<Vec<f32>>) -> f32 {
        let device = Device::flex();
        let objective = Objective {
            multi_label,
            label_smoothing,
            class_weights,
        };
        let logits = Tensor::from_floats([[2.0, -1.0, 0.5], [0.0, 3.0, -200.0]], &device);
        let targets = Tensor::from_floats([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &device);
        objective.loss(logits, targets).into_scalar()
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() <= 2e-6 * expected.abs(), "{found} {expected}");
    }

    #[test]
    fn metrics_are_told_of_all_steps() {
        let device = Device::flex();
        let step = |value: f32, earlier| StepOutput {
            loss: Tensor::from_floats([value], &device),
            logits: Tensor::from_floats([[value, 0.0]], &device),
            targets: Tensor::from_floats([[1.0, 0.0]], &device),
            place: 0,
            earlier,
        };
        let told = step(3.0, vec![step(1.0, vec![]), step(2.0, vec![])]).sync().unwrap();
        assert_eq!(numbers(told.loss), [1.0, 2.0, 3.0]);
        assert_eq!(numbers(told.logits), [1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!(numbers(told.targets), [1.0, 0.0].repeat(3));
    }

    /// The numbers are those of Keras 3.15's `CategoricalCrossentropy` and `BinaryCrossentropy`, `from_logits=True`, on the
    /// same arrays; class weights as its `sample_weight`.
    #[test]
    fn losses_are_keras_s() {
        close(loss(false, 0.0, None), 0.144_949_33);
        close(loss(false, 0.1, None), 3.653_282_9);
        close(loss(true, 0.0, None), 0.359_333_5);
        close(loss(true, 0.1, None), 2.071_833_6);
        close(loss(false, 0.0, Some(vec![2.0, 0.5, 0.5])), 0.253_458_17);
    }
}
