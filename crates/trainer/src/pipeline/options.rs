//! How batches are made.

use super::Cache;
use crate::augment::Augmentation;

/// What a caller can say about a [`Pipeline`](super::Pipeline). The last two fields change no number in a batch.
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// What happens to the pictures.
    pub augmentation: Augmentation,
    /// Whether it is the augmentation's training part that happens, and the order is another one in every epoch; else the
    /// pictures come in their order, all alike.
    pub training: bool,
    /// Pictures a batch.
    pub batch_size: usize,
    /// Where all random numbers come from.
    pub seed: u64,
    /// In training, show every class as often: pictures of rare classes several times, of frequent ones not in every
    /// epoch. An epoch keeps its length.
    pub balanced: bool,
    /// How many pictures are prepared at a time; 0 is taken as 1.
    pub workers: usize,
    /// Where decoded pictures are kept for the next epoch.
    pub cache: Cache,
}
