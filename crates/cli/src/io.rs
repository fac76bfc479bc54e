//! Files, standard output and standard error.

pub mod csv;
pub mod embeddings;
pub mod json;
pub mod message;
pub mod npy;
pub mod output;
pub mod pages;
pub mod path;
pub mod predictions;
pub mod progress;
mod spool;
pub mod target;
pub mod wrap;
