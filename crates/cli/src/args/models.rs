//! `xception models`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::args::format::ListFormat;
use crate::args::values::WEIGHTS;

/// List the weights that have a name, and which of them are on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception models
  xception models xception41p-timm-ra3
  xception models --format json --cache /srv/weights")]
pub struct ModelsArgs {
    /// Weights to describe in full: input, accuracy, licence, files [default: one line for each of all]
    #[arg(value_name = "NAME", value_parser = WEIGHTS.text(), hide_possible_values = true)]
    pub names: Vec<String>,
    /// Format of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    /// Folder that keeps weights [default: `$XCEPTION_CACHE`, else `xception` in the user's cache folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
}
