//! What steps are fed: augmented pictures, or features that the frozen backbone made once.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::data::dataloader::{DataLoader, DataLoaderIterator, Progress};
use burn::data::dataset::DatasetError;
use burn::store::burn_pack::{Reader, Tensor as PackTensor, Writer};
use burn::tensor::{Device, Tensor, TensorData};
use xception_model::InferenceNetwork;

use crate::error::TrainError;
use crate::learner::{NetworkInput, StepInput};
use crate::pipeline::{Batch, Pipeline};
use crate::random::{Purpose, Random};

/// Where a split's batches come from.
pub(crate) enum Source {
    /// Decoded and augmented anew in every epoch.
    Pictures(Pipeline),
    /// The same, then through the frozen backbone.
    Frozen(Pipeline, Box<InferenceNetwork>),
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
    /// Puts every picture of `pipeline` through `backbone`, but for the first ones that `self` holds already. `done` is shown
    /// what there is after each batch, and stops by returning false.
    pub fn complete(
        mut self,
        pipeline: &Pipeline,
        backbone: &InferenceNetwork,
        device: &Device,
        mut done: impl FnMut(&Self) -> bool,
    ) -> Result<Self, TrainError> {
        let batch_size = pipeline.batch_size();
        // Whole batches: in another company a picture's last bits may be others.
        let batches = self.len() / batch_size;
        if self.len() < pipeline.len() {
            self.values.truncate(batches * batch_size * self.width);
            self.targets.truncate(batches * batch_size * self.classes);
            for batch in pipeline.epoch(0, batches) {
                let batch = batch?;
                self.values.extend(numbers(backbone.embed(pictures(&batch, device))?));
                self.targets.extend(batch.targets);
                if !done(&self) {
                    break;
                }
            }
        }
        Ok(self)
    }

    /// None yet, of a network with such an embedding.
    pub fn none(width: usize, classes: usize) -> Self {
        Self {
            width,
            classes,
            ..Self::default()
        }
    }

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

    /// Writes them, so that a resumed run need not compute them; `about` says what they belong to.
    pub fn save(&self, path: &Path, about: &str) -> Result<(), TrainError> {
        let tensor = |name: &str, values: &[f32], width: usize| {
            let data = TensorData::new(values.to_vec(), [self.len(), width]);
            let (bytes, shape, dtype) = data.into_parts();
            PackTensor::new(name.to_owned(), dtype, shape, None, bytes)
        };
        // Whole under its name or not at all.
        Writer::new(vec![
            tensor(VALUES, &self.values, self.width),
            tensor(TARGETS, &self.targets, self.classes),
        ])
        .with_metadata(ABOUT, about)
        .auto_extension(false)
        .write_to_file(path)
        .map_err(|error| TrainError::file(path)(std::io::Error::other(error.to_string())))
    }

    /// Reads kept features, maybe of the first pictures only; `None` where there are none, or those of other pictures or
    /// another backbone.
    ///
    /// # Errors
    ///
    /// What is wrong with a file that is there.
    pub fn load(path: &Path, about: &str) -> Result<Option<Self>, String> {
        if !path.exists() {
            return Ok(None);
        }
        let reader = Reader::from_file(path).map_err(|error| error.to_string())?;
        if reader.metadata().get(ABOUT).map(String::as_str) != Some(about) {
            return Ok(None);
        }
        let mut found = BTreeMap::new();
        for tensor in reader.into_tensors().map_err(|error| error.to_string())? {
            let (name, dtype, shape, _, bytes) = tensor.into_parts().map_err(|error| error.to_string())?;
            let &[rows, width] = shape.as_slice() else {
                return Err(format!("{name} has the shape {shape:?}"));
            };
            let values = TensorData::from_bytes(bytes, shape, dtype)
                .try_into_vec::<f32>()
                .map_err(|error| format!("{name}: {error:?}"))?;
            found.insert(name, (rows, width, values));
        }
        match (found.remove(VALUES), found.remove(TARGETS)) {
            (Some((rows, width, values)), Some((same, classes, targets))) if rows == same => Ok(Some(Self {
                values,
                targets,
                width,
                classes,
            })),
            _ => Err(format!("it does not hold {VALUES} and {TARGETS} of the same pictures")),
        }
    }
}

const VALUES: &str = "features";
const TARGETS: &str = "targets";
const ABOUT: &str = "about";

/// A tensor's numbers on the host.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().try_into_vec_as();
    data.unwrap_or_else(|error| unreachable!("floating-point numbers of any width are numbers: {error}"))
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
    embedded: Arc<Mutex<Duration>>,
}

impl Feed {
    pub fn new(source: Source, classes: usize, device: &Device) -> Self {
        Self {
            source: Arc::new(source),
            classes,
            place: Place::default(),
            device: device.clone(),
            waited: Arc::default(),
            embedded: Arc::default(),
        }
    }

    /// Sets where [`iter`](DataLoader::iter) begins.
    pub fn begin(&self, epoch: usize, batch: usize) {
        *self.place.lock().unwrap_or_else(PoisonError::into_inner) = (epoch, batch);
    }

    /// The time that whoever iterates has waited for batches since this was last asked.
    pub fn waited(&self) -> Duration {
        taken(&self.waited)
    }

    /// The time that pictures have been in the frozen backbone since this was last asked.
    pub fn embedded(&self) -> Duration {
        taken(&self.embedded)
    }

    fn step_input(&self, batch: &Batch) -> Result<StepInput, TrainError> {
        let rows = batch.indices.len();
        let targets = TensorData::new(batch.targets.clone(), [rows, self.classes]);
        let input = match &*self.source {
            Source::Frozen(_, backbone) => {
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
}

/// Adds the time since `start`.
fn add(time: &Mutex<Duration>, start: Instant) {
    *time.lock().unwrap_or_else(PoisonError::into_inner) += start.elapsed();
}

fn taken(time: &Mutex<Duration>) -> Duration {
    std::mem::take(&mut *time.lock().unwrap_or_else(PoisonError::into_inner))
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
                    add(&self.waited, start);
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kept_features_are_read_as_they_were_written() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("train.bpk");
        let features = Features {
            values: vec![1.0, -2.5, f32::MIN_POSITIVE, 4.0, 5.0, 6.0],
            targets: vec![1.0, 0.0, 0.0, 1.0],
            width: 3,
            classes: 2,
        };
        assert_eq!(Features::load(&path, "these"), Ok(None));
        features.save(&path, "these").unwrap();
        assert_eq!(Features::load(&path, "these"), Ok(Some(features.clone())));
        assert_eq!(Features::load(&path, "others"), Ok(None));
        let names: Vec<_> = std::fs::read_dir(home.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        assert_eq!(names, ["train.bpk"]);
        let mut bytes = std::fs::read(&path).unwrap();
        bytes.truncate(bytes.len() / 2);
        std::fs::write(&path, bytes).unwrap();
        assert!(Features::load(&path, "these").is_err());
    }
}
