//! The names of the classes.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Replaces the labels that the weights carry.
#[derive(Debug, Args)]
pub struct LabelsArgs {
    /// Names of the classes, one per line, in the order of the outputs [default: the weights' own]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,
}
