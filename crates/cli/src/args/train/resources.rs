//! Time, memory, disk and devices of a run. Each resumption may choose others.

use clap::{Args, ValueEnum};

use crate::compute::device::DeviceName;

/// Time, memory, disk and devices of a run. No predicted class depends on them.
#[derive(Debug, Args)]
#[command(next_help_heading = "More options")]
#[expect(clippy::struct_excessive_bools, reason = "each is a flag")]
pub struct ResourceArgs {
    /// The run's whole time, without the time in which the run was stopped: when it is used up, the best weights are
    /// judged and the run ends. The run can be resumed with more
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    pub time_budget: Option<f64>,
    /// Where decoded pictures are kept between epochs
    #[arg(long, value_enum, default_value_t = PictureCache::None)]
    pub picture_cache: PictureCache,
    /// The longest time without a checkpoint
    #[arg(long, value_name = "MINUTES", default_value = "10", allow_negative_numbers = true)]
    pub checkpoint_minutes: f64,
    /// How many checkpoints are kept while the run is trained
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,
    /// Keep the checkpoints, the features and the last weights of a finished run
    #[arg(long)]
    pub keep_checkpoints: bool,
    /// Store a temperature in the weights, chosen so that confidences fit the validation pictures; works for a finished
    /// run, too
    #[arg(long)]
    pub calibrate: bool,
    /// Show Burn's dashboard instead of a bar
    #[arg(long)]
    pub dashboard: bool,
    /// Compute activations again for the backward pass instead of keeping them, where Burn can: less memory, more time
    #[arg(long)]
    pub gradient_checkpointing: bool,
    /// Several devices of one kind, each with a batch of its own; their gradients are averaged
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', conflicts_with = "device")]
    pub devices: Vec<DeviceName>,
}

/// Where decoded pictures are kept between epochs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PictureCache {
    /// Nowhere: each picture is decoded in every epoch
    None,
    /// In memory, up to 2 GB
    Memory,
    /// In the run's folder
    Disk,
}
