//! Every option of `XceptionConfig`, and what a network offers.
//!
//! `golden.rs` and `training.rs` compare what the options compute with Keras.

mod changes;
#[path = "../common/mod.rs"]
mod common;
mod errors;
mod networks;
mod records;
mod stages;
mod summary;
mod training;
