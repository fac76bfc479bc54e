//! Memory that starts on a cache line.

/// Values in a cache line; channel counts are padded to it.
pub(crate) const LINE: usize = 16;

/// Memory that starts on a cache line.
pub(crate) struct Buffer {
    values: Vec<f32>,
    start: usize,
    len: usize,
}

impl Buffer {
    /// `len` zeros.
    pub(crate) fn zeros(len: usize) -> Self {
        // Zeros come untouched from the system: they cost memory when they are first written.
        let values = vec![0.0_f32; len + LINE];
        let start = values.as_ptr().align_offset(LINE * size_of::<f32>()).min(LINE);
        Self { values, start, len }
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        size_of_val(self.values.as_slice())
    }

    pub(crate) fn as_slice(&self) -> &[f32] {
        &self.values[self.start..self.start + self.len]
    }

    pub(crate) fn as_mut_slice(&mut self) -> &mut [f32] {
        &mut self.values[self.start..self.start + self.len]
    }
}

/// `channels` rounded up to whole cache lines.
pub(crate) const fn padded(channels: usize) -> usize {
    channels.next_multiple_of(LINE)
}

/// The product of the sides of something that is to lie in memory.
///
/// # Panics
///
/// When no memory can hold as many `f32`: raw pointers rely on products of sizes that don't wrap.
pub(crate) fn volume(sides: &[usize]) -> usize {
    sides
        .iter()
        .try_fold(1_usize, |volume, &side| volume.checked_mul(side))
        .filter(|&volume| volume < isize::MAX as usize / size_of::<f32>())
        .unwrap_or_else(|| panic!("{sides:?} values are more than any memory holds"))
}

/// Memory that several threads write to, each to its own part.
#[derive(Clone, Copy)]
pub(crate) struct Shared(*mut f32);

impl Shared {
    /// Memory that outlives the run.
    pub(crate) fn new(memory: &mut [f32]) -> Self {
        Self(memory.as_mut_ptr())
    }

    /// Where it is.
    pub(crate) fn address(self) -> *mut f32 {
        self.0
    }
}

// SAFETY: it is only an address; `Layer::run` says who may use it. `work_through` returns when no thread works on it any more,
// also after a panic: a rayon scope waits for all that was spawned in it.
unsafe impl Send for Shared {}
// SAFETY: as above.
unsafe impl Sync for Shared {}
