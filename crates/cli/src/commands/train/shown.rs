//! Recipes and augmentations as files, to be copied and changed.

use std::io::Write;

use anyhow::bail;
use trainer::Recipe;
use trainer::augment::{Augmentation, AugmentationLevel};

use crate::args::RecipeArgs;
use crate::exit::ExitStatus;
use crate::io::output::Output;

/// Height and width in a printed augmentation without `--size`: those of Keras's Xception.
const DEFAULT_INPUT: usize = 299;

/// `--show-recipe`.
pub fn recipe(name: &str) -> anyhow::Result<ExitStatus> {
    let Some(text) = Recipe::built_in(name) else {
        let names: Vec<_> = Recipe::names().collect();
        bail!("there is no recipe {name}: there are {}", names.join(", "));
    };
    print(text)
}

/// `--show-augmentation`.
pub fn augmentation(level: AugmentationLevel, recipe: &RecipeArgs) -> anyhow::Result<ExitStatus> {
    let size = recipe.size.map_or(DEFAULT_INPUT, usize::from);
    print(&Augmentation::named(level, size, recipe.preset).to_toml())
}

fn print(text: &str) -> anyhow::Result<ExitStatus> {
    let mut output = Output::stdout();
    output.write_all(text.as_bytes())?;
    output.finish()?;
    Ok(ExitStatus::Complete)
}
