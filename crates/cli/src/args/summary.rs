//! `xception summary`.

use std::ffi::OsString;

use clap::{Args, ValueHint};

use crate::args::architecture::{ArchitectureName, architecture};
use crate::args::cache::CacheArgs;
use crate::args::format::ListFormat;
use crate::args::known::KnownArgs;
use crate::args::size::Size;
use crate::args::values::count;

/// Show a network's layers, parameters and multiply-adds
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception summary
  xception summary --size 150x150 --classes 6
  xception summary --architecture resnet50
  xception summary --weights my_model.keras --format json")]
pub struct SummaryArgs {
    /// The network in these weights: a name, a Burn record, a Keras file or a card
    #[arg(
        short,
        long,
        value_name = "W",
        conflicts_with_all = ["classes", "architecture"],
        value_hint = ValueHint::AnyPath
    )]
    pub weights: Option<OsString>,
    /// The network without weights
    #[arg(long, value_parser = architecture(), default_value = ArchitectureName::DEFAULT)]
    pub architecture: ArchitectureName,
    /// Classes of the classifier
    #[arg(long, value_name = "N", default_value = "1000", value_parser = count)]
    pub classes: usize,
    /// Height and width of a picture [default: the weights' own, else the architecture's]
    #[arg(long, value_name = "HxW")]
    pub size: Option<Size>,
    /// Format of the table
    #[arg(long, value_enum, default_value_t = ListFormat::Text)]
    pub format: ListFormat,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten)]
    pub cache: CacheArgs,
}
