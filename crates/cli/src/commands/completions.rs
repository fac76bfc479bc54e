//! `xception completions`.

use std::io::Write;

use clap::CommandFactory;

use crate::args::{Cli, CompletionsArgs};
use crate::exit::ExitStatus;
use crate::io::output::Output;

pub fn completions(args: &CompletionsArgs) -> anyhow::Result<ExitStatus> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "xception", &mut script);
    let mut output = Output::stdout();
    output.write_all(&script)?;
    output.finish()?;
    Ok(ExitStatus::Complete)
}
