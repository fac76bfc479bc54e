//! What a training does, as a file: phases, optimizer, schedule, regularization.

use std::fmt::Write as _;
use std::path::Path;

use serde::{Deserialize, Serialize};

use crate::augment::Level;
use crate::error::{TrainError, toml_problem};
use crate::schedule::Schedule;

/// A training from its first step to its last.
///
/// The built-in ones ([`Recipe::built_in`]) are TOML files in the crate's `recipes/` folder: copy one, change it, and give
/// its path.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Recipe {
    /// Its name.
    pub name: String,
    /// What it is for, in a sentence.
    pub about: String,
    /// Where the network starts.
    pub start: Start,
    /// Widths of fully-connected ReLU layers between the pooling and the new last layer.
    #[serde(default)]
    pub hidden_layers: Vec<usize>,
    /// Part of the features that is zeroed before the last layer while training.
    pub dropout: f64,
    /// Part of each target that is spread over all classes (Szegedy et al. 2016, section 7).
    #[serde(default)]
    pub label_smoothing: f64,
    /// How much pictures are changed while training.
    pub augmentation: Level,
    /// What is done, in order.
    #[serde(rename = "phase")]
    pub phases: Vec<Phase>,
}

/// Where a network's weights start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Start {
    /// From trained weights, with a new last layer.
    Weights,
    /// From random numbers.
    Random,
}

/// A stretch of a training with one optimizer and one schedule.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Phase {
    /// Its name, for tables and plots.
    pub name: String,
    /// How often it sees every picture.
    pub epochs: usize,
    /// Which layers learn.
    pub trains: Trains,
    /// What the frozen backbone is shown; only for a phase that trains the head.
    #[serde(default)]
    pub inputs: Inputs,
    /// Whether batch norms use and update a batch's statistics, or keep those of the trained weights.
    pub norms: Norms,
    /// Pictures a step.
    pub batch_size: usize,
    /// Steps whose gradients are averaged into one update.
    #[serde(default = "one")]
    pub accumulate: usize,
    /// How gradients become updates.
    pub optimizer: Optimizer,
    /// The learning rate over time.
    pub schedule: Schedule,
    /// A block's learning rate as a part of the next later block's: 1 for all alike (Howard and Ruder 2018, section 3.2).
    #[serde(default = "whole")]
    pub layer_decay: f64,
    /// The longest that the gradient of all parameters together may be; a longer one is scaled down.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clip_norm: Option<f64>,
    /// Decay of the weights' exponential moving average (Polyak averaging), if one is kept.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ema: Option<f64>,
    /// Epochs without a better validation loss after which the phase ends.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub patience: Option<usize>,
}

const fn one() -> usize {
    1
}

const fn whole() -> f64 {
    1.0
}

impl Phase {
    /// Whether its steps are fed kept features, not pictures.
    pub fn uses_features(&self) -> bool {
        self.trains == Trains::Head && self.inputs == Inputs::Features
    }
}

/// Which layers learn.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Trains {
    /// The classifier alone, on the frozen backbone's pooled features.
    Head,
    /// Everything.
    All,
    /// The classifier and the blocks from this one on, by its Keras name (`block13`).
    From(String),
}

/// What the frozen backbone is shown while the head learns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Inputs {
    /// Newly augmented pictures in every epoch.
    #[default]
    Pictures,
    /// Each picture once, as for evaluation; its features are kept, so that an epoch costs almost nothing.
    Features,
}

/// What batch norms do while training.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Norms {
    /// They keep the mean and variance of the trained weights, as Keras's transfer-learning guide has it
    /// (`training=False`); their scale and shift learn.
    Inference,
    /// They use each batch's and update their running averages.
    Train,
}

/// How gradients become updates.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Optimizer {
    /// Adam with decoupled weight decay (Loshchilov and Hutter 2019).
    Adamw {
        /// Weight decay; norms and biases have none.
        weight_decay: f32,
        /// Decay of the gradient's average.
        #[serde(default = "beta_1")]
        beta_1: f32,
        /// Decay of the squared gradient's average.
        #[serde(default = "beta_2")]
        beta_2: f32,
        /// Added to the denominator.
        #[serde(default = "adam_epsilon")]
        epsilon: f32,
    },
    /// Stochastic gradient descent.
    Sgd {
        /// Momentum.
        momentum: f64,
        /// Nesterov's form of momentum.
        #[serde(default)]
        nesterov: bool,
        /// L2 penalty; norms and biases have none.
        weight_decay: f32,
    },
    /// `RMSprop` (Tieleman and Hinton 2012).
    Rmsprop {
        /// Decay of the squared gradient's average.
        alpha: f32,
        /// Momentum.
        momentum: f32,
        /// Added to the denominator.
        epsilon: f32,
        /// L2 penalty; norms and biases have none.
        weight_decay: f32,
    },
}

const fn beta_1() -> f32 {
    0.9
}

const fn beta_2() -> f32 {
    0.999
}

