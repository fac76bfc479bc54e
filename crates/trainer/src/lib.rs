//! Fine-tune, train, evaluate and explain Xception on your own pictures.
//!
//! A [`Recipe`] describes a training. A [`Run`] follows it in a folder of its own, and a run that was stopped continues
//! to the same numbers. `examples/train_folder.rs` is a whole program.
//!
//! Pictures pass through these modules, in this order:
//!
//! * [`data`]: a folder or a table becomes checked pictures with labels and a split.
//! * [`augment`]: how a picture is changed for training, and resized for evaluation.
//! * [`pipeline`]: pictures become batches, prepared ahead of the network.
//! * [`train`]: batches become weights.
//! * [`judge`]: weights and pictures become figures.
//! * [`explain`], [`plots`], [`report`]: the figures and the pictures behind them, to look at.
//!
//! Burn has one random generator per process: a run repeats its numbers only if nothing else in the process draws from
//! it.

mod random;
mod shortened;
mod tensor;
mod toml_problem;

pub mod augment;
pub mod data;
pub mod explain;
pub mod judge;
pub mod pipeline;
pub mod plots;
pub mod report;
pub mod train;

pub use judge::{evaluate, metrics};
pub use pipeline::ahead;
pub use plots::preview;
pub use train::{
    Activity, ActivityTime, BURN, Best, CARD, EMA_MODEL, Environment, Estimate, Event, FinderOptions, FoundRate,
    Inputs, LAST_MODEL, Length, MODEL, NetworkInput, Norms, Objective, Observer, Optimizer, Outcome, PICTURES, Phase,
    PhaseEstimate, Progress, RUN_FILE, Recipe, Run, RunData, RunFile, RunOptions, RunPictures, RunSettings, Schedule,
    Shape, Start, StepInput, StepKind, StepOutput, StepTimer, TrainError, Trainee, Trains,
};
