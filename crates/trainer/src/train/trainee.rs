//! The network in the form that Burn's learner takes, with the loss and gradients of a step.

use std::sync::{Arc, OnceLock};

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, GradientCheckpointingStrategy, Tensor};
use burn::train::{InferenceStep, TrainOutput, TrainStep};
use xception_model::{FrozenPrefix, Network};

use super::objective::Objective;
use super::step::{NetworkInput, StepInput, StepOutput};

/// A network that is trained, and its objective.
#[derive(Module, Debug)]
pub struct Trainee {
    /// The network.
    pub network: Network,
    #[module(skip)]
    objective: Objective,
    /// The layers before the first trained layer, which this phase does not change; set by the first step that needs
    /// them.
    #[module(skip)]
    prefix: Arc<OnceLock<Option<FrozenPrefix>>>,
}

impl Trainee {
    /// Puts a network and its objective together.
    pub fn new(network: Network, objective: Objective) -> Self {
        Self {
            network,
            objective,
            prefix: Arc::default(),
        }
    }

    /// The trainee for another phase, which may train other layers.
    pub(crate) fn without_prefix(self) -> Self {
        Self {
            prefix: Arc::default(),
            ..self
        }
    }

    /// Moves the trainee out, as [`Network::take`] does.
    #[must_use]
    pub(crate) fn take(&mut self) -> Self {
        Self {
            network: self.network.take(),
            objective: self.objective.clone(),
            prefix: Arc::clone(&self.prefix),
        }
    }

    /// The objective of the training.
    pub fn objective(&self) -> &Objective {
        &self.objective
    }

    /// The trainee on `device`, with autodiff, as training steps change it.
    pub(crate) fn on(self, device: &Device) -> Self {
        struct Checkpointing(GradientCheckpointingStrategy);
        impl ModuleMapper for Checkpointing {
            fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
                param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.0))
            }
        }
        let trainee = self.train().fork(device);
        // Moving a tensor keeps its checkpointing strategy, and Burn cannot combine tensors of two strategies.
        match device.gradient_checkpointing_strategy() {
            Some(strategy) => trainee.map(&mut Checkpointing(strategy)),
            None => trainee,
        }
    }

    fn forward(&self, item: StepInput) -> StepOutput {
        let logits = match item.input {
            NetworkInput::Pictures(pictures) => match self.prefix.get_or_init(|| self.network.frozen_prefix()) {
                Some(prefix) => self.network.forward_behind(prefix, pictures),
                None => self.network.forward(pictures),
            },
            NetworkInput::Features(features) => self.network.forward_head(features),
        };
        // Starting the run checked channels, size and head. A batch is never empty.
        let logits = logits.unwrap_or_else(|error| unreachable!("checked when the run started: {error}"));
        StepOutput {
            loss: self.objective.loss(logits.clone(), item.targets.clone()),
            logits,
            targets: item.targets,
            place: item.place,
            earlier: Vec::new(),
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
