use std::sync::Arc;
use std::time::Duration;

use burn::tensor::Device;
use burn::train::Interrupter;

use super::error::TrainError;
use super::event::Observer;
use crate::pipeline::Cache;

/// The settings that may differ between a run and its resumption without changing a number.
#[derive(Clone)]
pub struct RunSettings {
    /// The devices. Several devices of one kind compute one batch each, and their gradients are averaged.
    pub devices: Vec<Device>,
    /// The devices' names in `run.toml`, in the order of the devices. A device without a name here gets Burn's name.
    pub device_names: Vec<String>,
    /// Whether activations are recomputed in the backward pass instead of kept, where Burn supports this: less memory,
    /// more time.
    pub gradient_checkpointing: bool,
    /// Threads that decode and augment.
    pub workers: usize,
    /// Where decoded pictures are kept between epochs.
    pub cache: Cache,
    /// The longest time without a checkpoint.
    pub checkpoint_every: Duration,
    /// The number of checkpoints that are kept.
    pub keep: usize,
    /// Whether a finished run keeps its checkpoints, kept features and last weights.
    pub keep_checkpoints: bool,
    /// Whether the weights store the temperature that fits the confidences to the validation pictures, if scaling
    /// lowers the calibration error on the test pictures.
    pub calibrate: bool,
    /// The run's total time, without the time in which the run was stopped. When the time is used up, the run ends with
    /// its best weights and its report, and can be resumed with a larger budget.
    pub budget: Option<Duration>,
    /// Stops the run.
    pub interrupter: Interrupter,
    /// Receives the events.
    pub observer: Observer,
}

impl RunSettings {
    /// All cores, no picture cache, a checkpoint at least every ten minutes, two checkpoints until the run is finished,
    /// no observer.
    pub fn new(device: Device) -> Self {
        Self {
            devices: vec![device],
            device_names: Vec::new(),
            gradient_checkpointing: false,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            cache: Cache::None,
            checkpoint_every: Duration::from_mins(10),
            keep: 2,
            keep_checkpoints: false,
            calibrate: false,
            budget: None,
            interrupter: Interrupter::new(),
            observer: Arc::new(|_| {}),
        }
    }

    /// A device with autodiff, for training steps.
    pub(crate) fn training(&self, device: &Device) -> Device {
        let device = if device.is_autodiff() {
            device.clone()
        } else {
            device.clone().autodiff()
        };
        if self.gradient_checkpointing {
            device.gradient_checkpointing()
        } else {
            device
        }
    }

    /// Whether there is a device.
    pub(crate) fn check(&self) -> Result<(), TrainError> {
        if self.devices.is_empty() {
            Err(TrainError::Stopped("no device is given".to_owned()))
        } else {
            Ok(())
        }
    }

    /// The device that holds the weights.
    ///
    /// # Panics
    ///
    /// There is no device.
    pub fn device(&self) -> &Device {
        &self.devices[0]
    }

    /// The names of the devices.
    pub(crate) fn names(&self) -> Vec<String> {
        let described = |device: &Device| format!("{:?}", device.clone().inner());
        let named = self.device_names.iter().take(self.devices.len()).cloned();
        let unnamed = self.devices.iter().skip(self.device_names.len()).map(described);
        named.chain(unnamed).collect()
    }
}
