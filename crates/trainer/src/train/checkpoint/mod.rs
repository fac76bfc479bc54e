//! Checkpoints: the files that a run needs to continue to the same numbers as an uninterrupted run.
//!
//! Burn's own checkpointers write at the end of an epoch, each record at once under its final name and without a
//! checksum. After a kill or a full disk, a partly written record looks like a checkpoint. The checkpoint that Burn
//! removed for it may have been the last whole one.

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
    /// The checksums of the other files. A folder without this file is an unfinished checkpoint.
    pub const MANIFEST: &str = "checksums.toml";
}
