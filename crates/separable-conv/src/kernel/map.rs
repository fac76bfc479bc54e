//! Feature maps in memory: channels last.

use super::buffer::{padded, volume};

/// The size of a feature map, and how far its pixels are apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Values from a pixel to the next: the channels, and zeros up to a whole cache line.
    pub step: usize,
}

impl Map {
    /// # Panics
    ///
    /// When no memory can hold it.
    pub(crate) fn new(height: usize, width: usize, channels: usize) -> Self {
        let channels = volume(&[channels]);
        Self::with_step(height, width, channels, padded(channels))
    }

    /// Without padding between pixels.
    ///
    /// # Panics
    ///
    /// When no memory can hold it.
    pub(crate) fn dense(height: usize, width: usize, channels: usize) -> Self {
        Self::with_step(height, width, channels, channels)
    }

    fn with_step(height: usize, width: usize, channels: usize, step: usize) -> Self {
        volume(&[height, width, step]);
        Self {
            height,
            width,
            channels,
            step,
        }
    }

    pub(crate) const fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Values of a row.
    pub(crate) const fn row(&self) -> usize {
        self.width * self.step
    }

    /// Values of a picture.
    pub(crate) const fn len(&self) -> usize {
        self.height * self.row()
    }
}

/// Rows of a picture in memory: all of them, or the last few in a ring.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Rows {
    start: *const f32,
    len: usize,
    kept: usize,
}

impl Rows {
    /// All rows of a picture of `map`.
    pub(crate) const fn all(start: *const f32, map: &Map) -> Self {
        Self::ring(start, map, map.height)
    }

    /// The last `kept` rows of one: row `y` lies where row `y - kept` lay.
    pub(crate) const fn ring(start: *const f32, map: &Map, kept: usize) -> Self {
        Self {
            start,
            len: map.row(),
            kept,
        }
    }

    /// Where row `y` is.
    #[inline(always)]
    pub(crate) const fn at(self, y: usize) -> *const f32 {
        self.start.wrapping_add(y % self.kept * self.len)
    }
}
