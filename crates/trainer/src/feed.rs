//! What steps are fed: augmented pictures, or features that the frozen backbone made once.

use std::fmt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::store::burn_pack::{Reader, Tensor as PackTensor, Writer};
use burn::tensor::{DType, Device, Shape, Tensor, TensorData};
use xception_model::InferenceXception;

use crate::error::TrainError;
use crate::learner::{NetworkInput, StepInput};
use crate::pipeline::{Batch, Pipeline};
use crate::random::{Purpose, Random};

/// Where a split's batches come from.
pub(crate) enum Source {
    /// Decoded and augmented anew in every epoch.
    Pictures(Pipeline),
    /// The same, then through the frozen backbone.
    Frozen(Pipeline, Box<InferenceXception>),
    /// Kept features.
    Features(Features, Order),
}

/// In which order kept features come, and how many at once.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Order {
    pub batch_size: usize,
    /// The run's seed, where an epoch is shuffled.
    pub shuffle: Option<u64>,
}

/// What the backbone made of a split's pictures.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Features {
    /// What it made, row-major, a row a picture.
    pub values: Vec<f32>,
    /// Row-major, a row a picture.
    pub targets: Vec<f32>,
    pub width: usize,
    pub classes: usize,
}

impl Features {
    /// Puts every picture of `pipeline` through `backbone`, once. `done` is told the pictures so far.
    pub fn compute(
        pipeline: &Pipeline,
        backbone: &InferenceXception,
        classes: usize,
        device: &Device,
        mut done: impl FnMut(usize) -> bool,
    ) -> Result<Option<Self>, TrainError> {
        let width = backbone.config().embedding_len();
        let mut features = Vec::with_capacity(pipeline.len() * width);
        let mut targets = Vec::with_capacity(pipeline.len() * classes);
        for batch in pipeline.epoch(0, 0) {
            let batch = batch?;
            features.extend(numbers(backbone.embed(pictures(&batch, device))?));
            targets.extend(batch.targets);
            if !done(targets.len() / classes) {
                return Ok(None);
            }
        }
        Ok(Some(Self {
            values: features,
            targets,
            width,
            classes,
        }))
    }

    pub fn len(&self) -> usize {
        self.targets.len() / self.classes.max(1)
    }

    /// The features and targets of some pictures.
    pub fn rows(&self, rows: &[usize], device: &Device) -> StepInput {
        let gather = |values: &[f32], width: usize| {
            let chosen: Vec<f32> = rows
                .iter()
                .flat_map(|row| &values[row * width..(row + 1) * width])
                .copied()
                .collect();
            Tensor::from_data(TensorData::new(chosen, [rows.len(), width]), device)
        };
        StepInput {
            input: NetworkInput::Features(gather(&self.values, self.width)),
            targets: gather(&self.targets, self.classes),
        }
    }

    /// Writes them, so that a resumed run need not compute them; `about` says what they belong to.
    pub fn save(&self, path: &Path, about: &str) -> Result<(), TrainError> {
        let tensor = |name: &str, values: &[f32], width: usize| {
            let data = TensorData::new(values.to_vec(), [self.len(), width]);
            let (bytes, shape, dtype) = data.into_parts();
            PackTensor::new(name.to_owned(), dtype, shape, None, bytes)
        };
        let folder = path.parent().unwrap_or(Path::new("."));
        let failed = |error: &dyn fmt::Display| TrainError::file(path)(std::io::Error::other(error.to_string()));
        let partial = tempfile::NamedTempFile::new_in(folder).map_err(TrainError::file(path))?;
        Writer::new(vec![
            tensor("features", &self.values, self.width),
            tensor("targets", &self.targets, self.classes),
        ])
        .with_metadata(ABOUT, about)
        .write_to_file(partial.path())
        .map_err(|error| failed(&error))?;
        partial
            .persist(path)
            .map_err(|error| TrainError::file(path)(error.error))?;
        Ok(())
    }

    /// Reads kept features; `None` where there are none, or none of these pictures and this backbone.
    pub fn load(path: &Path, about: &str) -> Option<Self> {
        let reader = Reader::from_file(path).ok()?;
        if reader.metadata().get(ABOUT).map(String::as_str) != Some(about) {
            return None;
        }
        let mut found = [None, None];
        for tensor in reader.into_tensors().ok()? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().ok()?;
            if dtype != DType::F32 {
                return None;
            }
            let [rows, width]: [usize; 2] = Shape::dims(&shape);
            let values = TensorData::from_bytes(bytes, shape, dtype).try_into_vec::<f32>().ok()?;
            found[usize::from(name == "targets")] = Some((rows, width, values));
        }
        match found {
            [Some((rows, width, features)), Some((same, classes, targets))] if rows == same && rows > 0 => Some(Self {
                values: features,
                targets,
                width,
                classes,
            }),
            _ => None,
        }
    }
}

