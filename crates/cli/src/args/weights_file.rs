//! `--weights`, and what it needs to become a network.

use std::ffi::OsString;

use clap::Args;

use crate::args::cache::CacheArgs;
use crate::args::known::KnownArgs;
use crate::args::values::WEIGHTS;

/// Where the weights come from.
#[derive(Debug, Args)]
pub struct WeightsFileArgs {
    /// A name that `xception models` lists, a Burn record (.bpk), a Keras file (.keras, .h5), a run's folder, or a card
    #[arg(
        short,
        long,
        value_name = "W",
        default_value = WeightsFileArgs::DEFAULT,
        value_parser = WEIGHTS,
        hide_possible_values = true
    )]
    pub weights: OsString,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}

impl WeightsFileArgs {
    /// The weights without `--weights`.
    pub const DEFAULT: &str = "xception-imagenet";
}
