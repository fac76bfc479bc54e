//! Recipes: TOML files with the phases, optimizers, schedules and regularization of a training.

mod built_in;
mod check;
mod optimizer;
mod phase;

use std::path::Path;

use serde::{Deserialize, Serialize};

pub use optimizer::Optimizer;
pub use phase::{Inputs, Norms, Phase, Trains};

use super::error::TrainError;
use crate::augment::AugmentationLevel;
use crate::toml_problem::toml_problem;
use built_in::BUILT_IN;

/// The settings of a training, from its first step to its last.
///
/// The built-in recipes ([`Recipe::built_in`]) are TOML files in the crate's `recipes/` folder. Copy one, change it,
/// and pass its path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// The recipe's name.
    pub name: String,
    /// The recipe's purpose, in a sentence.
    pub about: String,
    /// The starting weights.
    pub start: Start,
    /// How many last layers of an Xception backbone are left out, at most 2. These layers are specific to the classes
    /// that the backbone was trained on ([`xception_model::Architecture::without_last_layers`]). Other backbones keep
    /// all layers.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub leave_out: usize,
    /// Widths of fully-connected ReLU layers between the pooling and the new last layer.
    #[serde(default)]
    pub hidden_layers: Vec<usize>,
    /// The share of the features that is zeroed before the last layer in training.
    pub dropout: f64,
    /// The share of each target that is spread over all classes (Szegedy et al. 2016, section 7).
    #[serde(default)]
    pub label_smoothing: f64,
    /// How much pictures are augmented in training.
    pub augmentation: AugmentationLevel,
    /// The phases, in order.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde passes references")]
const fn is_zero(count: &usize) -> bool {
    *count == 0
}

/// The starting weights of a training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// From trained weights, with a new last layer.
    Weights,
    /// From random numbers.
    Random,
}

impl Recipe {
    /// The names of the recipes that ship with the crate, the default first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The TOML file of a recipe that ships with the crate, with its comments: a template for your own.
    pub fn built_in(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// Loads a built-in recipe by name, or a file by path.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] for an unknown name, an unreadable file or an invalid recipe.
    pub fn load(name_or_path: &str) -> Result<Self, TrainError> {
        let wrong = |problem: String| TrainError::Recipe {
            recipe: name_or_path.to_owned(),
            problem,
        };
        let text = match Self::built_in(name_or_path) {
            Some(text) => text.to_owned(),
            None if Path::new(name_or_path)
                .extension()
                .is_some_and(|ending| ending == "toml") =>
            {
                std::fs::read_to_string(name_or_path).map_err(|error| wrong(error.to_string()))?
            }
            None => {
                let names: Vec<_> = Self::names().collect();
                return Err(wrong(format!(
                    "there is no recipe of this name; the built-in recipes are {}; or give the path of a TOML file",
                    names.join(", ")
                )));
            }
        };
        Self::parse(&text).map_err(wrong)
    }

    /// Reads and checks a recipe.
    ///
    /// # Errors
    ///
    /// A sentence about the first problem.
    pub fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = toml::from_str(text).map_err(|error| toml_problem(text, &error))?;
        recipe.validate()?;
        Ok(recipe)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::schedule::{Schedule, Shape};

    #[test]
    fn the_built_in_recipes_are_valid() {
        for name in Recipe::names() {
            let recipe = Recipe::load(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(recipe.name, name);
            let again = toml::to_string(&recipe).expect("a recipe is TOML");
            assert_eq!(Recipe::parse(&again), Ok(recipe));
        }
    }

    /// Chollet 2017, sections 4.3 and 4.4.
    #[test]
    fn the_recipes_have_the_numbers_of_the_paper() {
        let of = |name: &str| Recipe::load(name).expect("it is valid");
        let imagenet = of("paper-imagenet");
        let [phase] = imagenet.phases.as_slice() else {
            panic!("one phase")
        };
        assert_eq!(
            phase.optimizer,
            Optimizer::Sgd {
                momentum: 0.9,
                nesterov: false,
                weight_decay: 1e-5
            }
        );
        let stairs = |rate, factor, epochs, samples| Schedule {
            rate,
            warm_up: 0.0,
            shape: Shape::Step {
                factor,
                epochs,
                samples,
            },
        };
        assert_eq!(phase.schedule, stairs(0.045, 0.94, Some(2.0), None));
        assert_eq!((imagenet.start, imagenet.dropout), (Start::Random, 0.5));
        assert!(phase.ema.is_some());

        let jft = of("paper-jft");
        let [phase] = jft.phases.as_slice() else {
            panic!("one phase")
        };
        let Optimizer::Rmsprop {
            momentum, weight_decay, ..
        } = phase.optimizer
        else {
            panic!("{:?}", phase.optimizer)
        };
        assert_eq!((momentum, weight_decay), (0.9, 1e-5));
        assert_eq!(phase.schedule, stairs(0.001, 0.9, None, Some(3_000_000)));
        assert_eq!((jft.start, jft.dropout), (Start::Random, 0.0));
        assert!(phase.ema.is_some());
        for recipe in [&imagenet, &jft] {
            let phase = &recipe.phases[0];
            assert_eq!((&phase.trains, phase.norms), (&Trains::All, Norms::Train));
            assert_eq!((phase.clip_norm, recipe.label_smoothing), (None, 0.0));
        }
    }

    #[test]
    fn an_invalid_recipe_is_refused_by_the_name_of_the_option() {
        let text = Recipe::built_in("fine-tune").expect("it exists");
        let mut recipe = Recipe::parse(text).expect("it is valid");
        recipe.phases[0].epochs = 0;
        assert_eq!(
            recipe.validate(),
            Err("phase `head`: epochs must be at least 1".to_owned())
        );
        recipe.phases.clear();
        assert_eq!(recipe.validate(), Err("it has no [[phase]]".to_owned()));
        assert!(
            Recipe::parse(&text.replacen("epochs", "epoch", 1))
                .unwrap_err()
                .contains("epoch")
        );
        let error = Recipe::parse(&text.replacen("epochs = 40", "epochs = \"many\"", 1)).unwrap_err();
        assert!(error.starts_with("line 15: ") && error.lines().count() == 1, "{error}");
        let error = Recipe::load("fine-tuen").unwrap_err().to_string();
        assert!(error.contains("fine-tune, fine-tune-all, linear-probe"), "{error}");
    }
}
