use burn::tensor::{Device, Tensor, TensorData};
use xception_model::InferenceNetwork;

use super::error::TrainError;
use super::forward::outputs;
use super::step::{NetworkInput, StepInput};
use crate::pipeline::Pipeline;

/// The frozen backbone's features for the pictures of a split.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Features {
    /// `[pictures, width]`, row-major.
    pub values: Vec<f32>,
    /// `[pictures, classes]`, row-major.
    pub targets: Vec<f32>,
    pub width: usize,
    pub classes: usize,
}

impl Features {
    /// Computes the features that `self` lacks, for the pictures of `pipeline`. `proceed` receives the features after
    /// each batch. If `proceed` returns false, the computation stops.
    pub fn complete(
        mut self,
        pipeline: &Pipeline,
        backbone: &InferenceNetwork,
        device: &Device,
        mut proceed: impl FnMut(&Self) -> bool,
    ) -> Result<Self, TrainError> {
        if self.len() >= pipeline.len() {
            return Ok(self);
        }
        // Whole batches only: the last bits of a picture's features may depend on the other pictures of its batch.
        let whole = self.len() / pipeline.batch_size();
        self.values.truncate(whole * pipeline.batch_size() * self.width);
        self.targets.truncate(whole * pipeline.batch_size() * self.classes);
        for batch in outputs(pipeline, whole, device, |pictures| backbone.embed(pictures)) {
            let (batch, features) = batch?;
            self.values.extend(features);
            self.targets.extend(batch.targets);
            if !proceed(&self) {
                break;
            }
        }
        Ok(self)
    }

    /// Features of no pictures.
    pub fn none(width: usize, classes: usize) -> Self {
        Self {
            width,
            classes,
            ..Self::default()
        }
    }

    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.targets.len() / self.classes.max(1)
    }

    /// The features and targets of some pictures.
    pub fn rows(&self, rows: &[usize], device: &Device) -> StepInput {
        let gather = |values: &[f32], width: usize| {
            let mut chosen = Vec::with_capacity(rows.len() * width);
            for row in rows {
                chosen.extend_from_slice(&values[row * width..(row + 1) * width]);
            }
            Tensor::from_data(TensorData::new(chosen, [rows.len(), width]), device)
        };
        StepInput {
            input: NetworkInput::Features(gather(&self.values, self.width)),
            targets: gather(&self.targets, self.classes),
            place: 0,
        }
    }
}