const fn adam_epsilon() -> f32 {
    1e-8
}

/// The recipes that ship with the crate.
const BUILT_IN: [(&str, &str); 5] = [
    ("fine-tune", include_str!("../recipes/fine-tune.toml")),
    ("linear-probe", include_str!("../recipes/linear-probe.toml")),
    ("scratch", include_str!("../recipes/scratch.toml")),
    ("paper-imagenet", include_str!("../recipes/paper-imagenet.toml")),
    ("paper-jft", include_str!("../recipes/paper-jft.toml")),
];

impl Recipe {
    /// The names of the recipes that ship with the crate, the default first.
    pub fn names() -> impl Iterator<Item = &'static str> {
        BUILT_IN.iter().map(|(name, _)| *name)
    }

    /// The TOML file of a recipe that ships with the crate, with its comments, to be copied and changed.
    pub fn built_in(name: &str) -> Option<&'static str> {
        BUILT_IN.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
    }

    /// A recipe by the name of a built-in one, or from a file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Recipe`] for an unknown name, an unreadable file or a recipe that makes no sense.
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
                    "there is no recipe of this name: there are {}; or give the path of a TOML file",
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
    /// What is wrong with it, for people.
    pub fn parse(text: &str) -> Result<Self, String> {
        let recipe: Self = toml::from_str(text).map_err(|error| toml_problem(text, &error))?;
        recipe.validate()?;
        Ok(recipe)
    }

    /// Whether every number is in its range and every phase can be run.
    ///
    /// # Errors
    ///
    /// The first that is not, for people.
    pub fn validate(&self) -> Result<(), String> {
        if self.phases.is_empty() {
            return Err("it has no [[phase]]".to_owned());
        }
        let mut wrong = String::new();
        let mut check = |fits: bool, name: &str, wanted: &str| {
            if !fits && wrong.is_empty() {
                let _ = write!(wrong, "{name} must be {wanted}");
            }
        };
        check((0.0..1.0).contains(&self.dropout), "dropout", "at least 0 and below 1");
        check(
            (0.0..1.0).contains(&self.label_smoothing),
            "label_smoothing",
            "at least 0 and below 1",
        );
        for phase in &self.phases {
            let name = |option: &str| format!("phase `{}`: {option}", phase.name);
            check(phase.epochs > 0, &name("epochs"), "at least 1");
            check(
                (1..=65_536).contains(&phase.batch_size),
                &name("batch_size"),
                "from 1 to 65536",
            );
            check(
                (1..=65_536).contains(&phase.accumulate),
                &name("accumulate"),
                "from 1 to 65536",
            );
            check(
                phase.layer_decay > 0.0 && phase.layer_decay <= 1.0,
                &name("layer_decay"),
                "above 0 and at most 1",
            );
            check(
                phase.clip_norm.is_none_or(|norm| norm > 0.0 && norm.is_finite()),
                &name("clip_norm"),
                "above 0",
            );
            check(
                phase.ema.is_none_or(|decay| (0.0..1.0).contains(&decay)),
                &name("ema"),
                "at least 0 and below 1",
            );
            check(
                phase.patience.is_none_or(|epochs| epochs > 0),
                &name("patience"),
                "at least 1",
            );
            check(
                phase.inputs == Inputs::Pictures || phase.trains == Trains::Head,
                &name("inputs"),
                "`pictures` unless the phase trains the head alone",
            );
            phase
                .schedule
                .validate()
                .map_err(|problem| format!("phase `{}`: {problem}", phase.name))?;
            if let Trains::From(block) = &phase.trains {
                let number = block.strip_prefix("block").and_then(|number| number.parse().ok());
                check(
                    number.is_some_and(|number: usize| number >= 1),
                    &name("trains.from"),
                    "a block's Keras name such as `block13`",
                );
            }
        }
        if wrong.is_empty() { Ok(()) } else { Err(wrong) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::Shape;

    #[test]
    fn the_built_in_recipes_are_sound() {
        for name in Recipe::names() {
            let recipe = Recipe::load(name).unwrap_or_else(|error| panic!("{error}"));
            assert_eq!(recipe.name, name);
            let again = toml::to_string(&recipe).expect("a recipe is TOML");
            assert_eq!(Recipe::parse(&again), Ok(recipe));
        }
    }

    /// Chollet 2017, sections 4.3 and 4.4.
    #[test]
    fn the_paper_s_numbers() {
        let of = |name: &str| Recipe::load(name).expect("it is sound");
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
    fn a_recipe_that_makes_no_sense_is_refused_by_name() {
        let text = Recipe::built_in("fine-tune").expect("it exists");
        let mut recipe = Recipe::parse(text).expect("it is sound");
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
        assert!(error.starts_with("line 13: ") && error.lines().count() == 1, "{error}");
        let error = Recipe::load("fine-tuen").unwrap_err().to_string();
        assert!(error.contains("fine-tune, linear-probe"), "{error}");
    }
}
