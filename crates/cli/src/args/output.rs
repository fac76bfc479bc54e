//! The file for results.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Where results go.
#[derive(Debug, Args)]
pub struct OutputArgs {
    /// File for the results instead of standard output; written completely or not at all
    #[arg(short = 'o', long = "output", value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub path: Option<PathBuf>,
    /// Replace the output file if it exists
    #[arg(long)]
    pub force: bool,
}
