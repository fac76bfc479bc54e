//! The kernel of poolings over windows.

use core::ptr;

use super::window::Side;
use crate::memory::buffer::LINE;
use crate::memory::map::{Map, Rows};
use crate::simd::isa::Kernel;
use crate::simd::lanes::{Lanes, prefetch};

/// Pixels that are prefetched ahead.
const AHEAD: usize = 8;

/// Taps of the largest window whose addresses are kept without an allocation.
const FEW: usize = 64;

/// The value of a window.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Reduce {
    /// The largest.
    Max,
    /// The sum divided by the number of pixels on the map.
    Mean,
    /// The sum divided by a fixed number, padding included.
    MeanOf(usize),
}

/// Row `y` of a pooling's output.
///
/// The caller of `run` guarantees that `input` has readable rows of `map` where the windows lie, that `output` is a writable row,
/// and that no other thread writes to either during the call.
pub(crate) struct PoolRow<'a> {
    pub reduce: Reduce,
    pub sides: &'a [Side; 2],
    pub input: Rows,
    pub map: &'a Map,
    pub y: usize,
    pub output: *mut f32,
}

impl Kernel for PoolRow<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { sides, map, .. } = self;
        let mut few = [ptr::null::<f32>(); FEW];
        let mut many = Vec::new();
        let rows = sides[0].taps(self.y).map(|(_, row)| row);
        let most = sides[0].most_taps() * sides[1].most_taps();
        let pixels: &mut [*const f32] = if most <= FEW {
            &mut few
        } else {
            many.resize(most, ptr::null());
            &mut many
        };
        for x in 0..sides[1].outputs {
            let mut count = 0;
            for (_, column) in sides[1].taps(x) {
                for row in rows.clone() {
                    pixels[count] = self.input.at(row).wrapping_add(column * map.step);
                    count += 1;
                }
            }
            let output = self.output.wrapping_add(x * map.step);
            // SAFETY: `taps` gives rows and columns of the picture, and the output has a pixel for each x.
            unsafe {
                match (self.reduce, &pixels[..count]) {
                    (Reduce::Max, pixels) => match pixels.as_array::<9>() {
                        Some(pixels) => largest::<V>(pixels, map, output),
                        None => largest::<V>(pixels, map, output),
                    },
                    (Reduce::Mean, pixels) => mean::<V>(pixels, count, map, output),
                    (Reduce::MeanOf(count), pixels) => mean::<V>(pixels, count, map, output),
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
