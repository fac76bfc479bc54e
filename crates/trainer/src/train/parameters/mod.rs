//! The parameters of a phase: which of them learn, how fast, with how much weight decay, and their gradients.

mod freeze;
mod gradients;
mod learning_rates;
mod optimizer;
#[cfg(test)]
pub(super) mod testing;

pub(crate) use freeze::prepare;
pub(crate) use gradients::{clip, scale};
pub(crate) use learning_rates::learning_rates;
pub(crate) use optimizer::optimizer;
