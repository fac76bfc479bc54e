//! The kernel of poolings over windows.

use core::ptr;

use super::window::Side;
use crate::memory::buffer::LINE;
use crate::memory::map::{Map, Rows};
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::{Lanes, prefetch};

/// Pixels that are prefetched ahead.
const AHEAD: usize = 8;

/// Taps of a 3 x 3 window.
const SQUARE: usize = 9;

/// Row `y` of a pooling's output.
///
/// The caller of `run` guarantees that `input` has readable rows of `map` where the windows lie, that `output` is a
/// writable row, and that no other thread writes to either during the call.
#[derive(Clone, Copy)]
pub(crate) struct PoolRow<'a> {
    pub sides: &'a [Side; 2],
    pub input: Rows,
    pub map: &'a Map,
    pub y: usize,
    pub output: *mut f32,
    /// Values from an output pixel to the next.
    pub out_step: usize,
}

impl PoolRow<'_> {
    /// The largest values.
    ///
    /// # Safety
    ///
    /// See [`PoolRow`].
    pub(crate) unsafe fn max(self, isa: Isa) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            if self.sides.each_ref().map(Side::most_taps) == [3; 2] {
                isa.run(SquareMax(self));
            } else {
                isa.run(AnyMax(self));
            }
        }
    }

    /// The sums, divided by `count` or by the number of pixels on the map.
    ///
    /// # Safety
    ///
    /// See [`PoolRow`].
    pub(crate) unsafe fn mean(self, isa: Isa, count: Option<usize>) {
        let neighbours = |side: &Side| {
            let [first, second, third] = [0, 1, 2].map(|tap| side.offset(tap));
            (second - first, third - second) == (1, 1) && side.before < 3 && side.after < 3
        };
        let square = self.sides.each_ref().map(Side::most_taps) == [3; 2];
        // SAFETY: the caller's promise is the same.
        unsafe {
            if square && self.sides[1].stride == 1 && self.sides.iter().all(neighbours) {
                isa.run(SquareMean(self, count));
            } else {
                isa.run(Mean(self, count));
            }
        }
    }

    /// The rows of a window of at most three rows that lie on the map, and their number.
    #[inline(always)]
    fn three_rows(&self) -> ([*const f32; 3], usize) {
        let mut rows = [ptr::null(); 3];
        let mut height = 0;
        for (_, row) in self.sides[0].taps(self.y) {
            rows[height] = self.input.at(row);
            height += 1;
        }
        (rows, height)
    }

    /// The taps of window `x` that lie on the map.
    #[inline(always)]
    fn pixels(&self, x: usize) -> impl Iterator<Item = *const f32> {
        let rows = self.sides[0].taps(self.y).map(|(_, row)| self.input.at(row));
        self.sides[1].taps(x).flat_map(move |(_, column)| {
            let place = column * self.map.step;
            rows.clone().map(move |row| row.wrapping_add(place))
        })
    }
}

/// 3 x 3 windows.
struct SquareMax<'a>(PoolRow<'a>);

impl Kernel for SquareMax<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let PoolRow { sides, map, .. } = self.0;
        let (rows, height) = self.0.three_rows();
        for x in 0..sides[1].outputs {
            let mut pixels = [ptr::null::<f32>(); SQUARE];
            let mut count = 0;
            for (_, column) in sides[1].taps(x) {
                for row in &rows[..height] {
                    pixels[count] = row.wrapping_add(column * map.step);
                    count += 1;
                }
            }
            let output = self.0.output.wrapping_add(x * self.0.out_step);
            // SAFETY: `taps` gives rows and columns of the picture, and the output has a pixel for each x.
            unsafe {
                match count {
                    SQUARE => largest::<V>(&pixels, map, output),
                    _ => largest::<V>(&pixels[..count], map, output),
                }
            }
        }
    }
}

/// Windows of any size.
struct AnyMax<'a>(PoolRow<'a>);

impl Kernel for AnyMax<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let mut pixels = Vec::new();
        for x in 0..self.0.sides[1].outputs {
            pixels.clear();
            pixels.extend(self.0.pixels(x));
            let output = self.0.output.wrapping_add(x * self.0.out_step);
            // SAFETY: `taps` gives rows and columns of the picture, and the output has a pixel for each x.
            unsafe { largest::<V>(&pixels, self.0.map, output) };
        }
    }
}

/// Windows of any size, and the number of their pixels.
struct Mean<'a>(PoolRow<'a>, Option<usize>);

