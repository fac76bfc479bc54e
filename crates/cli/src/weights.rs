//! From the value of `--weights` to a network that is ready.

pub mod card;
pub mod check;
pub mod class_labels;
pub mod classifier;
pub mod file;
mod location;
pub mod network;
