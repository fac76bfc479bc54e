//! `xception serve`.

use std::net::{SocketAddr, TcpListener};

use anyhow::Context;
use burn::server::{RemoteServer, WebSocketTransport};
use clap::Args;

use crate::args::ComputeArgs;
use crate::output::{self, Outcome};
use crate::weights;

/// Lend this machine's device to trainings on another
///
/// Serves Burn's remote backend over WebSocket until Ctrl-C. What is sent is neither encrypted nor guarded, and whoever
/// reaches the port computes here: open it to a network that you trust, or to this machine alone.
#[derive(Debug, Args)]
#[command(after_help = "\
Both sides need the same version of xception, built with --features remote.

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

pub fn serve(args: &ServeArgs) -> anyhow::Result<Outcome> {
    weights::start_threads(&args.compute)?;
    let device = args.compute.device.open()?;
    let listener = TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    output::complain(
        "serving",
        &format!("{} at ws://{address}; Ctrl-C ends it", args.compute.device),
    );
    RemoteServer::new([device]).serve(WebSocketTransport::from_listener(listener))?;
    Ok(Outcome::Complete)
}
