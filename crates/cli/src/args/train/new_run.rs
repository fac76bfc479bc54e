//! A run that begins.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ValueHint};

use crate::args::values::{RECIPES, WEIGHTS};

/// The data, the recipe, the starting weights and the folder of a new run.
#[derive(Debug, Args)]
pub struct NewRunArgs {
    /// One folder per class, or a CSV of path, label or labels and, if wanted, split
    #[arg(
        value_name = "DATA",
        required_unless_present_any = ["resume", "show_recipe", "show_augmentation"],
        value_hint = ValueHint::AnyPath
    )]
    pub data: Option<PathBuf>,
    /// How to train: fine-tune, fine-tune-all, linear-probe, scratch, paper-imagenet, paper-jft, or a TOML file
    #[arg(
        short,
        long,
        value_name = "NAME|FILE",
        default_value = "fine-tune",
        value_parser = RECIPES.text(),
        hide_possible_values = true
    )]
    pub recipe: String,
    /// Epochs of the recipe's last phase [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// What to start from: a name that `xception models` lists, a Burn record (.bpk), a Keras file (.keras, .h5), a
    /// run's folder, or a card
    #[arg(
        short,
        long,
        value_name = "W",
        default_value = "xception-imagenet",
        value_parser = WEIGHTS,
        hide_possible_values = true
    )]
    pub weights: OsString,
    /// The run's folder [default: runs/ and the name of DATA]
    #[arg(short = 'o', long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
}
