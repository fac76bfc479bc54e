use super::cache::Cache;
use crate::augment::Augmentation;

/// How a [`Pipeline`](super::Pipeline) makes batches. The last two fields change no number in a batch.
#[derive(Debug, Clone)]
pub struct PipelineOptions {
    /// How pictures are augmented.
    pub augmentation: Augmentation,
    /// Whether pictures are augmented as for training, and shuffled in every epoch. Otherwise they are prepared as for
    /// evaluation, and keep their order.
    pub training: bool,
    /// Pictures per batch.
    pub batch_size: usize,
    /// The seed of all random numbers.
    pub seed: u64,
    /// In training, whether every class gets the same number of pictures. Pictures of rare classes then come several
    /// times, and pictures of frequent classes not in every epoch. An epoch keeps its length.
    pub balanced: bool,
    /// The number of threads that prepare pictures; 0 is taken as 1.
    pub workers: usize,
    /// Where decoded pictures are kept between epochs.
    pub cache: Cache,
}
