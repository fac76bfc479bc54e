//! Scratch memory of products.

use crate::memory::heap::Block;

/// Memory of the heap for one call. The next call, or a map, reuses the memory.
pub(super) struct Scratch(Block);

impl Scratch {
    /// Takes `len` values of arbitrary content.
    pub(super) fn take(len: usize) -> Self {
        Self(Block::values(len))
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        self.0.as_mut_slice()
    }
}
