//! Instruction sets, and the vectors that every kernel is written in.

pub(crate) mod isa;
pub(crate) mod lanes;
pub(crate) mod peak;
