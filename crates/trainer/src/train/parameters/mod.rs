//! The parameters of a phase: which of them learn, their learning rates, weight decay and gradients.

mod freeze;
mod gradients;
mod learning_rates;
mod one_pass;
mod optimizer;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use freeze::prepare;
pub(crate) use gradients::{clip, scale};
pub(crate) use learning_rates::learning_rates;
pub(crate) use optimizer::optimizer;
