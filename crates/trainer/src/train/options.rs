use std::path::PathBuf;

use xception_model::picture::Preset;

use super::recipe::Recipe;
use crate::augment::Augmentation;
use crate::data::DataOptions;

/// The choices for a new run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A folder with one folder per class, or a CSV file.
    pub data: PathBuf,
    /// The options for opening the data.
    pub data_options: DataOptions,
    /// The run's folder. It must be new or empty, and not lie in the data.
    pub folder: PathBuf,
    /// The recipe.
    pub recipe: Recipe,
    /// How pictures are augmented; `None` for the recipe's level.
    pub augmentation: Option<Augmentation>,
    /// Height and width of the network's input; `None` for those of the starting network.
    pub size: Option<usize>,
    /// How pictures are resized to the network's input.
    pub preset: Preset,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Whether rare classes have a larger weight in the loss.
    pub class_weights: bool,
    /// Whether classes are drawn equally often.
    pub balanced: bool,
}

impl RunOptions {
    /// A run of `recipe` on `data` in `folder` with default options.
    pub fn new(data: impl Into<PathBuf>, folder: impl Into<PathBuf>, recipe: Recipe) -> Self {
        Self {
            data: data.into(),
            data_options: DataOptions::default(),
            folder: folder.into(),
            recipe,
            augmentation: None,
            size: None,
            preset: Preset::PilBilinear,
            seed: 42,
            class_weights: false,
            balanced: false,
        }
    }
}
