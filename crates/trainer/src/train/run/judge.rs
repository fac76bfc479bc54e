//! The predictions of a run's network for one of its splits.

use burn::tensor::Tensor;
use xception_model::Network;

use super::Run;
use super::phase_inputs::HEAD_BATCH;
use crate::data::Split;
use crate::judge::metrics::Predictions;
use crate::tensor::numbers;
use crate::train::error::TrainError;
use crate::train::features::Features;
use crate::train::forward::outputs;
use crate::train::step::NetworkInput;

impl Run {
    /// The predictions of `model` for the pictures of a split; `None` if the run is asked to stop.
    pub(super) fn predict(&self, model: &Network, split: Split) -> Result<Option<Predictions>, TrainError> {
        let features = self.kept_features(split);
        let probabilities = match features.filter(|kept| kept.len() == self.dataset.count(split)) {
            Some(features) => Some(self.predict_features(model, &features)?),
            None => self.predict_pictures(model, split)?,
        };
        let Some(probabilities) = probabilities else {
            return Ok(None);
        };
        let samples = self.dataset.indices(split);
        let samples = samples.iter().map(|&index| &self.dataset.samples[index]);
        Ok(Some(Predictions {
            classes: self.dataset.classes.clone(),
            multi_label: self.dataset.multi_label,
            paths: samples.clone().map(|sample| sample.path.clone()).collect(),
            truths: samples.map(|sample| sample.labels.clone()).collect(),
            probabilities,
        }))
    }

    /// Probabilities by the head alone, from kept features.
    fn predict_features(&self, model: &Network, features: &Features) -> Result<Vec<f32>, TrainError> {
        let rows: Vec<usize> = (0..features.len()).collect();
        let mut probabilities = Vec::new();
        for rows in rows.chunks(HEAD_BATCH) {
            if let NetworkInput::Features(features) = features.rows(rows, self.settings.device()).input {
                probabilities.extend(numbers(self.probabilities(model.forward_head(features)?)));
            }
        }
        Ok(probabilities)
    }

    /// Probabilities by the whole network.
    fn predict_pictures(&self, model: &Network, split: Split) -> Result<Option<Vec<f32>>, TrainError> {
        let Some(pipeline) = self.inference_pipeline(split)? else {
            return Ok(Some(Vec::new()));
        };
        let fused = model.fuse();
        let mut probabilities = Vec::new();
        let batches = outputs(&pipeline, 0, self.settings.device(), |pictures| {
            Ok(self.probabilities(fused.forward(pictures)?))
        });
        for batch in batches {
            if self.settings.interrupter.should_stop() {
                return Ok(None);
            }
            probabilities.extend(batch?.1);
        }
        Ok(Some(probabilities))
    }

    fn probabilities(&self, logits: Tensor<2>) -> Tensor<2> {
        self.file.model.outputs.probabilities(logits)
    }
}
