//! Cards: everything about a set of trained weights, in one TOML file.
//!
//! People write `card.toml`; `convert` and `train` write `model.bpk.card.toml` beside `model.bpk`. [`Card::load`] reads
//! both.

mod check;
mod contents;
mod older;
mod read;

pub use contents::{Card, Conversion, Labels, Metrics, TemperatureScaling, Training};
