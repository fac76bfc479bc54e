//! Memory that starts on a cache line.

use core::slice;
use std::sync::Arc;

use memmap2::MmapMut;

use crate::error::volume;

/// Values in a cache line; channel counts are padded to it.
pub(crate) const LINE: usize = 16;

/// Bytes of a large page. With pages of 4 KiB, the processor looks up several pages for every panel of weights, and two
/// buffers share sets of the second-level cache by chance.
const LARGE_PAGE: usize = 2 << 20;

/// Bytes of large pages that are mapped at once. Untouched pages cost no memory.
const PAGES: usize = 8 * LARGE_PAGE;

/// Memory that starts on a cache line.
pub(crate) struct Buffer {
    memory: Memory,
    start: usize,
    len: usize,
}

enum Memory {
    Own(Vec<f32>),
    /// A part of shared pages that belongs to this buffer alone.
    Part(Arc<Pages>),
}

impl Buffer {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        // The system returns zeros without touching them: a page costs memory when it is first written.
        let values = vec![0.0_f32; len + LINE];
        let start = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self {
            memory: Memory::Own(values),
            start,
            len,
        }
    }

    /// Number of bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.len * size_of::<f32>()
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        match &self.memory {
            Memory::Own(values) => &values[self.start..self.start + self.len],
            // SAFETY: the part lies within the pages, which are initialised, and belongs to this buffer alone.
            Memory::Part(pages) => unsafe { slice::from_raw_parts(pages.values.add(self.start), self.len) },
        }
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        match &mut self.memory {
            Memory::Own(values) => &mut values[self.start..self.start + self.len],
            // SAFETY: as above.
            Memory::Part(pages) => unsafe { slice::from_raw_parts_mut(pages.values.add(self.start), self.len) },
        }
    }
}

/// Memory from the system, in large pages where it has them.
struct Pages {
    /// The first value on a large page.
    values: *mut f32,
    /// Number of values from there to the end.
    len: usize,
    /// Owns the memory.
    _map: MmapMut,
}

impl Pages {
    /// Room for `len` zeros; `None` if the system has no room.
    fn new(len: usize) -> Option<Self> {
        // Miri does not support such memory maps.
        if cfg!(miri) {
            return None;
        }
        let bytes = (volume(&[len]).ok()? * size_of::<f32>()).next_multiple_of(LARGE_PAGE);
        let mut map = MmapMut::map_anon(bytes + LARGE_PAGE).ok()?;
        // Advice only: a failure changes no result.
        #[cfg(target_os = "linux")]
        let _ = map.advise(memmap2::Advice::HugePage);
        let start = map.as_ptr().align_offset(LARGE_PAGE);
        let values = map.get_mut(start..start + bytes)?.as_mut_ptr().cast();
        Some(Self {
            values,
            len: bytes / size_of::<f32>(),
            _map: map,
        })
    }
}

// SAFETY: the pages are plain memory, and no two buffers share a part.
unsafe impl Send for Pages {}
// SAFETY: as above.
unsafe impl Sync for Pages {}

/// Cuts buffers from large pages, one after the other.
#[derive(Default)]
pub(crate) struct Arena {
    pages: Option<Arc<Pages>>,
    used: usize,
}

impl Arena {
    /// `len` zeros.
    pub(crate) fn zeros(&mut self, len: usize) -> Buffer {
        if self.pages.as_ref().is_none_or(|pages| pages.len - self.used < len) {
            self.pages = Pages::new(len.max(PAGES / size_of::<f32>())).map(Arc::new);
            self.used = 0;
        }
        let Some(pages) = &self.pages else {
            return Buffer::zeros(len);
        };
        let start = self.used;
        self.used = (start + padded(len)).min(pages.len);
        Buffer {
            memory: Memory::Part(Arc::clone(pages)),
            start,
            len,
        }
    }
}

/// `channels` rounded up to whole cache lines.
pub(crate) const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LINE)
}

/// Memory that several threads write to, each thread to its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

impl Shared {
    /// Memory that outlives the run.
    pub(crate) fn new(memory: &mut [f32]) -> Self {
        Self(memory.as_mut_ptr())
    }

    /// Memory that is only read.
    pub(crate) fn reading(memory: &[f32]) -> Self {
        Self(memory.as_ptr().cast_mut())
    }

    /// The first value.
    pub(crate) fn address(self) -> *mut f32 {
        self.0
    }
}

// SAFETY: the value is only an address; `Op::run` says who may use the address. `work_through` returns when no thread
// uses the address any more, also after a panic: a rayon scope waits for everything that was spawned in it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buffers_of_an_arena_are_zeros_of_their_own_that_outlive_it() {
        let mut arena = Arena::default();
        let most = if cfg!(miri) { 1000 } else { PAGES / size_of::<f32>() };
        let lens = [1, 17, most - 1, 3, 0, 2 * most, LINE];
        let mut buffers = lens.map(|len| arena.zeros(len));
        drop(arena);
        for (number, (buffer, len)) in buffers.iter_mut().zip(lens).enumerate() {
            assert_eq!((buffer.as_slice().len(), buffer.bytes()), (len, 4 * len));
            assert_eq!(buffer.as_slice().as_ptr().addr() % (LINE * size_of::<f32>()), 0);
            assert!(buffer.as_slice().iter().all(|value| value.to_bits() == 0));
            buffer.as_mut_slice().fill(number as f32 + 1.0);
        }
        for (number, buffer) in buffers.iter().enumerate() {
            let value = number as f32 + 1.0;
            assert!(buffer.as_slice().iter().all(|held| held.to_bits() == value.to_bits()));
        }
    }
}
