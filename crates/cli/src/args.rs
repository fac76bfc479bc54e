//! The command line, as `clap` reads it: one file for each noun. Nothing here imports a command.

mod architecture;
mod bench;
mod cache;
mod classify;
mod completions;
mod compute;
mod convert;
mod devices;
mod embed;
mod evaluate;
mod explain;
mod format;
mod input;
mod known;
mod labels;
mod layout;
mod models;
mod output;
mod pictures;
mod reading;
mod run;
#[cfg(feature = "remote")]
mod serve;
mod size;
mod summary;
mod train;
pub mod values;
mod weights;
mod weights_file;

use std::fmt::Display;

use clap::error::ErrorKind;
use clap::{CommandFactory, Parser, Subcommand};

pub use self::bench::BenchArgs;
pub use self::cache::CacheArgs;
pub use self::classify::ClassifyArgs;
pub use self::completions::CompletionsArgs;
pub use self::compute::{ComputeArgs, PlainArgs};
pub use self::convert::{ConvertArgs, InspectArgs, VerifyArgs};
pub use self::devices::DevicesArgs;
pub use self::embed::EmbedArgs;
pub use self::evaluate::EvaluateArgs;
pub use self::explain::ExplainArgs;
pub use self::format::{EmbeddingFormat, FigureFormat, ListFormat, PredictionFormat};
pub use self::labels::LabelsArgs;
pub use self::models::ModelsArgs;
pub use self::pictures::PictureArgs;
pub use self::run::{Layout, RunArgs};
#[cfg(feature = "remote")]
pub use self::serve::ServeArgs;
pub use self::size::Size;
pub use self::summary::SummaryArgs;
pub use self::train::{PictureCache, RecipeArgs, TrainArgs};
pub use self::weights::WeightsArgs;
pub use self::weights_file::WeightsFileArgs;
use crate::version;

/// Classify, embed and inspect pictures with Xception (Chollet 2017), exact to Keras.
#[derive(Debug, Parser)]
#[command(name = "xception", version, long_version = version::long())]
#[command(after_help = "\
Examples:
  xception classify photo.jpg                      What is in the picture?
  xception classify photos/ --format csv           A folder, as a spreadsheet
  xception embed photos/ --output photos.npy       Feature vectors for a search or a classifier
  xception models                                  Which weights there are

Exit status: 0 all done; 1 something failed, and standard error says what; 2 the command line is wrong; 130 stopped by
Ctrl-C.")]
pub struct Cli {
    /// Log to standard error: -v what is done and how long it took, -vv everything
    #[arg(short, long, global = true, display_order = 900, action = clap::ArgAction::Count)]
    pub verbose: u8,
    #[command(subcommand)]
    pub command: Command,
}

#[derive(Debug, Subcommand)]
pub enum Command {
    Classify(ClassifyArgs),
    Embed(EmbedArgs),
    Run(RunArgs),
    Convert(ConvertArgs),
    Verify(VerifyArgs),
    Inspect(InspectArgs),
    Summary(SummaryArgs),
    Train(TrainArgs),
    Evaluate(EvaluateArgs),
    Explain(ExplainArgs),
    Bench(BenchArgs),
    #[cfg(feature = "remote")]
    Serve(ServeArgs),
    Devices(DevicesArgs),
    Models(ModelsArgs),
    Completions(CompletionsArgs),
}

/// Ends the program as clap does, for arguments that are each valid but do not go together.
pub fn wrong_usage(message: impl Display) -> ! {
    Cli::command().error(ErrorKind::ArgumentConflict, message).exit()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }
}
