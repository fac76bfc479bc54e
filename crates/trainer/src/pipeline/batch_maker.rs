use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use rayon::iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator};
use rayon::slice::ParallelSliceMut;

use super::batch::Batch;
use super::loader::Loader;
use super::options::PipelineOptions;
use crate::augment::{Draw, Mixable};
use crate::data::{DataError, Dataset, balanced_order, decoder_failure};
use crate::random::{Purpose, Random};

/// Makes the batches of a pipeline, one at a time, on all threads of a pool.
pub(super) struct BatchMaker {
    pub dataset: Arc<Dataset>,
    /// The indices of the pictures, ascending.
    pub indices: Vec<usize>,
    pub options: PipelineOptions,
    /// Height and width of the network's input.
    pub size: usize,
    pub loader: Loader,
}

impl BatchMaker {
    /// The number of batches of an epoch.
    pub fn batches(&self) -> usize {
        self.indices.len().div_ceil(self.options.batch_size)
    }

    /// The indices of an epoch's pictures, in the epoch's order.
    pub fn order(&self, epoch: usize) -> Vec<usize> {
        let PipelineOptions { seed, balanced, .. } = self.options;
        if !self.options.training {
            return self.indices.clone();
        }
        if balanced {
            return balanced_order(&self.dataset, &self.indices, seed, epoch);
        }
        let mut order = self.indices.clone();
        Random::new(seed, Purpose::Order, epoch, 0).shuffle(&mut order);
        order
    }

    /// Makes one batch on all threads of the current pool; `None` if `stop` is set in the meantime.
    pub fn batch(
        &self,
        epoch: usize,
        batch: usize,
        indices: &[usize],
        stop: &AtomicBool,
    ) -> Option<Result<Batch, DataError>> {
        let picture_len = 3 * self.size * self.size;
        let mut pixels = vec![0.0; indices.len() * picture_len];
        let first = batch * self.options.batch_size;
        let filled: Result<(), Halt> = pixels
            .par_chunks_exact_mut(picture_len)
            .zip(indices.par_iter())
            .enumerate()
            .try_for_each(|(place, (planes, &index))| {
                if stop.load(Ordering::Relaxed) {
                    return Err(Halt::Stopped);
                }
                let draw = self.draw(epoch, first + place);
                self.fill(index, draw, planes).map_err(Halt::Failed)
            });
        match filled {
            Ok(()) => {}
            Err(Halt::Stopped) => return None,
            Err(Halt::Failed(error)) => return Some(Err(error)),
        }
        let mut targets = self.targets(indices);
        if self.options.training {
            let mut mixable = Mixable {
                pixels: &mut pixels,
                targets: &mut targets,
                pictures: indices.len(),
                height: self.size,
                width: self.size,
            };
            self.options.augmentation.mix(&mut mixable, self.draw(epoch, batch));
        }
        Some(Ok(Batch {
            indices: indices.to_vec(),
            pixels,
            targets,
            height: self.size,
            width: self.size,
        }))
    }

    /// The random numbers of a picture or a batch.
    fn draw(&self, epoch: usize, position: usize) -> Draw {
        Draw {
            seed: self.options.seed,
            epoch,
            position,
        }
    }

    /// Prepares one picture. A panic in a decoder becomes an error.
    fn fill(&self, index: usize, draw: Draw, planes: &mut [f32]) -> Result<(), DataError> {
        let sample = &self.dataset.samples[index];
        let prepare = || {
            let augmentation = self.options.training.then_some((&self.options.augmentation, draw));
            self.loader.fill(index, sample, augmentation, planes)
        };
        catch_unwind(AssertUnwindSafe(prepare)).unwrap_or_else(|panic| {
            Err(DataError::Panicked {
                path: sample.path.clone(),
                message: decoder_failure(&*panic),
            })
        })
    }

    /// The targets of the given pictures, `[pictures, classes]`.
    fn targets(&self, indices: &[usize]) -> Vec<f32> {
        let classes = self.dataset.classes.len();
        let mut targets = vec![0.0; indices.len() * classes];
        for (row, &index) in targets.chunks_exact_mut(classes.max(1)).zip(indices) {
            for &label in &self.dataset.samples[index].labels {
                row[label] = 1.0;
            }
        }
        targets
    }
}

/// Why a batch was not made.
enum Halt {
    /// The epoch was dropped.
    Stopped,
    /// A picture could not be prepared.
    Failed(DataError),
}
