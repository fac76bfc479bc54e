//! From the value of `--weights` to a network that is ready.

pub mod check;
pub mod classifier;
pub mod file;
pub mod network;
