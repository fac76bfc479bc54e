use serde::{Deserialize, Serialize};

/// How gradients become updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw {
        /// Weight decay; norms and biases have none.
        weight_decay: f32,
        /// Decay of the gradient's average.
        #[serde(default = "beta_1")]
        beta_1: f32,
        /// Decay of the squared gradient's average.
        #[serde(default = "beta_2")]
        beta_2: f32,
        /// Added to the denominator.
        #[serde(default = "adam_epsilon")]
        epsilon: f32,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// Nesterov's form of momentum.
        #[serde(default)]
        nesterov: bool,
        /// L2 penalty; norms and biases have none.
        weight_decay: f32,
    },
    /// `RMSprop` (Tieleman and Hinton 2012).
    Rmsprop {
        /// Decay of the squared gradient's average.
        alpha: f32,
        /// Momentum.
        momentum: f32,
        /// Added to the denominator.
        epsilon: f32,
        /// L2 penalty; norms and biases have none.
        weight_decay: f32,
    },
}

const fn beta_1() -> f32 {
    0.9
}

const fn beta_2() -> f32 {
    0.999
}

const fn adam_epsilon() -> f32 {
    1e-8
}
