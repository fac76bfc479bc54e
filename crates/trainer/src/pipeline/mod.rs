//! Batches, ready before the step asks for them.
//!
//! Several threads decode and augment the pictures of a batch, a few batches ahead of the step and no more. What a batch
//! holds follows from the seed, the epoch and its place in the epoch alone: not from the number of threads, not from a
//! cache, and not from where a resumed run began. (Burn's threaded loader hands out batches as its threads finish them, and
//! begins an epoch at its first batch alone.)
//!
//! ```no_run
//! use std::sync::Arc;
//! use trainer::{
//!     augment::{Augmentation, Level},
//!     data::{DataOptions, Dataset, Split},
//!     pipeline::{Cache, Pipeline, PipelineOptions},
//! };
//! use xception_model::picture::Preset;
//!
//! let (dataset, _) = Dataset::open("flowers", &DataOptions::default())?;
//! let options = PipelineOptions {
//!     augmentation: Augmentation::named(Level::Light, 150, Preset::PilBilinear),
//!     training: true,
//!     batch_size: 8,
//!     seed: 42,
//!     balanced: false,
//!     workers: 2,
//!     cache: Cache::None,
//! };
//! let pipeline = Pipeline::new(Arc::new(dataset), Split::Train, options)?;
//! for batch in pipeline.epoch(0, 0) {
//!     let batch = batch?; // batch.pixels: [batch.len(), 3, 150, 150]
//! }
//! println!("the step waited {:?}", pipeline.waited());
//! # Ok::<(), trainer::data::DataError>(())
//! ```

pub mod ahead;
mod cache;
mod epoch;
mod load;
mod options;
mod shrink;
mod stream;

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

pub use cache::{Cache, CacheStats};
pub use epoch::Epoch;
pub use options::PipelineOptions;
use rayon::{
    ThreadPool, ThreadPoolBuilder,
    iter::{IndexedParallelIterator, IntoParallelRefIterator, ParallelIterator},
    slice::ParallelSliceMut,
};
pub use stream::{PictureStream, Steps, Streamed};

use crate::{
    augment::{Draw, Mixable},
    data::{DataError, Dataset, Split, balanced_order, decoder_failure},
    random::{Purpose, Random},
};
use load::{Loader, Target};

/// Some pictures with their targets.
#[derive(Debug, Clone, PartialEq)]
pub struct Batch {
    /// Which pictures these are: places in [`Dataset::samples`].
    pub indices: Vec<usize>,
    /// `[pictures, 3, height, width]`, -1.0 to 1.0.
    pub pixels: Vec<f32>,
    /// `[pictures, classes]`: 1.0 for a label, 0.0 for none, and between them where pictures are mixed.
    pub targets: Vec<f32>,
    /// Rows of a picture.
    pub height: usize,
    /// Columns of a picture.
    pub width: usize,
}

impl Batch {
    /// How many pictures.
    pub fn len(&self) -> usize {
        self.indices.len()
    }

    /// Never true of a pipeline's batches.
    pub fn is_empty(&self) -> bool {
        self.indices.is_empty()
    }
}

/// Makes the batches of one part of a data set, epoch by epoch.
pub struct Pipeline {
    plan: Arc<Plan>,
    pool: Arc<ThreadPool>,
    /// Nanoseconds that the epochs' callers waited.
    waited: Arc<AtomicU64>,
}

/// Everything a batch follows from.
struct Plan {
    dataset: Arc<Dataset>,
    /// The pictures, ascending.
    indices: Vec<usize>,
    options: PipelineOptions,
    /// Height and width of the input.
    size: usize,
    loader: Loader,
}