impl Kernel for Mean<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let mut pixels = Vec::new();
        for x in 0..self.0.sides[1].outputs {
            pixels.clear();
            pixels.extend(self.0.pixels(x));
            let output = self.0.output.wrapping_add(x * self.0.out_step);
            // SAFETY: `taps` gives rows and columns of the picture, and the output has a pixel for each x.
            unsafe { mean::<V>(&pixels, self.1.unwrap_or(pixels.len()), self.0.map, output) };
        }
    }
}

/// 3 x 3 windows a column apart, of which none lies beside the map: the sums of a window's columns are kept for the
/// next two windows.
struct SquareMean<'a>(PoolRow<'a>, Option<usize>);

impl Kernel for SquareMean<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let PoolRow { sides, map, .. } = self.0;
        let (rows, height) = self.0.three_rows();
        // The sums of the last three columns; the sum of column `x` lies at `x % 3`.
        let mut kept = vec![0.0; 3 * map.step];
        let kept = kept.as_mut_ptr();
        let mut next = 0;
        for x in 0..sides[1].outputs {
            let (mut first, mut end) = (usize::MAX, 0);
            for (_, column) in sides[1].taps(x) {
                first = first.min(column);
                end = column + 1;
            }
            let output = self.0.output.wrapping_add(x * self.0.out_step);
            let scale = V::splat(1.0 / self.1.unwrap_or(height * (end - first)) as f32);
            // SAFETY: `taps` gives rows and columns of the picture, a vector of channels ends within the pixel's
            // padding, there is room for three columns, and the output has a pixel for each x.
            unsafe {
                for column in next..end {
                    let to = kept.add(column % 3 * map.step);
                    let pixels = rows.map(|row| row.wrapping_add(column * map.step));
                    match height {
                        3 => add_rows::<V>(&pixels, map, to),
                        _ => add_rows::<V>(&pixels[..height], map, to),
                    }
                }
                next = end;
                let columns = [first, first + 1, first + 2].map(|column| kept.add(column % 3 * map.step).cast_const());
                match end - first {
                    3 => add_columns::<V>(&columns, scale, map, output),
                    count => add_columns::<V>(&columns[..count], scale, map, output),
                }
            }
        }
    }
}

/// The sum of some pixels, channel by channel.
///
/// # Safety
///
/// All of them must be readable and the output writable, each as wide as a pixel of `map`.
#[inline(always)]
unsafe fn add_rows<V: Lanes>(pixels: &[*const f32], map: &Map, output: *mut f32) {
    for lane in (0..map.step).step_by(V::WIDTH) {
        let mut sum = V::splat(0.0);
        for pixel in pixels {
            // SAFETY: the caller's promise is the same; a vector of channels ends within the pixel's padding.
            sum = sum.plus(unsafe { V::load(pixel.add(lane)) });
        }
        // SAFETY: the same.
        unsafe { sum.store(output.add(lane)) };
    }
}

/// The sum of some columns' sums times `scale`, channel by channel.
///
/// # Safety
///
/// As [`add_rows`].
#[inline(always)]
unsafe fn add_columns<V: Lanes>(columns: &[*const f32], scale: V, map: &Map, output: *mut f32) {
    for lane in (0..map.step).step_by(V::WIDTH) {
        let mut sum = V::splat(0.0);
        for column in columns {
            // SAFETY: the caller's promise is the same; a vector of channels ends within the pixel's padding.
            sum = sum.plus(unsafe { V::load(column.add(lane)) });
        }
        // SAFETY: the same.
        unsafe { sum.times(scale).store(output.add(lane)) };
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
            // The last column is the first of the next window.
            for pixel in &pixels[..pixels.len().min(6)] {
                prefetch(pixel.wrapping_add(AHEAD * map.step + lane));
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

/// The sum of some pixels divided by `count`, channel by channel; padding lanes stay 0.
///
/// # Safety
///
/// All of them must be readable and the output writable, each as wide as a pixel of `map`.
#[inline(always)]
unsafe fn mean<V: Lanes>(pixels: &[*const f32], count: usize, map: &Map, output: *mut f32) {
    let scale = V::splat(1.0 / count as f32);
    for lane in (0..map.step).step_by(V::WIDTH) {
        let mut sum = V::splat(0.0);
        for pixel in pixels {
            // SAFETY: the caller's promise is the same; a vector of channels ends within the pixel's padding.
            sum = sum.plus(unsafe { V::load(pixel.add(lane)) });
        }
        // SAFETY: the same.
        unsafe { sum.times(scale).store(output.add(lane)) };
    }
}
