//! The pictures of a command.

use std::ffi::OsString;

use clap::{Args, ValueHint};

use crate::args::values::batch_size;

/// Which pictures, and how many of them make a batch.
#[derive(Debug, Args)]
pub struct PictureArgs {
    /// Pictures, folders (searched recursively), patterns such as 'photos/*.jpg', tables (.csv) with a column path as
    /// for training, or - for standard input
    #[arg(value_name = "PATH", required = true, value_hint = ValueHint::AnyPath)]
    pub paths: Vec<OsString>,
    /// Pictures in a batch
    #[arg(long, value_name = "N", default_value = "8", value_parser = batch_size)]
    pub batch_size: usize,
    /// Refuse pictures of more pixels [default: 178,956,970]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u64).range(1..))]
    pub max_pixels: Option<u64>,
}
