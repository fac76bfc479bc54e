use std::time::Instant;

use xception_model::Network;

use super::checkpoint::Progress;
use crate::data::Split;
use crate::judge::metrics::{Evaluation, Predictions, Temperature};

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where it stands.
    pub progress: Progress,
    /// Whether it ended, with its best weights judged and written. Otherwise it was stopped, and can be resumed.
    pub complete: bool,
    /// Whether it ended because its time was used up: it can be resumed with more.
    pub time_up: bool,
    /// How good the best weights are, and on which split; `None` for a run that was stopped.
    pub evaluation: Option<(Split, Evaluation)>,
    /// The predictions of the best weights for that split.
    pub predictions: Option<Predictions>,
    /// Temperature scaling, if it was measured, and whether the weights have it.
    pub temperature: Option<(Temperature, bool)>,
    /// The number of labels that may be wrong; `suspected_labels.csv` lists them.
    pub suspects: usize,
    /// The time of each stage, in order.
    pub stages: Vec<StageTime>,
    /// The network with the best weights.
    pub model: Network,
}

/// The time of a stage of a run.
#[derive(Clone, Debug, PartialEq)]
pub struct StageTime {
    /// The stage: a phase's name, or `features`, `measurement and saving`, `evaluation`, `report`.
    pub name: String,
    /// Its time.
    pub seconds: f64,
}

impl StageTime {
    /// A stage from `start` until now.
    pub(crate) fn since(name: &str, start: Instant) -> Self {
        Self {
            name: name.to_owned(),
            seconds: start.elapsed().as_secs_f64(),
        }
    }
}
