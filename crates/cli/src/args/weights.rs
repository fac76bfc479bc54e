//! A network for pictures.

use clap::Args;

use crate::args::compute::{ComputeArgs, PlainArgs};
use crate::args::input::InputArgs;
use crate::args::source::SourceArgs;

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
