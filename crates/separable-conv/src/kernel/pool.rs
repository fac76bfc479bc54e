//! Pooling: over 3 x 3 windows, and over the whole picture.

use core::ops::Range;
use core::ptr;

use super::buffer::LINE;
use super::isa::Kernel;
use super::lanes::{Lanes, fetch};
use super::map::{Map, Rows};

/// Pixels that are fetched ahead.
const AHEAD: usize = 8;

/// A 3 x 3 max pooling.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool {
    /// Step in both directions.
    pub stride: usize,
    /// Distance between the taps.
    pub dilation: usize,
    /// Whether `dilation` pixels are padded on every side (PyTorch), or as many as `ceil(size / stride)` outputs need,
    /// the odd one at the end (Keras's `same`).
    pub symmetric: bool,
}

impl MaxPool {
    /// Outputs along a side of `size`, and the padding before it.
    pub(crate) fn side(&self, size: usize) -> (usize, usize) {
        let dilation = self.dilation_within(size);
        if self.symmetric {
            ((size - 1) / self.stride + 1, dilation)
        } else {
            let reach = 2 * dilation + 1;
            let outputs = size.div_ceil(self.stride);
            let needed = (outputs - 1) * self.stride + reach;
            (outputs, needed.saturating_sub(size) / 2)
        }
    }

    /// The dilation, or one that looks past a side of `size` as well as any larger.
    fn dilation_within(&self, size: usize) -> usize {
        self.dilation.min(size)
    }

    /// The size of the output.
    pub(crate) fn output(&self, map: &Map) -> Map {
        Map {
            height: self.side(map.height).0,
            width: self.side(map.width).0,
            ..*map
        }
    }

    /// The inputs along a side that output `index` looks at.
    fn taps(&self, index: usize, size: usize) -> impl Iterator<Item = usize> + Clone {
        let (_, before) = self.side(size);
        let (start, dilation) = (index * self.stride, self.dilation_within(size));
        (0..3)
            .filter_map(move |tap| (start + tap * dilation).checked_sub(before))
            .filter(move |&place| place < size)
    }

    /// The rows of a picture of `height` that row `y` of the output looks at.
    pub(crate) fn rows(&self, y: usize, height: usize) -> Range<usize> {
        let mut taps = self.taps(y, height);
        let first = taps.next().unwrap_or(0);
        first..taps.last().unwrap_or(first) + 1
    }
}

/// Row `y` of a max pooling's output.
///
/// Whoever runs it vouches that `input` has readable rows of `map` where the pooling looks, that `output` is a writable row,
/// and that nobody writes to either meanwhile.
pub(crate) struct PoolRow<'a> {
    pub pool: &'a MaxPool,
    pub input: Rows,
    pub map: &'a Map,
    pub y: usize,
    pub output: *mut f32,
}

impl Kernel for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { pool, map, output, .. } = self;
        let rows = pool.taps(self.y, map.height);
        for x in 0..pool.side(map.width).0 {
            let mut pixels = [ptr::null::<f32>(); 9];
            let mut count = 0;
            for column in pool.taps(x, map.width) {
                for row in rows.clone() {
                    pixels[count] = self.input.at(row).wrapping_add(column * map.step);
                    count += 1;
                }
            }
            let output = output.wrapping_add(x * map.step);
            // SAFETY: `taps` gives rows and columns of the picture, and the output has a pixel for each x.
            unsafe {
                match count {
                    9 => largest::<V>(&pixels, map, output),
                    _ => largest::<V>(&pixels[..count], map, output),
                }
            }
        }
    }
}

/// The largest of some pixels, channel by channel.
///
/// # Safety
///
/// All of them must be readable and the output writable, each as wide as a pixel of `map`.
#[inline(always)]
unsafe fn largest<V: Lanes>(pixels: &[*const f32], map: &Map, output: *mut f32) {
    for lane in (0..map.step).step_by(V::WIDTH) {
        if lane.is_multiple_of(LINE) {
            // The last column is the next one's first.
            for pixel in &pixels[..pixels.len().min(6)] {
                fetch(pixel.wrapping_add(AHEAD * map.step + lane));
            }
        }
        let mut largest = V::splat(f32::NEG_INFINITY);
        for pixel in pixels {
            // SAFETY: the caller's promise is the same; a vector of channels ends within the pixel's padding.
            largest = largest.largest(unsafe { V::load(pixel.add(lane)) });
        }
        // SAFETY: the same.
        unsafe { largest.store(output.add(lane)) };
    }
}

/// What becomes of all pixels of a picture.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GlobalPool {
    /// Their mean.
    Average,
    /// Their largest value.
    Max,
}

/// Channels `lanes` (whole cache lines) of all pixels of a picture, made one value each.
///
/// Whoever runs it vouches that `input` is a readable picture of `map`, that `output` is a writable pixel, and that nobody
/// writes to either meanwhile.
pub(crate) struct PoolAll<'a> {
    pub pool: GlobalPool,
    pub input: *const f32,
    pub map: &'a Map,
    pub lanes: Range<usize>,
    pub output: *mut f32,
}

impl Kernel for PoolAll<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { map, input, output, .. } = self;
        let scale = V::splat(1.0 / map.pixels() as f32);
        for lane in self.lanes.step_by(V::WIDTH) {
            let pixels = (0..map.pixels()).map(|pixel| {
                // SAFETY: a vector of channels ends within the pixel's padding.
                unsafe { V::load(input.add(pixel * map.step + lane)) }
            });
            let zero = V::splat(0.0);
            let value = match self.pool {
                GlobalPool::Average => pixels.fold(zero, Lanes::plus).mul_add(scale, zero),
                GlobalPool::Max => pixels.fold(V::splat(f32::NEG_INFINITY), Lanes::largest),
            };
            // SAFETY: the output is as wide as a pixel.
            unsafe { value.store(output.add(lane)) };
        }
    }
}
