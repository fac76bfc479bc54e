//! The folder that keeps weights.

use std::path::PathBuf;

use clap::{Args, ValueHint};

/// How named weights are downloaded and kept.
#[derive(Clone, Debug, Args)]
pub struct CacheArgs {
    /// Download nothing
    #[arg(long)]
    pub offline: bool,
    /// Folder that keeps weights [default: `$XCEPTION_CACHE`, else `xception` in the user's cache folder]
    #[arg(long, value_name = "DIR", value_hint = ValueHint::DirPath)]
    pub cache: Option<PathBuf>,
}
