//! Flags that do something else than training.

use std::path::PathBuf;

use clap::{Args, ValueHint};
use trainer::augment::AugmentationLevel;

use crate::args::values::RECIPES;

/// Flags that do something else than training.
#[derive(Debug, Args)]
#[command(next_help_heading = "More options")]
pub struct InsteadArgs {
    /// Only write a sheet of augmented pictures, and end
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub preview: Option<PathBuf>,
    /// Only look for a learning rate for the last phase, after the phases before it: write its curve, print a
    /// suggestion, and end
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub find_rate: Option<PathBuf>,
    /// Print a recipe's file, to be copied and changed, and end
    #[arg(long, value_name = "NAME", value_parser = RECIPES.text(), hide_possible_values = true)]
    pub show_recipe: Option<String>,
    /// Print an augmentation's file, to be copied and changed, and end
    #[arg(long, value_name = "NAME", conflicts_with = "show_recipe")]
    pub show_augmentation: Option<AugmentationLevel>,
}
