//! Networks for pictures.

use std::ffi::OsString;

use clap::Args;

use crate::args::cache::CacheArgs;
use crate::args::compute::{ComputeArgs, PlainArgs};
use crate::args::input::InputArgs;
use crate::args::known::KnownArgs;
use crate::args::values::WEIGHTS;
use crate::args::weights_file::WeightsFileArgs;

/// Which network, with which input, computed where.
#[derive(Debug, Args)]
pub struct WeightsArgs {
    #[command(flatten)]
    pub file: WeightsFileArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// One network or several, which share everything but their weights.
#[derive(Debug, Args)]
pub struct SeveralWeightsArgs {
    /// A name that `xception models` lists, a Burn record (.bpk), a Keras file (.keras, .h5), a run's folder, or a
    /// card. Several times for a table that compares networks
    #[arg(
        short,
        long,
        value_name = "W",
        default_value = WeightsFileArgs::DEFAULT,
        value_parser = WEIGHTS,
        hide_possible_values = true
    )]
    pub weights: Vec<OsString>,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
    #[command(flatten)]
    pub inference: InferenceArgs,
}

/// The input of a network, and where and how it computes.
#[derive(Clone, Debug, Args)]
pub struct InferenceArgs {
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
            file: WeightsFileArgs {
                weights: weights.clone(),
                known: self.known.clone(),
                cache: self.cache.clone(),
            },
            inference: self.inference.clone(),
        })
    }
}
