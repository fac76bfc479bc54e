//! The training and validation inputs of a phase.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Instant;

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::tensor::Device;

use super::Run;
use crate::data::Split;
use crate::pipeline::{Pipeline, PipelineOptions};
use crate::train::ema::Ema;
use crate::train::error::TrainError;
use crate::train::feed::{Feed, FeedInput, Order};
use crate::train::parameters::prepare;
use crate::train::phase::{Context, End, PhaseRun, Weights};
use crate::train::recipe::{Inputs, Phase, Trains};
use crate::train::schedule::Length;
use crate::train::step_log::StepLog;
use crate::train::trainee::Trainee;

/// The number of pictures per batch without gradients.
const INFERENCE_BATCH: usize = 8;
/// The number of features per batch of the head without gradients.
pub(super) const HEAD_BATCH: usize = 256;

impl Run {
    /// Prepares a phase for training, or returns why the run ends before the phase.
    pub(super) fn phase_run(
        &mut self,
        phase: &Phase,
        context: &Arc<Context>,
        step_log: StepLog,
    ) -> Result<ControlFlow<End, PhaseRun>, TrainError> {
        let start = Instant::now();
        let trainee = prepare(self.weights.trainee.clone(), phase).map_err(|problem| TrainError::Recipe {
            recipe: self.file.recipe.name.clone(),
            problem: format!("phase `{}`: {problem}", phase.name),
        })?;
        let (train, valid) = match self.feeds(phase, &trainee, context, start)? {
            ControlFlow::Continue(feeds) => feeds,
            ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
        };
        let average = || phase.ema.map(|decay| Ema::new(&trainee.network, decay));
        let ema = self.weights.ema.take().or_else(average);
        let seconds = start.elapsed().as_secs_f64();
        self.progress.seconds += seconds;
        if phase.trains == Trains::Head {
            self.progress.feature_seconds += seconds;
        }
        let samples = train.num_items();
        let earlier = &self.file.recipe.phases[..self.progress.phase];
        Ok(ControlFlow::Continue(PhaseRun {
            context: Arc::clone(context),
            length: Length {
                updates_per_epoch: samples
                    .div_ceil(phase.batch_size)
                    .div_ceil(phase.accumulate * context.devices.len()),
                samples_per_epoch: samples,
                epochs: phase.epochs,
            },
            epochs_before: earlier.iter().map(|phase| phase.epochs).sum(),
            train,
            valid,
            weights: Weights {
                trainee,
                ema,
                best: self.weights.best.take(),
                published: self.weights.published,
                optimizer: self.weights.optimizer.take(),
            },
            progress: std::mem::take(&mut self.progress),
            phase: phase.clone(),
            step_log,
        }))
    }

    /// The feeds of the training and the validation split, or the reason why the run ends while features are computed.
    /// The run has worked on the phase since `start`.
    fn feeds(
        &self,
        phase: &Phase,
        trainee: &Trainee,
        context: &Context,
        start: Instant,
    ) -> Result<ControlFlow<End, (Feed, Option<Feed>)>, TrainError> {
        let device = &context.devices[0];
        let inference = device.clone().inner();
        let inputs = if phase.trains == Trains::Head {
            self.head_sources(phase, trainee, context, start)?
        } else {
            let valid = self.inference_pipeline(Split::Val)?.map(FeedInput::Pictures);
            ControlFlow::Continue((FeedInput::Pictures(self.training_pipeline(phase)?), valid))
        };
        let classes = self.dataset.classes.len();
        let feed = |input, device: &Device| Feed::new(input, classes, device);
        Ok(inputs.map_continue(|(train, valid)| {
            let valid = valid.map(|input| feed(input, &inference));
            (feed(train, device), valid)
        }))
    }

    /// The inputs of a phase that trains the head on the frozen backbone's output.
    fn head_sources(
        &self,
        phase: &Phase,
        trainee: &Trainee,
        context: &Context,
        start: Instant,
    ) -> Result<ControlFlow<End, (FeedInput, Option<FeedInput>)>, TrainError> {
        let device = context.devices[0].clone().inner();
        let backbone = trainee.network.valid().to_device(&device).fuse();
        let valid = match self.features(Split::Val, &backbone, context, start)? {
            ControlFlow::Continue(features) => features,
            ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
        };
        let train = match phase.inputs {
            Inputs::Pictures => FeedInput::Frozen(self.training_pipeline(phase)?, Box::new(backbone)),
            Inputs::Features => {
                let features = match self.features(Split::Train, &backbone, context, start)? {
                    ControlFlow::Continue(features) => features,
                    ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
                };
                let order = Order {
                    batch_size: phase.batch_size,
                    shuffle: Some(self.file.seed),
                };
                FeedInput::Features(features, order)
            }
        };
        let order = Order {
            batch_size: HEAD_BATCH,
            shuffle: None,
        };
        let valid = (valid.len() > 0).then_some(FeedInput::Features(valid, order));
        Ok(ControlFlow::Continue((train, valid)))
    }

    /// The training split, augmented.
    fn training_pipeline(&self, phase: &Phase) -> Result<Pipeline, TrainError> {
        self.pipeline(Split::Train, phase.batch_size, true)
    }

    /// A split, prepared as for evaluation; `None` if the split has no pictures.
    pub(super) fn inference_pipeline(&self, split: Split) -> Result<Option<Pipeline>, TrainError> {
        let pipeline = self.pipeline(split, INFERENCE_BATCH, false)?;
        Ok((!pipeline.is_empty()).then_some(pipeline))
    }

    fn pipeline(&self, split: Split, batch_size: usize, training: bool) -> Result<Pipeline, TrainError> {
        let options = PipelineOptions {
            augmentation: self.file.augmentation.clone(),
            training,
            batch_size,
            seed: self.file.seed,
            balanced: self.file.balanced,
            workers: self.settings.workers,
            cache: self.settings.cache.clone(),
        };
        Ok(Pipeline::new(Arc::clone(&self.dataset), split, options)?)
    }
}