impl Pipeline {
    /// Batches of the pictures for this use, or of all there are if it is `None`.
    ///
    /// # Errors
    ///
    /// An augmentation out of range, no pictures to train on, a batch size of 0, and threads or a cache folder that
    /// cannot be made.
    pub fn new(
        dataset: Arc<Dataset>,
        split: impl Into<Option<Split>>,
        options: PipelineOptions,
    ) -> Result<Self, DataError> {
        options.augmentation.check()?;
        let indices = match split.into() {
            Some(split) => dataset.indices(split),
            None => (0..dataset.samples.len()).collect(),
        };
        if options.training && indices.is_empty() {
            return Err(DataError::NoTraining {
                path: dataset.root.clone(),
            });
        }
        let target = Target::of(&options.augmentation, options.training);
        let size = if options.training {
            options.augmentation.train.size
        } else {
            options.augmentation.eval.size
        };
        let largest = options.batch_size.min(indices.len().max(1));
        let bytes = largest.checked_mul(3 * size * size * size_of::<f32>());
        if largest == 0 || bytes.is_none_or(|bytes| bytes > isize::MAX as usize) {
            return Err(DataError::BatchSize {
                batch_size: options.batch_size,
                size,
            });
        }
        let pool = ThreadPoolBuilder::new()
            .num_threads(options.workers.max(1))
            .thread_name(|index| format!("pictures-{index}"))
            .build()
            .map_err(|error| DataError::Setup {
                what: "starting threads to prepare pictures".to_owned(),
                problem: error.to_string(),
            })?;
        Ok(Self {
            plan: Arc::new(Plan {
                loader: Loader::new(target, options.augmentation.scaling, dataset.limits, &options.cache)?,
                dataset,
                indices,
                size,
                options,
            }),
            pool: Arc::new(pool),
            waited: Arc::default(),
        })
    }

    /// How many pictures an epoch has.
    pub fn len(&self) -> usize {
        self.plan.indices.len()
    }

    /// Whether there is nothing to make batches of.
    pub fn is_empty(&self) -> bool {
        self.plan.indices.is_empty()
    }

    /// How many pictures a batch has, but for the last.
    pub fn batch_size(&self) -> usize {
        self.plan.options.batch_size
    }

    /// How many batches an epoch has. The last one may be smaller than the others.
    pub fn batches(&self) -> usize {
        self.plan.batches()
    }

    /// The batches of an epoch but for the first few, which a resumed run has seen already.
    ///
    /// Preparing starts at once and stops when the [`Epoch`] is dropped.
    pub fn epoch(&self, epoch: usize, skip_batches: usize) -> Epoch {
        Epoch::start(self, epoch, skip_batches)
    }

    /// How long the callers of all epochs waited for batches, together.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// What the cache did so far.
    pub fn cache_stats(&self) -> CacheStats {
        self.plan.loader.cache_stats()
    }
}

impl Plan {
    fn batches(&self) -> usize {
        self.indices.len().div_ceil(self.options.batch_size)
    }

    /// Which pictures come in an epoch, in their order.
    fn order(&self, epoch: usize) -> Vec<usize> {
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

    /// One batch, made by all threads of the current pool; `None` when told to stop.
    fn batch(
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
                    return Err(Halt::Told);
                }
                let draw = self.draw(epoch, first + place);
                self.guarded(index, draw, planes).map_err(Halt::Failed)
            });
        match filled {
            Ok(()) => {}
            Err(Halt::Told) => return None,
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

    fn draw(&self, epoch: usize, position: usize) -> Draw {
        Draw {
            seed: self.options.seed,
            epoch,
            position,
        }
    }

    /// One picture into its place; a panic in a decoder becomes an error.
    fn guarded(&self, index: usize, draw: Draw, planes: &mut [f32]) -> Result<(), DataError> {
        let sample = &self.dataset.samples[index];
        let fill = || {
            let augmentation = self.options.training.then_some((&self.options.augmentation, draw));
            self.loader.fill(index, sample, augmentation, planes)
        };
        catch_unwind(AssertUnwindSafe(fill)).unwrap_or_else(|panic| {
            Err(DataError::Panicked {
                path: sample.path.clone(),
                message: decoder_failure(&*panic),
            })
        })
    }

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

/// Why a batch is not finished.
enum Halt {
    /// Nobody wants it any more.
    Told,
    /// A picture failed.
    Failed(DataError),
}
