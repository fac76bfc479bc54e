//! Checkpoints: everything that a run needs to continue to the same numbers as if it had not been stopped.
//!
//! Burn's own checkpointers write at the end of an epoch, each record at once under its final name and without a
//! checksum. What a kill or a full disk leaves of it looks like a checkpoint, and the pruned checkpoint may have been
//! the last whole one.

mod checksum;
mod position;
mod progress;
mod read;
mod store;
mod write;

pub use progress::{Best, Progress};
pub(crate) use read::Loaded;
pub(crate) use store::Checkpoints;
pub(crate) use write::State;

/// The names of a checkpoint's files.
mod names {
    pub const PROGRESS: &str = "progress.toml";
    pub const MODEL: &str = "model.bpk";
    pub const EMA: &str = "ema.bpk";
    pub const BEST: &str = "best.bpk";
    pub const OPTIMIZER: &str = "optimizer.bpk";
    /// The checksums of the other files. A folder without it was never finished.
    pub const MANIFEST: &str = "checksums.toml";
}
