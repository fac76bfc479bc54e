use std::time::Instant;

use xception_model::Network;

use super::checkpoint::Progress;
use crate::data::Split;
use crate::judge::metrics::{Evaluation, Predictions, Temperature};

/// The result of a run.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// The progress of the run.
    pub progress: Progress,
    /// Whether the run ended, with its best weights evaluated and written. Otherwise the run was stopped and can be
    /// resumed.
    pub complete: bool,
    /// Whether the run ended because its time was used up. The run can be resumed with more time.
    pub time_up: bool,
    /// The evaluation of the best weights, and its split; `None` for a run that was stopped.
    pub evaluation: Option<(Split, Evaluation)>,
    /// The predictions of the best weights for that split.
    pub predictions: Option<Predictions>,
    /// Temperature scaling, if it was measured, and whether the weights contain it.
    pub temperature: Option<(Temperature, bool)>,
    /// The number of suspected labels; `suspected_labels.csv` lists them.
    pub suspects: usize,
    /// The time of each phase and activity, in order.
    pub times: Vec<ActivityTime>,
    /// The network with the best weights.
    pub model: Network,
}

/// The time of a phase, or of an activity.
#[derive(Clone, Debug, PartialEq)]
pub struct ActivityTime {
    /// A phase's name, or `features`, `measurement and saving`, `evaluation`, `report`.
    pub name: String,
    /// The duration in seconds.
    pub seconds: f64,
}

impl ActivityTime {
    /// The time from `start` until now.
    pub(crate) fn since(name: &str, start: Instant) -> Self {
        Self {
            name: name.to_owned(),
            seconds: start.elapsed().as_secs_f64(),
        }
    }
}
