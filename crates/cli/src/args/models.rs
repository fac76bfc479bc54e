//! `xception models`.

use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::args::format::ListFormat;

/// List the weights that have a name, and which of them are on this machine
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception models
  xception models --format json --cache /srv/weights")]
pub struct ModelsArgs {
    /// Format of the list
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    /// Folder that keeps weights [default: `$XCEPTION_CACHE`, else `xception` in the user's cache folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
}
