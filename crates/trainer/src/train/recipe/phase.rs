use serde::{Deserialize, Serialize};

use super::optimizer::Optimizer;
use crate::train::schedule::Schedule;

/// A part of a training, with one optimizer and one schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// The phase's name, for tables and plots.
    pub name: String,
    /// The number of epochs. An epoch trains on every picture once.
    pub epochs: usize,
    /// Which layers learn.
    pub trains: Trains,
    /// The input of the frozen backbone, for a phase that trains only the head.
    #[serde(default)]
    pub inputs: Inputs,
    /// Whether batch norms use and update the statistics of each batch, or keep the statistics of the trained weights.
    pub norms: Norms,
    /// Pictures per step.
    pub batch_size: usize,
    /// Steps whose gradients are averaged into one update.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// How gradients become updates.
    pub optimizer: Optimizer,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// A block's learning rate as a fraction of the next later block's rate; 1 gives all blocks the same rate (Howard
    /// and Ruder 2018, section 3.2).
    #[serde(default = "whole")]
    pub layer_decay: f64,
    /// The largest common norm of all gradients. Gradients with a larger norm are scaled down to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of the exponential moving average of the weights (Polyak averaging); `None` keeps no average.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// The phase ends after this many epochs without a lower validation loss.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
}

const fn one() -> usize {
    1
}

const fn whole() -> f64 {
    1.0
}

impl Phase {
    /// Whether the phase's steps take kept features instead of pictures.
    pub fn uses_features(&self) -> bool {
        self.trains == Trains::Head && self.inputs == Inputs::Features
    }
}

/// Which layers learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trains {
    /// The classifier only, on the frozen backbone's pooled features.
    Head,
    /// All layers.
    All,
    /// The classifier and the blocks from the named one on, by Keras name (`block13`).
    From(String),
    /// The last blocks, including the classifier: this percentage of all blocks, rounded up. For any architecture.
    LastPercent(u8),
}

/// The input of the frozen backbone while the head learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inputs {
    /// Newly augmented pictures in every epoch.
    #[default]
    Pictures,
    /// Each picture once, prepared as for evaluation. The features are kept, so that later epochs do not run the
    /// backbone.
    Features,
}

/// The mode of batch norms in training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norms {
    /// Batch norms keep the mean and variance of the trained weights, as in Keras's transfer-learning guide
    /// (`training=False`). Their scale and shift learn.
    Inference,
    /// Batch norms use the mean and variance of each batch and update their running averages.
    Train,
}
