//! Every layer against the definition in f64, over random shapes, with every instruction set that the machine has.

#[path = "../common/mod.rs"]
mod common;
mod errors;
mod layers;
mod numbers;
mod runs;
