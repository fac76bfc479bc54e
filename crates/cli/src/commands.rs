//! The commands: one file for each.

mod bench;
mod classify;
mod completions;
mod convert;
mod devices;
mod embed;
mod evaluate;
mod explain;
mod models;
mod run;
#[cfg(feature = "remote")]
mod serve;
mod summary;
mod train;

use crate::args::Command;
use crate::compute::device::DeviceName;
use crate::compute::failure;
use crate::exit::ExitStatus;

/// Does what the command line asks for.
pub fn execute(command: Command) -> anyhow::Result<ExitStatus> {
    match command {
        Command::Classify(args) => on(&[&args.weights.inference.compute.device], || classify::classify(&args)),
        Command::Embed(args) => on(&[&args.weights.inference.compute.device], || embed::embed(&args)),
        Command::Run(args) => on(&[&args.compute.device], || run::run(&args)),
        Command::Convert(args) => convert::convert(args),
        Command::Verify(args) => convert::verify(args),
        Command::Inspect(args) => convert::inspect(args),
        Command::Summary(args) => summary::summary(&args),
        Command::Train(args) => on(&args.devices(), || train::train(&args)),
        Command::Evaluate(args) => on(&[&args.weights.inference.compute.device], || evaluate::evaluate(&args)),
        Command::Explain(args) => on(&[&args.weights.inference.compute.device], || explain::explain(&args)),
        Command::Bench(args) => on(&[&args.device], || bench::bench(&args)),
        #[cfg(feature = "remote")]
        Command::Serve(args) => serve::serve(&args),
        Command::Devices(args) => devices::devices(&args),
        Command::Models(args) => models::models(&args),
        Command::Completions(args) => completions::completions(&args),
    }
}

/// Runs a command that computes on `devices`.
fn on(devices: &[&DeviceName], command: impl FnOnce() -> anyhow::Result<ExitStatus>) -> anyhow::Result<ExitStatus> {
    failure::as_error(devices, "`xception devices` lists what works here", command)
}
