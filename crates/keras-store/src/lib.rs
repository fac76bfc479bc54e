#![doc = include_str!("../README.md")]

mod archive;
mod compare;
mod config;
mod contents;
mod error;
mod hdf5;
mod keras3;
mod layer;
mod layout;
mod legacy;
mod names;
mod store;
mod window;

pub use error::{DTypeMismatch, KerasStoreError, Mismatch, NameMismatch, ShapeMismatch, ValueMismatch};
pub use layer::{KerasFormat, KerasLayer, KerasVariable};
pub use store::KerasStore;
