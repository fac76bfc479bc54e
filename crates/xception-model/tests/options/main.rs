//! Every option of `XceptionConfig`, and what a network offers.
//!
//! `golden.rs` and `training.rs` compare what the options compute with Keras.

#[path = "../common/mod.rs"]
mod common;
mod changes;
mod errors;
mod networks;
mod records;
mod stages;
mod summary;
mod training;
