//! Memory that products need for themselves, kept from call to call.

use std::sync::{Mutex, PoisonError};

use crate::memory::buffer::Buffer;

/// Buffers that are kept at most. A product needs three, so that a few callers at a time find theirs.
const KEPT: usize = 12;

static BUFFERS: Mutex<Vec<Buffer>> = Mutex::new(Vec::new());

/// A buffer that is handed back when it is dropped.
pub(super) struct Scratch {
    /// Some until it is dropped.
    buffer: Option<Buffer>,
    len: usize,
}

impl Scratch {
    /// `len` values of any content: the smallest kept buffer that holds them and is not four times too large, or a new
    /// one.
    pub(super) fn take(len: usize) -> Self {
        let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
        let best = buffers
            .iter()
            .enumerate()
            .filter(|(_, buffer)| (len..=len.saturating_mul(4)).contains(&buffer.len()))
            .min_by_key(|(_, buffer)| buffer.len())
            .map(|(index, _)| index);
        let kept = best.map(|index| buffers.remove(index));
        drop(buffers);
        Self {
            buffer: Some(kept.unwrap_or_else(|| Buffer::zeros(len))),
            len,
        }
    }

    pub(super) fn as_mut_slice(&mut self) -> &mut [f32] {
        let buffer = self.buffer.as_mut().map_or(&mut [][..], Buffer::as_mut_slice);
        &mut buffer[..self.len]
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        let mut buffers = BUFFERS.lock().unwrap_or_else(PoisonError::into_inner);
        buffers.extend(self.buffer.take());
        if buffers.len() > KEPT {
            // The buffer that has not been used for the longest time.
            buffers.remove(0);
        }
    }
}
