//! `converter`: converts any weight file of a trained network to a Burn record and back, with proof.

use std::process::ExitCode;

use converter::command::Cli;

fn main() -> ExitCode {
    Cli::from_arguments().run()
}
