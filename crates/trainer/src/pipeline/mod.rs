//! Batches of pictures, prepared before the network needs them.
//!
//! [`Pipeline`] makes the batches of a split, for training and validation. Several threads decode and augment the
//! pictures of a batch, at most a few batches ahead. The content of a batch follows only from the seed, the epoch and
//! the batch's number. The number of threads, the cache and the batch at which a resumed run starts change nothing.
//! (Burn's threaded loader returns batches in the order in which its threads finish, and always starts at the first
//! batch of an epoch.)
//!
//! [`PictureStream`] makes batches of any list of pictures, for prediction and everything that uses predictions.
//!
//! ```no_run
//! use std::sync::Arc;
//! use trainer::{
//!     augment::{Augmentation, AugmentationLevel},
//!     data::{DataOptions, Dataset, Split},
//!     pipeline::{Cache, Pipeline, PipelineOptions},
//! };
//! use xception_model::picture::Preset;
//!
//! let (dataset, _) = Dataset::open("flowers", &DataOptions::default())?;
//! let options = PipelineOptions {
//!     augmentation: Augmentation::named(AugmentationLevel::Light, 150, Preset::PilBilinear),
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
mod batch;
mod batch_maker;
mod cache;
mod cache_entry;
mod epoch;
mod loader;
mod options;
mod prepared;
mod shrink;
mod split_pipeline;
mod stream;

pub use batch::Batch;
pub use cache::{Cache, CacheStats};
pub use epoch::Epoch;
pub use options::PipelineOptions;
pub use split_pipeline::Pipeline;
pub use stream::{PictureStream, Steps, Streamed};
