//! Evaluates networks: their predictions for pictures with known classes, and the figures about the predictions.

pub mod evaluate;
pub mod metrics;
pub(crate) mod projection;
