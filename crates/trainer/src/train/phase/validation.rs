//! Passes the validation split through a network.

use std::ops::ControlFlow;

use burn::data::dataloader::DataLoader;
use burn::train::{EventProcessorTraining, LearnerEvent, TrainingItem};
use xception_model::{InferenceNetwork, Network};

use super::context::End;
use super::phase_run::PhaseRun;
use super::processor::Processor;
use super::score::{Score, correct};
use crate::tensor::numbers;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};
use crate::train::objective::Objective;
use crate::train::recipe::Trains;
use crate::train::step::{NetworkInput, StepInput, StepOutput};

impl PhaseRun {
    /// The mean loss, without label smoothing and class weights, and the accuracy on the validation split. The observer
    /// receives the progress of `activity`; `processor` receives every batch. Validation stops when the run is asked to
    /// stop.
    pub(super) fn validate(
        &self,
        network: &Network,
        activity: Activity,
        mut processor: Option<&mut Processor>,
    ) -> Result<ControlFlow<End, Option<Score>>, TrainError> {
        let Some(feed) = &self.valid else {
            return Ok(ControlFlow::Continue(None));
        };
        let number = self.progress.epoch + 1;
        let mut report = |event| {
            if let Some(processor) = &mut processor {
                self.context.interrupter.fail_on_error(processor.process_valid(event));
            }
        };
        report(LearnerEvent::StartSplit {
            epoch_number: number,
            total_items: feed.num_items(),
        });
        let objective = Objective {
            multi_label: self.weights.trainee.objective().multi_label,
            label_smoothing: 0.0,
            class_weights: None,
        };
        let fused = (self.phase.trains != Trains::Head).then(|| network.fuse());
        feed.begin(0, 0);
        let (mut loss, mut right, mut seen) = (0.0, 0.0, 0);
        let tell = |done| {
            (self.context.observer)(Event::Work {
                activity,
                done,
                total: feed.num_items(),
            });
        };
        tell(0);
        let mut batches = feed.iter();
        while let Some(batch) = batches.next() {
            if self.context.interrupter.should_stop() {
                return Ok(ControlFlow::Break(End::Stopped));
            }
            let batch = batch.map_err(|error| TrainError::Stopped(error.to_string()))?;
            let output = judged(network, fused.as_ref(), &objective, batch)?;
            let pictures = output.targets.dims()[0];
            loss += f64::from(numbers(output.loss.clone())[0]) * pictures as f64;
            right += correct(&output, &objective);
            seen += pictures;
            tell(seen);
            report(LearnerEvent::ProcessedItem(TrainingItem::new(
                output,
                batches.progress(),
                None,
                None,
            )));
        }
        report(LearnerEvent::EndSplit(number));
        Ok(ControlFlow::Continue(Some(Score {
            loss: loss / seen as f64,
            accuracy: right / seen as f64,
        })))
    }
}

/// A batch's logits and loss, from the fused network if there is one.
fn judged(
    network: &Network,
    fused: Option<&InferenceNetwork>,
    objective: &Objective,
    batch: StepInput,
) -> Result<StepOutput, TrainError> {
    let StepInput { input, targets, place } = batch;
    let logits = match (input, fused) {
        (NetworkInput::Features(features), _) => network.forward_head(features)?,
        (NetworkInput::Pictures(pictures), Some(fused)) => fused.forward(pictures)?,
        (NetworkInput::Pictures(pictures), None) => network.forward(pictures)?,
    };
    Ok(StepOutput {
        loss: objective.loss(logits.clone(), targets.clone()),
        logits,
        targets,
        place,
        earlier: Vec::new(),
    })
}
