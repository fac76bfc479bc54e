//! How good a network is: its predictions for pictures whose classes are known, and the figures about them.

pub mod evaluate;
pub mod metrics;
pub(crate) mod projection;
