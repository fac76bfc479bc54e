//! Pictures on their way to a network.

pub mod batches;
pub mod find;
pub mod source;
pub mod view;
