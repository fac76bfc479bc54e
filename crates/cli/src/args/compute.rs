//! Where and how the network runs.

use clap::Args;

use crate::compute::device::DeviceName;

/// Where the network runs.
#[derive(Clone, Debug, Args)]
pub struct ComputeArgs {
    /// Where the network runs; `xception devices` lists the choices
    #[arg(short, long, value_name = "NAME", default_value_t = DeviceName::default())]
    pub device: DeviceName,
    /// Processor threads, for decoding and for the network [default: all cores]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=1024))]
    pub threads: Option<u16>,
}

/// Which implementation of the network runs, for commands that need no output of an inner layer.
#[derive(Clone, Debug, Args)]
pub struct PlainArgs {
    /// Compute layer by layer with Burn's own operations instead of the fused network
    #[arg(long)]
    pub plain: bool,
}