const ABOUT: &str = "about";

/// A tensor's numbers on the host.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    tensor.into_data().iter::<f32>().collect()
}

/// A batch's pictures, `[batch, 3, height, width]`.
fn pictures(batch: &Batch, device: &Device) -> Tensor<4> {
    let shape = [batch.indices.len(), 3, batch.height, batch.width];
    Tensor::from_data(TensorData::new(batch.pixels.clone(), shape), device)
}

/// Where in the run the next epoch begins: its number over all phases, and the batches of it that are done.
pub(crate) type Place = Arc<Mutex<(usize, usize)>>;

/// A split's batches, as Burn's training takes them.
#[derive(Clone)]
pub(crate) struct Feed {
    source: Arc<Source>,
    classes: usize,
    place: Place,
    device: Device,
    waited: Arc<Mutex<Duration>>,
}

impl Feed {
    pub fn new(source: Source, classes: usize, device: &Device) -> Self {
        Self {
            source: Arc::new(source),
            classes,
            place: Place::default(),
            device: device.clone(),
            waited: Arc::default(),
        }
    }

    /// Sets where [`iter`](DataLoader::iter) begins.
    pub fn begin(&self, epoch: usize, batch: usize) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, batch);
    }

    /// The time that whoever iterates has waited for batches since this was last asked.
    pub fn waited(&self) -> Duration {
        std::mem::take(&mut *self.waited.lock().unwrap_or_else(PoisonError::into_inner))
    }

    fn step_input(&self, batch: &Batch) -> Result<StepInput, TrainError> {
        let rows = batch.indices.len();
        let targets = TensorData::new(batch.targets.clone(), [rows, self.classes]);
        let input = match &*self.source {
            Source::Frozen(_, backbone) => {
                let features = backbone.embed(pictures(batch, &self.device.clone().inner()))?;
                let width = backbone.config().embedding_len();
                let features = TensorData::new(numbers(features), [rows, width]);
                NetworkInput::Features(Tensor::from_data(features, &self.device))
            }
            _ => NetworkInput::Pictures(pictures(batch, &self.device)),
        };
        Ok(StepInput {
            input,
            targets: Tensor::from_data(targets, &self.device),
        })
    }
}

impl DataLoader<StepInput> for Feed {
    fn iter<'a>(&'a self) -> Box<dyn DataLoaderIterator<StepInput> + 'a> {
        let (epoch, skip) = *self.place.lock().unwrap_or_else(PoisonError::into_inner);
        let batches: Box<dyn Iterator<Item = Result<StepInput, TrainError>> + 'a> = match &*self.source {
            Source::Pictures(pipeline) | Source::Frozen(pipeline, _) => {
                let mut batches = pipeline.epoch(epoch, skip);
                Box::new(std::iter::from_fn(move || {
                    let start = Instant::now();
                    let batch = batches.next();
                    *self.waited.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
                    Some(
                        batch?
                            .map_err(TrainError::from)
                            .and_then(|batch| self.step_input(&batch)),
                    )
                }))
            }
            Source::Features(features, order) => {
                let rows = match order.shuffle {
                    Some(seed) => {
                        let mut rows: Vec<usize> = (0..features.len()).collect();
                        Random::new(seed, Purpose::Order, epoch, 0).shuffle(&mut rows);
                        rows
                    }
                    None => (0..features.len()).collect(),
                };
                let size = order.batch_size;
                let batches = rows.len().div_ceil(size);
                Box::new((skip..batches).map(move |batch| {
                    let last = rows.len().min((batch + 1) * size);
                    Ok(features.rows(&rows[batch * size..last], &self.device))
                }))
            }
        };
        Box::new(Batches {
            inner: batches,
            done: 0,
            total: self.num_items(),
        })
    }

    fn num_items(&self) -> usize {
        match &*self.source {
            Source::Pictures(pipeline) | Source::Frozen(pipeline, _) => pipeline.len(),
            Source::Features(features, _) => features.len(),
        }
    }

    fn to_device(&self, device: &Device) -> Arc<dyn DataLoader<StepInput>> {
        Arc::new(Self {
            device: device.clone(),
            ..self.clone()
        })
    }

    /// A feed has no parts: whoever trains on several devices takes its batches in turn.
    fn slice(&self, _: usize, _: usize) -> Arc<dyn DataLoader<StepInput>> {
        Arc::new(self.clone())
    }
}

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
