//! `xception serve`.

use std::net::SocketAddr;

use clap::Args;

use crate::args::compute::ComputeArgs;

/// Lend this machine's device to training runs on another machine
///
/// Serves Burn's remote backend over WebSocket until Ctrl-C. There is neither encryption nor a password, and anyone who
/// reaches the port computes here: open the port to a network that you trust, or to this machine alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Both machines need the same version of xception, built with --features remote.

Examples:
  xception serve --listen 0.0.0.0:3000                            On each machine that computes
  xception serve --listen 0.0.0.0:3001 --device cuda:1            A second device of the same machine
  xception train flowers/ --devices ws://one:3000,ws://two:3000   On the machine that has the pictures")]
pub struct ServeArgs {
    /// Where to listen; 0.0.0.0 stands for all of the machine's networks
    #[arg(long, value_name = "ADDRESS:PORT", default_value = "127.0.0.1:3000")]
    pub listen: SocketAddr,
    #[command(flatten)]
    pub compute: ComputeArgs,
}
