//! `xception`: classify, embed and inspect pictures with Xception, one binary without Python.
//!
//! - `args`: the command line. Imports no command.
//! - `commands`: one file for each command.
//! - `io`: files, standard output and standard error.
//! - `interrupt`: Ctrl-C.
//! - `weights`, `pictures`, `compute`: used by several commands.

mod args;
mod commands;
mod compute;
mod exit;
mod interrupt;
mod io;
mod log;
mod pictures;
mod version;
mod weights;

use std::process::ExitCode;

use clap::Parser;

use args::Cli;
use io::message;

fn main() -> ExitCode {
    let cli = Cli::parse();
    log::start(cli.verbose);
    match interrupt::listen().and_then(|()| commands::execute(cli.command)) {
        Ok(status) => status.into(),
        // `xception ... | head`: the reader has all it wanted.
        Err(error) if message::is_closed_pipe(&error) => ExitCode::SUCCESS,
        Err(error) => {
            message::print("error", &message::sentence(&error));
            ExitCode::FAILURE
        }
    }
}
