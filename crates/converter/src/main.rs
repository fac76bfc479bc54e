//! `converter`: any Xception weight file to a Burn record and back, with proof.

use std::process::ExitCode;

use converter::command::Cli;

fn main() -> ExitCode {
    Cli::from_arguments().run()
}
