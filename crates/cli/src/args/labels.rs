//! The names of the classes.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// Replaces the labels that the weights carry.
#[derive(Debug, Args)]
pub struct LabelsArgs {
    /// Names of the classes in the order of the outputs: a text of one per line, or a CSV or JSON file of names and
    /// numbers [default: the weights' own]
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    pub labels: Option<PathBuf>,
}
