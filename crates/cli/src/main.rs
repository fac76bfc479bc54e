//! `xception`: classify, embed and inspect pictures with Xception, one binary without Python.

mod args;
mod bench;
mod classify;
mod convert;
mod csv;
mod device;
mod embed;
mod evaluate;
mod explain;
mod imagenet;
mod inputs;
mod log;
mod models;
mod npy;
mod output;
mod pictures;
mod progress;
mod report;
mod rows;
mod run;
#[cfg(feature = "remote")]
mod serve;
mod summary;
mod train;
mod truths;
mod version;
mod weights;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};
use device::DeviceName;
use output::Outcome;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.verbose);
    match execute(cli.command) {
        Ok(Outcome::Complete) => ExitCode::SUCCESS,
        Ok(Outcome::Incomplete) => ExitCode::FAILURE,
        // As a shell has it for whoever a signal ends.
        Ok(Outcome::Interrupted { signal }) => ExitCode::from(128 | signal),
        // `xception ... | head`: whoever closed the pipe has all they wanted.
        Err(error) if output::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            output::complain("error", &output::sentence(&error));
            ExitCode::FAILURE
        }
    }
}

fn execute(command: Command) -> anyhow::Result<Outcome> {
    let on_all = |devices: &[&DeviceName], work: &dyn Fn() -> anyhow::Result<Outcome>| {
        device::on(devices, "`xception devices` lists what works here", work)
    };
    let on = |device: &DeviceName, work: &dyn Fn() -> anyhow::Result<Outcome>| on_all(&[device], work);
    match command {
        Command::Classify(args) => on(&args.weights.compute.device, &|| classify::classify(&args)),
        Command::Embed(args) => on(&args.weights.compute.device, &|| embed::embed(&args)),
        Command::Run(args) => on(&args.compute.device, &|| run::run(&args)),
        Command::Convert(args) => convert::convert(args),
        Command::Verify(args) => convert::verify(&args),
        Command::Inspect(args) => convert::inspect(&args),
        Command::Summary(args) => summary::summary(&args),
        Command::Train(args) => on_all(&args.devices(), &|| train::train(&args)),
        Command::Evaluate(args) => on(&args.weights.compute.device, &|| evaluate::evaluate(&args)),
        Command::Explain(args) => on(&args.weights.compute.device, &|| explain::explain(&args)),
        Command::Bench(args) => on(&args.device, &|| bench::bench(&args)),
        #[cfg(feature = "remote")]
        Command::Serve(args) => serve::serve(&args),
        Command::Devices(args) => device::print(&args),
        Command::Models(args) => models::print(&args),
        Command::Completions(args) => args::print_completions(&args),
    }
}
