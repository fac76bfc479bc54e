use std::path::PathBuf;
use std::time::Duration;

use burn::tensor::Device;
use burn::train::Interrupter;
use xception_model::ModelSpec;

use crate::train::checkpoint::Checkpoints;
use crate::train::event::Observer;

/// Why a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// All its epochs are trained, or its `patience` is used up.
    Complete,
    /// The interrupter stopped the phase. The run can be resumed.
    Stopped,
    /// The run's time is used up. The run is evaluated now, and can be resumed with more time.
    TimeUp,
}

/// The settings that all phases of a run share.
pub(crate) struct Context {
    pub folder: PathBuf,
    /// The devices that compute steps, one batch each. The weights live on the first.
    pub devices: Vec<Device>,
    pub seed: u64,
    pub checkpoints: Checkpoints,
    /// The longest time without a checkpoint.
    pub checkpoint_every: Duration,
    /// The run's time limit, without the time in which the run was stopped.
    pub budget: Option<Duration>,
    pub interrupter: Interrupter,
    pub observer: Observer,
    /// The specification that is written beside the best weights.
    pub spec: ModelSpec,
}

impl Context {
    /// Why a run that has trained for `seconds` must end, if it must.
    pub fn must_stop(&self, seconds: f64) -> Option<End> {
        if self.interrupter.should_stop() {
            return Some(End::Stopped);
        }
        let late = self.budget.is_some_and(|budget| seconds >= budget.as_secs_f64());
        late.then_some(End::TimeUp)
    }
}
