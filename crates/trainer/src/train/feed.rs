//! The batches of a split, in the form that Burn's training takes: augmented pictures, or features from the frozen
//! backbone.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::tensor::{Device, Tensor, TensorData};
use xception_model::InferenceNetwork;

use super::error::TrainError;
use super::features::Features;
use super::forward::pictures;
use super::step::{NetworkInput, StepInput};
use crate::pipeline::{Batch, Pipeline};
use crate::random::{Purpose, Random};
use crate::tensor::numbers;

/// The input of a split's batches.
pub(crate) enum FeedInput {
    /// Pictures, decoded and augmented in every epoch.
    Pictures(Pipeline),
    /// The same pictures, whose features the frozen backbone computes in every epoch.
    Frozen(Pipeline, Box<InferenceNetwork>),
    /// Kept features.
    Features(Features, Order),
}

/// The batch size and order of kept features.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub batch_size: usize,
    /// The run's seed; `None` keeps the features in their order.
    pub shuffle: Option<u64>,
}

/// The batches of a split, in the form that Burn's training takes.
#[derive(Clone)]
pub(crate) struct Feed {
    input: Arc<FeedInput>,
    classes: usize,
    /// The start of the next epoch: its number over all phases, and its completed batches.
    start: Arc<Mutex<(usize, usize)>>,
    device: Device,
    waited: Arc<Mutex<Duration>>,
    embedded: Arc<Mutex<Duration>>,
}

impl Feed {
    pub fn new(input: FeedInput, classes: usize, device: &Device) -> Self {
        Self {
            input: Arc::new(input),
            classes,
            start: Arc::default(),
            device: device.clone(),
            waited: Arc::default(),
            embedded: Arc::default(),
        }
    }

    /// Sets the epoch and the batch at which [`iter`](DataLoader::iter) starts.
    pub fn begin(&self, epoch: usize, batch: usize) {
        *self.start.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, batch);
    }

    /// The time spent waiting for batches since the last call.
    pub fn waited(&self) -> Duration {
        taken(&self.waited)
    }

    /// The time spent in the frozen backbone since the last call.
    pub fn embedded(&self) -> Duration {
        taken(&self.embedded)
    }

    fn step_input(&self, batch: &Batch) -> Result<StepInput, TrainError> {
        let rows = batch.indices.len();
        let targets = TensorData::new(batch.targets.clone(), [rows, self.classes]);
        let input = match &*self.input {
            FeedInput::Frozen(_, backbone) => {
                let start = Instant::now();
                let features = backbone.embed(pictures(batch, &self.device.clone().inner()))?;
                let width = backbone.network().embedding_len()?;
                let features = TensorData::new(numbers(features), [rows, width]);
                add(&self.embedded, start);
                NetworkInput::Features(Tensor::from_data(features, &self.device))
            }
            _ => NetworkInput::Pictures(pictures(batch, &self.device)),
        };
        Ok(StepInput {
            input,
            targets: Tensor::from_data(targets, &self.device),
            place: 0,
        })
    }

    /// The picture batches of an epoch, without the first `skip`.
    fn picture_batches<'a>(
        &'a self,
        pipeline: &'a Pipeline,
        epoch: usize,
        skip: usize,
    ) -> impl Iterator<Item = Result<StepInput, TrainError>> + 'a {
        let mut batches = pipeline.epoch(epoch, skip);
        std::iter::from_fn(move || {
            let start = Instant::now();
            let batch = batches.next();
            add(&self.waited, start);
            Some(
                batch?
                    .map_err(TrainError::from)
                    .and_then(|batch| self.step_input(&batch)),
            )
        })
    }

    /// The feature batches of an epoch, without the first `skip`.
    fn feature_batches<'a>(
        &'a self,
        features: &'a Features,
        order: Order,
        epoch: usize,
        skip: usize,
    ) -> impl Iterator<Item = Result<StepInput, TrainError>> + 'a {
        let mut rows: Vec<usize> = (0..features.len()).collect();
        if let Some(seed) = order.shuffle {
            Random::new(seed, Purpose::Order, epoch, 0).shuffle(&mut rows);
        }
        let size = order.batch_size;
        (skip..rows.len().div_ceil(size)).map(move |batch| {
            let last = rows.len().min((batch + 1) * size);
            Ok(features.rows(&rows[batch * size..last], &self.device))
        })
    }
}

/// Adds the time since `start`.
fn add(time: &Mutex<Duration>, start: Instant) {
    *time.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
}

/// Reads a time and resets it to zero.
fn taken(time: &Mutex<Duration>) -> Duration {
    std::mem::take(&mut *time.lock().unwrap_or_else(PoisonError::into_inner))
}

impl DataLoader<StepInput> for Feed {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<StepInput> + 'a> {
        let (epoch, skip) = *self.start.lock().unwrap_or_else(PoisonError::into_inner);
        let batches: Box<dyn Iterator<Item = Result<StepInput, TrainError>> + 'a> = match &*self.input {
            FeedInput::Pictures(pipeline) | FeedInput::Frozen(pipeline, _) => {
                Box::new(self.picture_batches(pipeline, epoch, skip))
            }
            FeedInput::Features(features, order) => Box::new(self.feature_batches(features, *order, epoch, skip)),
        };
        Box::new(Batches {
            inner: batches,
            done: 0,
            total: self.num_items(),
        })
    }

    fn num_items(&self) -> usize {
        match &*self.input {
            FeedInput::Pictures(pipeline) | FeedInput::Frozen(pipeline, _) => pipeline.len(),
            FeedInput::Features(features, _) => features.len(),
        }
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<StepInput>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    /// A feed is not divided: the devices take its batches in turn.
    fn slice(&self, _: usize, _: usize) -> Arc<dyn DataLoader<StepInput>> {
        Arc::new(self.clone())
    }
}

/// The batches of an epoch, with the progress that Burn shows.
struct Batches<'a> {
    inner: Box<dyn Iterator<Item = Result<StepInput, TrainError>> + 'a>,
    done: usize,
    total: usize,
}

impl Iterator for Batches<'_> {
    type Item = Result<StepInput, DatasetError>;

    fn next(&mut self) -> Option<Self::Item> {
        let batch = self.inner.next()?;
        if let Ok(batch) = &batch {
            self.done += batch.targets.dims()[0];
        }
        Some(batch.map_err(DatasetError::new))
    }
}

impl DataLoaderIterator<StepInput> for Batches<'_> {
    fn progress(&self) -> Progress {
        Progress::new(self.done, self.total, Some("pictures".to_owned()))
    }
}
