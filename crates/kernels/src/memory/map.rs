//! Feature maps in memory: channels last.

use super::buffer::padded;
use crate::error::{Error, volume};

/// The size of a feature map, and the distance between its pixels.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Map {
    pub height: usize,
    pub width: usize,
    pub channels: usize,
    /// Distance between pixels, in values: the channels, then zeros up to a whole cache line.
    pub step: usize,
}

impl Map {
    /// Pixels padded to whole cache lines.
    pub(crate) fn new(height: usize, width: usize, channels: usize) -> Result<Self, Error> {
        let channels = volume(&[channels])?;
        Self::with_step(height, width, channels, padded(channels))
    }

    /// Pixels side by side.
    pub(crate) fn dense(height: usize, width: usize, channels: usize) -> Result<Self, Error> {
        Self::with_step(height, width, channels, channels)
    }

    fn with_step(height: usize, width: usize, channels: usize, step: usize) -> Result<Self, Error> {
        volume(&[height, width, step])?;
        Ok(Self {
            height,
            width,
            channels,
            step,
        })
    }

    /// Height and width.
    pub(crate) const fn size(&self) -> [usize; 2] {
        [self.height, self.width]
    }

    pub(crate) const fn pixels(&self) -> usize {
        self.height * self.width
    }

    /// Number of values of a row.
    pub(crate) const fn row(&self) -> usize {
        self.width * self.step
    }

    /// Number of values of a picture.
    pub(crate) const fn len(&self) -> usize {
        self.height * self.row()
    }
}

/// Rows of a picture in memory: all rows, or a ring of the last few.
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

    /// A ring of the last `kept` rows: row `y` overwrites row `y - kept`.
    pub(crate) const fn ring(start: *const f32, map: &Map, kept: usize) -> Self {
        Self {
            start,
            len: map.row(),
            kept,
        }
    }

    /// The address of row `y`.
    #[inline(always)]
    pub(crate) const fn at(self, y: usize) -> *const f32 {
        self.start.wrapping_add(y % self.kept * self.len)
    }
}
