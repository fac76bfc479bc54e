//! Operations that compute every value from the values at the same place: `ReLU`, sums and biases.

use rayon::prelude::*;

use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;

/// Values per block, which is one thread's work at a time. Blocks of two or three maps fit into the second-level cache.
pub(super) const BLOCK: usize = 32 * 1024;

/// `max(x, 0)`; NaN stays NaN, as in Burn.
#[inline(always)]
pub(super) fn relu(x: f32) -> f32 {
    if x <= 0.0 { 0.0 } else { x }
}

/// The part of a second map, if there is a second map.
pub(super) fn part(map: Option<&[f32]>, start: usize, len: usize) -> Option<&[f32]> {
    map.map(|map| &map[start..start + len])
}

/// Writes `max(x, 0)`, plus `add` if given.
pub(crate) fn rectify(isa: Isa, x: &[f32], add: Option<&[f32]>, output: &mut [f32]) {
    let blocks = output.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(index, output)| {
        let (start, len) = (index * BLOCK, output.len());
        let add = part(add, start, len);
        let x = &x[start..start + len];
        // SAFETY: the kernel has no pointers.
        unsafe { isa.run(Rectify { x, add, output }) }
    });
}

/// As [`rectify`], on this thread.
pub(crate) fn rectify_part(isa: Isa, x: &[f32], output: &mut [f32]) {
    // SAFETY: the kernel has no pointers.
    unsafe { isa.run(Rectify { x, add: None, output }) }
}

struct Rectify<'a> {
    x: &'a [f32],
    add: Option<&'a [f32]>,
    output: &'a mut [f32],
}

impl Kernel for Rectify<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let values = self.output.iter_mut().zip(self.x);
        match self.add {
            None => values.for_each(|(y, x)| *y = relu(*x)),
            Some(add) => values.zip(add).for_each(|((y, x), add)| *y = relu(*x) + add),
        }
    }
}

/// Turns the gradient of `ReLU`'s output into the gradient of its input, in place: 0 where `x` is at most 0. Adds `add`
/// if given.
pub(crate) fn rectify_gradient(isa: Isa, x: &[f32], add: Option<&[f32]>, gradient: &mut [f32]) {
    let blocks = gradient.par_chunks_mut(BLOCK).enumerate();
    blocks.for_each(|(index, gradient)| {
        let (start, len) = (index * BLOCK, gradient.len());
        let add = part(add, start, len);
        let x = &x[start..start + len];
        // SAFETY: the kernel has no pointers.
        unsafe { isa.run(RectifyGradient { x, add, gradient }) }
    });
}

struct RectifyGradient<'a> {
    x: &'a [f32],
    add: Option<&'a [f32]>,
    gradient: &'a mut [f32],
}

impl Kernel for RectifyGradient<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let values = self.gradient.iter_mut().zip(self.x);
        match self.add {
            None => values.for_each(|(d, x)| *d = if *x <= 0.0 { 0.0 } else { *d }),
            Some(add) => {
                let values = values.zip(add);
                values.for_each(|((d, x), add)| *d = if *x <= 0.0 { 0.0 } else { *d } + add);
            }
        }
    }
}

/// Adds a map to another.
pub(crate) fn add(isa: Isa, x: &[f32], sum: &mut [f32]) {
    let blocks = sum.par_chunks_mut(BLOCK).zip(x.par_chunks(BLOCK));
    // SAFETY: the kernel has no pointers.
    blocks.for_each(|(sum, x)| unsafe { isa.run(Add { x, sum }) });
}

struct Add<'a> {
    x: &'a [f32],
    sum: &'a mut [f32],
}

impl Kernel for Add<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        self.sum.iter_mut().zip(self.x).for_each(|(sum, x)| *sum += x);
    }
}

/// Adds one value per channel to every pixel.
pub(crate) fn add_bias(isa: Isa, bias: &[f32], map: &mut [f32]) {
    let len = pixels(bias.len()) * bias.len();
    // SAFETY: the kernel has no pointers.
    map.par_chunks_mut(len)
        .for_each(|pixels| unsafe { isa.run(AddBias { bias, pixels }) });
}

/// As [`add_bias`], on this thread.
pub(crate) fn add_bias_part(isa: Isa, bias: &[f32], pixels: &mut [f32]) {
    // SAFETY: the kernel has no pointers.
    unsafe { isa.run(AddBias { bias, pixels }) }
}

struct AddBias<'a> {
    bias: &'a [f32],
    pixels: &'a mut [f32],
}

impl Kernel for AddBias<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for pixel in self.pixels.chunks_exact_mut(self.bias.len()) {
            pixel.iter_mut().zip(self.bias).for_each(|(value, bias)| *value += bias);
        }
    }
}

/// Pixels per block, which is one thread's work at a time.
pub(super) const fn pixels(channels: usize) -> usize {
    let pixels = BLOCK / channels;
    if pixels == 0 { 1 } else { pixels }
}
