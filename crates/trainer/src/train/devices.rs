//! A step on one device, or on several devices at once.

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{TrainOutput, TrainStep};

use super::error::TrainError;
use super::step::{StepInput, StepOutput};
use super::trainee::Trainee;

/// The devices that compute steps.
pub(crate) enum StepDevices {
    /// One device, on this thread.
    One,
    /// Several devices, each with one of Burn's threads and a copy of the weights.
    Several(MultiDevicesTrainStep<Trainee>, Vec<Device>),
}

impl StepDevices {
    pub fn new(devices: &[Device]) -> Self {
        match devices {
            [_, _, ..] => Self::Several(MultiDevicesTrainStep::new(devices), devices.to_vec()),
            _ => Self::One,
        }
    }

    /// Computes a step for each batch. The outputs are in the order of the batches, whichever device ends first. The
    /// gradients are on the first device.
    pub fn step(&self, round: Vec<StepInput>, trainee: &Trainee) -> Result<Vec<TrainOutput<StepOutput>>, TrainError> {
        let Self::Several(workers, devices) = self else {
            return Ok(round.into_iter().map(|batch| TrainStep::step(trainee, batch)).collect());
        };
        let mut batches: Vec<_> = round
            .into_iter()
            .map(Some)
            .chain(std::iter::repeat_with(|| None))
            .zip(devices)
            .enumerate()
            .map(|(place, (batch, device))| {
                let batch = batch.map(|batch| batch.to_device(device, place));
                Box::new(Single(batch)) as Box<dyn DataLoaderIterator<StepInput>>
            })
            .collect();
        let (mut outputs, _) = workers
            .step(&mut batches, trainee)
            .map_err(|error| TrainError::Stopped(error.to_string()))?;
        // Floating-point sums depend on the order of their terms.
        outputs.sort_by_key(|output| output.output.item.place);
        Ok(outputs
            .into_iter()
            .map(|output| TrainOutput {
                grads: output.output.grads.to_device(&devices[0], trainee),
                item: output.output.item,
            })
            .collect())
    }
}

/// One batch, in the form that Burn's threads take.
struct Single(Option<StepInput>);

impl Iterator for Single {
    type Item = Result<StepInput, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        self.0.take().map(Ok)
    }
}

impl DataLoaderIterator<StepInput> for Single {
    fn progress(&self) -> Progress {
        Progress::new(1, 1, None)
    }
}
