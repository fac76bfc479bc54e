//! A weight set's card: everything about a set of trained weights, in one TOML file.
//!
//! People write `card.toml`; `convert` and `train` write `model.bpk.card.toml` beside `model.bpk`. All are read by
//! [`Card::load`].

mod check;
mod contents;
mod older;
mod read;

pub use contents::{Card, Conversion, Labels, Metrics, Training};
