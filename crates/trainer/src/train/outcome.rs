use xception_model::Network;

use super::checkpoint::Progress;
use crate::data::Split;
use crate::judge::metrics::{Evaluation, Predictions};

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
    /// The network with the best weights.
    pub model: Network,
}
