//! Evaluates the run's network on the run's splits.

use burn::tensor::Tensor;
use xception_model::Network;

use super::Run;
use super::phase_inputs::HEAD_BATCH;
use crate::data::Split;
use crate::judge::metrics::{Evaluation, Predictions, Suspect, Temperature, suspects};
use crate::tensor::numbers;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};
use crate::train::features::Features;
use crate::train::step::NetworkInput;

/// With more training pictures than this, their labels are not checked. The check takes a quarter of an epoch, and the
/// embeddings stay in memory.
const MOST_CHECKED: usize = 20_000;

/// The evaluation of a network.
pub(super) struct Judged {
    pub split: Split,
    pub evaluation: Evaluation,
    pub predictions: Predictions,
    /// The embeddings of the evaluated pictures.
    pub embeddings: Features,
    /// Suspected labels of all splits.
    pub suspects: Vec<Suspect>,
    /// Temperature scaling, if validation and test use different pictures.
    pub temperature: Option<Temperature>,
}

/// The outcome of evaluating a network.
pub(super) enum Judgement {
    Done(Box<Judged>),
    /// There are no validation and no test pictures.
    NoPictures,
    /// The run is asked to stop.
    Stopped,
}

impl Run {
    /// Evaluates a network on the test pictures, or on the validation pictures if there are no test pictures.
    pub(super) fn judge(&self, model: &Network) -> Result<Judgement, TrainError> {
        let Some(split) = [Split::Test, Split::Val]
            .into_iter()
            .find(|split| self.dataset.count(*split) > 0)
        else {
            return Ok(Judgement::NoPictures);
        };
        let mut parts = Vec::new();
        for part in Split::ALL {
            let count = self.dataset.count(part);
            if count > 0 && (part != Split::Train || count <= MOST_CHECKED) {
                let features = self.split_features(model, part)?;
                if features.len() < count {
                    return Ok(Judgement::Stopped);
                }
                parts.push((part, self.predictions(model, part, &features)?, features));
            }
        }
        let of = |wanted: Split| {
            parts
                .iter()
                .find(|(part, ..)| *part == wanted)
                .map(|(_, predictions, _)| predictions)
        };
        let named: Vec<_> = parts
            .iter()
            .map(|(part, predictions, _)| (part.name(), predictions))
            .collect();
        let suspects = suspects(&named);
        let temperature = of(Split::Val).zip(of(Split::Test));
        let temperature = temperature.and_then(|(validation, test)| Temperature::measure(validation, test));
        let Some((split, predictions, embeddings)) = parts.into_iter().find(|(part, ..)| *part == split) else {
            return Ok(Judgement::NoPictures);
        };
        let evaluation =
            Evaluation::new(&predictions).map_err(|error| TrainError::run(&self.folder, error.to_string()))?;
        Ok(Judgement::Done(Box::new(Judged {
            split,
            evaluation,
            predictions,
            embeddings,
            suspects,
            temperature,
        })))
    }

    /// The embeddings of a split: the run's kept ones, or new ones from `model`. Incomplete if the run is asked to
    /// stop.
    fn split_features(&self, model: &Network, split: Split) -> Result<Features, TrainError> {
        let total = self.dataset.count(split);
        if let Some(kept) = self.kept_features(split).filter(|kept| kept.len() == total) {
            return Ok(kept);
        }
        let none = Features::none(model.embedding_len()?, self.dataset.classes.len());
        let Some(pipeline) = self.inference_pipeline(split)? else {
            return Ok(none);
        };
        let tell = |done| {
            (self.settings.observer)(Event::Work {
                activity: Activity::Predictions(split),
                done,
                total,
            });
        };
        tell(0);
        none.complete(&pipeline, &model.fuse(), self.settings.device(), |features| {
            tell(features.len());
            !self.settings.interrupter.should_stop()
        })
    }

    /// The predictions for a split, from the head alone.
    pub(super) fn predictions(
        &self,
        model: &Network,
        split: Split,
        features: &Features,
    ) -> Result<Predictions, TrainError> {
        let rows: Vec<usize> = (0..features.len()).collect();
        let mut probabilities = Vec::new();
        for rows in rows.chunks(HEAD_BATCH) {
            if let NetworkInput::Features(features) = features.rows(rows, self.settings.device()).input {
                probabilities.extend(numbers(self.probabilities(model.forward_head(features)?)));
            }
        }
        let samples = self.dataset.indices(split);
        let samples = samples.iter().map(|&index| &self.dataset.samples[index]);
        Ok(Predictions {
            classes: self.dataset.classes.clone(),
            multi_label: self.dataset.multi_label,
            paths: samples.clone().map(|sample| sample.path.clone()).collect(),
            truths: samples.map(|sample| sample.labels.clone()).collect(),
            probabilities,
        })
    }

    fn probabilities(&self, logits: Tensor<2>) -> Tensor<2> {
        self.file.model.outputs.probabilities(logits)
    }
}
