//! A step on one device, or on several at once.

use burn::data::dataloader::{DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::Device;
use burn::train::train::MultiDevicesTrainStep;
use burn::train::{TrainOutput, TrainStep};

use crate::error::TrainError;
use crate::learner::{NetworkInput, StepInput, StepOutput, Trainee};

/// Who computes steps.
pub(crate) enum Workers {
    /// This thread.
    Here,
    /// Burn's threads, one a device, each with a copy of the weights.
    Several(MultiDevicesTrainStep<Trainee>, Vec<Device>),
}

impl Workers {
    pub fn new(devices: &[Device]) -> Self {
        match devices {
            [_, _, ..] => Self::Several(MultiDevicesTrainStep::new(devices), devices.to_vec()),
            _ => Self::Here,
        }
    }

    /// A step for each batch, in the order of the batches whichever device is done first; the gradients are on the first
    /// device.
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
            .map_err(|error| TrainError::Engine(error.to_string()))?;
        // Sums of numbers with a point depend on their order.
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

/// One batch, as Burn's workers take it.
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

impl StepInput {
    fn to_device(&self, device: &Device, place: usize) -> Self {
        Self {
            input: match &self.input {
                NetworkInput::Pictures(pictures) => NetworkInput::Pictures(pictures.clone().to_device(device)),
                NetworkInput::Features(features) => NetworkInput::Features(features.clone().to_device(device)),
            },
            targets: self.targets.clone().to_device(device),
            place,
        }
    }
}
