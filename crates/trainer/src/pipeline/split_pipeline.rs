use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rayon::{ThreadPool, ThreadPoolBuilder};

use super::batch_maker::BatchMaker;
use super::cache::CacheStats;
use super::epoch::Epoch;
use super::loader::Loader;
use super::options::PipelineOptions;
use super::prepared::Preparation;
use crate::data::{DataError, Dataset, Split};

/// Makes the batches of a split, epoch by epoch.
pub struct Pipeline {
    maker: Arc<BatchMaker>,
    pool: Arc<ThreadPool>,
    /// The nanoseconds that the callers of all epochs waited.
    waited: Arc<AtomicU64>,
}

impl Pipeline {
    /// A pipeline for a split, or for all pictures if the split is `None`.
    ///
    /// # Errors
    ///
    /// The augmentation is out of range, there are no pictures to train on, the batch size is 0, or threads or a cache
    /// folder cannot be created.
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
        let preparation = Preparation::of(&options.augmentation, options.training);
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
            maker: Arc::new(BatchMaker {
                loader: Loader::new(
                    preparation,
                    options.augmentation.scaling,
                    dataset.decode_options(),
                    &options.cache,
                )?,
                dataset,
                indices,
                size,
                options,
            }),
            pool: Arc::new(pool),
            waited: Arc::default(),
        })
    }

    /// The number of pictures of an epoch.
    pub fn len(&self) -> usize {
        self.maker.indices.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.maker.indices.is_empty()
    }

    /// The number of pictures per batch. The last batch may have fewer.
    pub fn batch_size(&self) -> usize {
        self.maker.options.batch_size
    }

    /// The number of batches of an epoch.
    pub fn batches(&self) -> usize {
        self.maker.batches()
    }

    /// The batches of an epoch without the first `skip_batches`, which a resumed run has trained on already.
    ///
    /// Preparation starts at once and stops when the [`Epoch`] is dropped.
    pub fn epoch(&self, epoch: usize, skip_batches: usize) -> Epoch {
        Epoch::start(&self.maker, &self.pool, &self.waited, [epoch, skip_batches])
    }

    /// The time that the callers of all epochs have waited for batches.
    pub fn waited(&self) -> Duration {
        Duration::from_nanos(self.waited.load(Ordering::Relaxed))
    }

    /// The counts of the cache so far.
    pub fn cache_stats(&self) -> CacheStats {
        self.maker.loader.cache_stats()
    }
}
