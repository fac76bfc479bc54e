//! `xception serve`.

use std::net::TcpListener;

use anyhow::Context;
use burn::server::{RemoteServer, WebSocketTransport};

use crate::args::ServeArgs;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::message;

pub fn serve(args: &ServeArgs) -> anyhow::Result<ExitStatus> {
    threads::start(args.compute.threads)?;
    let device = args.compute.device.open()?;
    let listener = TcpListener::bind(args.listen).with_context(|| format!("cannot listen on {}", args.listen))?;
    let address = listener.local_addr()?;
    message::print(
        "serving",
        &format!("{} at ws://{address}; Ctrl-C ends it", args.compute.device),
    );
    RemoteServer::new([device]).serve(WebSocketTransport::from_listener(listener))?;
    Ok(ExitStatus::Complete)
}
