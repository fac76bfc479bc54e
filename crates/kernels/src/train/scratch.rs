//! Memory that products need for themselves.

use crate::memory::heap::Block;

/// Memory of the heap for one call: the next call, or a map, uses it again.
pub(super) struct Scratch(Block);

impl Scratch {
    /// `len` values of any content.
    pub(super) fn take(len: usize) -> Self {
        Self(Block::values(len))
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        self.0.as_mut_slice()
    }
}
