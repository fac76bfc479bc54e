//! Fine-tune, train, evaluate and explain Xception on your own pictures.
//!
//! A [`Recipe`] says what is done, a [`Run`] does it in a folder of its own, and goes on there after a stop as if it had
//! not been stopped. `examples/train_folder.rs` is a whole program.
//!
//! Burn draws its random numbers from one generator a process: a run repeats its numbers as long as nothing else in the
//! process draws any.

mod card;
mod checkpoint;
mod ema;
mod engine;
mod error;
mod feed;
mod finder;
mod layers;
mod learner;
mod quiet;
mod random;
mod recipe;
mod run;
mod schedule;
mod steps;
mod workers;

pub mod augment;
pub mod data;
pub mod evaluate;
pub mod explain;
pub mod metrics;
pub mod pipeline;
pub mod plots;
pub mod preview;
pub mod report;

pub use card::CARD;
pub use checkpoint::{Best, Progress};
pub use engine::{Event, Observer};
pub use error::TrainError;
pub use finder::{FinderOptions, Found};
pub use learner::{NetworkInput, Objective, StepInput, StepOutput, Trainee};
pub use pipeline::ahead;
pub use recipe::{Inputs, Norms, Optimizer, Phase, Recipe, Start, Trains};
pub use run::{
    BURN, EMA_MODEL, Environment, LAST_MODEL, MODEL, Outcome, RUN_FILE, Run, RunFile, RunOptions, RunSettings,
};
pub use schedule::{Length, Schedule, Shape};
