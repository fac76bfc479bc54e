//! Changes to the recipe.

use clap::Args;
use xception_model::picture::Preset;

use crate::args::size::square;
use crate::args::values::{AUGMENTATIONS, preset, rate};

/// Replaces parts of the recipe, and settles what the recipe leaves open.
#[derive(Debug, Args)]
#[command(next_help_heading = "More options")]
pub struct RecipeArgs {
    /// Height and width of the network's input, such as 299 or 299x299 [default: the weights' own]
    #[arg(long, value_name = "N", value_parser = square)]
    pub size: Option<u16>,
    /// How pictures are resized for evaluation and later use
    #[arg(long, default_value_t = Preset::PilBilinear, value_parser = preset())]
    pub preset: Preset,
    /// How much pictures are changed: none, light, medium, strong, or a TOML file [default: the recipe's]
    #[arg(long, value_name = "NAME|FILE", value_parser = AUGMENTATIONS.text(), hide_possible_values = true)]
    pub augmentation: Option<String>,
    /// Pictures per step, in every phase that trains on pictures [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch_size: Option<u32>,
    /// Learning rate of the recipe's last phase [default: the recipe's]
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = rate)]
    pub learning_rate: Option<f64>,
    /// Seed of every random number: the split, the order, the augmentation, the new layers
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// Give rare classes more weight in the loss
    #[arg(long)]
    pub class_weights: bool,
    /// Show every class equally often
    #[arg(long)]
    pub balanced: bool,
}
