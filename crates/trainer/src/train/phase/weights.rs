use burn::optim::ModuleOptimizer;
use xception_model::Network;

use crate::train::ema::Ema;
use crate::train::trainee::Trainee;

/// The weights of a run in training.
pub(crate) struct Weights {
    pub trainee: Trainee,
    pub ema: Option<Ema>,
    pub best: Option<Network>,
    /// The row of the metrics table whose weights are in the run's `model.bpk`.
    pub published: Option<usize>,
    /// `None` at the start of a phase.
    pub optimizer: Option<ModuleOptimizer>,
}

impl Weights {
    /// The weights at the start of a run.
    pub fn new(trainee: Trainee) -> Self {
        Self {
            trainee,
            ema: None,
            best: None,
            published: None,
            optimizer: None,
        }
    }
}
