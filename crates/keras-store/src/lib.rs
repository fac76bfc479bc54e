#![doc = include_str!("../README.md")]

mod archive;
mod compare;
mod config;
mod contents;
mod error;
mod hdf5;
mod json;
mod keras3;
mod kind;
mod layer;
mod layout;
mod legacy;
mod names;
mod naming;
mod store;
mod window;
mod write;

pub use error::{DTypeMismatch, Direction, KerasStoreError, Mismatch, NameMismatch, ShapeMismatch, ValueMismatch};
pub use kind::KerasFileKind;
pub use layer::{KerasFormat, KerasLayer, KerasVariable};
pub use store::KerasStore;
