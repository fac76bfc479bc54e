//! The operations of a network in their order, as a plan needs them.

use crate::memory::map::Map;
use crate::ops::AnyOp;
use crate::simd::isa::Isa;

/// A map that steps read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum MapId {
    /// A picture of the caller.
    Picture(usize),
    /// The output of a step.
    Value(usize),
}

/// An operation and its inputs.
pub(crate) struct Step {
    pub op: AnyOp,
    pub inputs: Vec<MapId>,
}

/// The operations of a network, and the instruction set that they run with.
pub(crate) struct Operations {
    /// Step `n` computes value `n`.
    pub steps: Vec<Step>,
    pub isa: Isa,
}

impl Operations {
    /// Bytes of packed weights.
    pub(crate) fn bytes(&self) -> usize {
        self.steps.iter().map(|step| step.op.bytes()).sum()
    }
}

impl MapId {
    pub(crate) fn map(self, pictures: &[Map], maps: &[Map]) -> Map {
        match self {
            Self::Picture(picture) => pictures[picture],
            Self::Value(value) => maps[value],
        }
    }
}
