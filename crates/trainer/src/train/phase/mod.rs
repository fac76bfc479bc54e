//! One phase of a run: its epochs, steps, validation and checkpoints.

mod burn_training;
mod context;
mod epoch;
mod epoch_end;
mod phase_run;
mod processor;
mod save;
mod score;
mod step;
mod validation;
mod weights;

pub(crate) use burn_training::run;
pub(crate) use context::{Context, End};
pub(crate) use phase_run::PhaseRun;
pub(crate) use weights::Weights;
