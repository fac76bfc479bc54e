//! Networks for pictures.

use std::ffi::OsString;

use clap::Args;

use crate::args::cache::CacheArgs;
use crate::args::compute::{ComputeArgs, PlainArgs};
use crate::args::input::InputArgs;
use crate::args::known::KnownArgs;
use crate::args::source::SourceArgs;
use crate::args::values::WEIGHTS;

/// Which network, with which input, computed where.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
}

/// The same for one network or several, which share the input and the device.
#[derive(Debug, Args)]
pub struct SeveralWeightsArgs {
    /// A name that `xception models` lists, a Burn record (.bpk), a Keras file (.keras, .h5), a run's folder, or a
    /// card. Several times for a table that compares networks
    #[arg(
        short,
        long,
        value_name = "W",
        default_value = "xception-imagenet",
        value_parser = WEIGHTS,
        hide_possible_values = true
    )]
    pub weights: Vec<OsString>,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub input: InputArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub plain: PlainArgs,
}

impl SeveralWeightsArgs {
    /// The networks, in the order in which they were named.
    pub fn each(&self) -> impl Iterator<Item = WeightsArgs> {
        self.weights.iter().map(|weights| WeightsArgs {
            source: SourceArgs {
                weights: weights.clone(),
                known: self.known.clone(),
                cache: self.cache.clone(),
            },
            input: self.input.clone(),
            compute: self.compute.clone(),
            plain: self.plain.clone(),
        })
    }
}
