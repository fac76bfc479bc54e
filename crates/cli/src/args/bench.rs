//! `xception bench`.

use std::ffi::OsString;

use clap::{Args, ValueHint};
use trainer::StepKind;

use crate::args::architecture::{ArchitectureName, architecture};
use crate::args::cache::CacheArgs;
use crate::args::format::ListFormat;
use crate::args::size::Size;
use crate::args::values::{batch_size, step_kind};
use crate::compute::device::DeviceName;

/// Measure how fast this machine puts pictures through a network
#[derive(Debug, Args)]
#[command(after_help = "\
The limit is the rate at which the processor multiplies and adds in registers alone, measured in the same run. Other
programs that run at the same time make the network look slower: a warning says how much of the processor they took, and
how many runs took far longer than the others.

Examples:
  xception bench                                     One thread and all cores, batches of 1 and 8 pictures
  xception bench --plain --threads 2 --batch-size 1  Against Burn's own operations
  xception bench --scaling --format json             Against batch size, threads and the pictures' size
  xception bench --train --plain --threads 2         Training steps, against Burn's own operations
  xception bench --architecture resnet50
  xception bench --weights my_model.bpk --device wgpu")]
pub struct BenchArgs {
    /// The network in these weights: a name, a Burn record, a Keras file or a card [default: random weights]
    #[arg(short, long, value_name = "W", conflicts_with = "architecture", value_hint = ValueHint::AnyPath)]
    pub weights: Option<OsString>,
    /// The network with random weights
    #[arg(long, value_parser = architecture(), default_value = ArchitectureName::DEFAULT)]
    pub architecture: ArchitectureName,
    /// Height and width of a picture [default: the weights' own, else the architecture's]
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// Pictures in a batch: a number or a list [default: 1,8; with --train 8]
    #[arg(long, value_name = "N,...", value_delimiter = ',', value_parser = batch_size)]
    pub batch_size: Vec<usize>,
    /// Processor threads: a number or a list [default: 1 and all cores]
    #[arg(
        short,
        long,
        value_name = "N,...",
        value_delimiter = ',',
        value_parser = clap::value_parser!(u16).range(1..=1024)
    )]
    pub threads: Vec<u16>,
    /// How many times each case is measured, after a warm-up [default: 10; with --train 3]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=10_000))]
    pub runs: Option<u16>,
    /// Measure the network on Burn's own operations, layer by layer, as well
    #[arg(long)]
    pub plain: bool,
    /// Measure training steps instead: of all weights, of all weights with frozen batch-norm statistics, and of the
    /// head
    #[arg(long, conflicts_with = "scaling")]
    pub train: bool,
    /// The training steps that are measured: a name or a list
    #[arg(
        long,
        value_name = "NAME,...",
        value_delimiter = ',',
        value_parser = step_kind(),
        default_value = "full,frozen-statistics,head",
        requires = "train"
    )]
    pub trains: Vec<StepKind>,
    /// Measure batches of 1 to 32 pictures, 1 to all threads, and pictures of 150x150 to 600x600
    #[arg(long, conflicts_with_all = ["batch_size", "threads", "size"])]
    pub scaling: bool,
    /// Where the network runs; `xception devices` lists the choices
    #[arg(short, long, value_name = "NAME", default_value_t = DeviceName::default())]
    pub device: DeviceName,
    /// Format of the figures
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    #[command(flatten)]
    pub cache: CacheArgs,
}

impl BenchArgs {
    /// The batch sizes that are measured.
    pub fn batch_sizes(&self) -> &[usize] {
        match self.batch_size.as_slice() {
            [] if self.train => &[8],
            [] => &[1, 8],
            given => given,
        }
    }

    /// How many times each case is measured.
    pub fn runs(&self) -> u16 {
        self.runs.unwrap_or(if self.train { 3 } else { 10 })
    }
}
