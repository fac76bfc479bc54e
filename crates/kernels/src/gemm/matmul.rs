//! The matrix kernel: rows of pixels times packed weights.
//!
//! The accumulators of a tile of up to 6 pixels x 16 outputs (AVX2) or 14 x 32 (AVX-512) stay in registers over all
//! inputs. A step of one input takes 2 loads of weights, 6 broadcasts and 12 fused multiply-adds, or 2, 14 and 28: the
//! multiply-adds are the bottleneck. Pixels are read in place, row by row; only weights are packed.

use core::ops::Range;

use super::packed::{PANEL, PackedMatrix};
use crate::activation::{Activation, CurvePixels};
use crate::memory::buffer::LINE;
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::{Lanes, prefetch};

/// The inputs of a pixel in memory: `runs` runs of `len` values, `step` values apart.
///
/// A 1 x 1 convolution has one run. A 3 x 3 convolution has a run for each row of the kernel, because neighbouring
/// pixels lie side by side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Window {
    pub runs: usize,
    pub step: usize,
    pub len: usize,
}

impl Window {
    /// A pixel of `len` channels.
    pub(crate) const fn pixel(len: usize) -> Self {
        Self { runs: 1, step: 0, len }
    }
}

/// Memory that the next job reads, prefetched into the second-level cache during this one.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Prefetch {
    pub from: *const f32,
    pub len: usize,
}

impl Prefetch {
    /// No prefetch.
    pub(crate) const NONE: Self = Self {
        from: core::ptr::null(),
        len: 0,
    };
}

/// Pixels to be multiplied: `rows` rows of `columns` each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    pub rows: usize,
    pub columns: usize,
    /// Values from an input pixel to the next, and from a row to the next.
    pub in_steps: [usize; 2],
    /// The same of the output.
    pub out_steps: [usize; 2],
    /// Read after these pixels.
    pub prefetch: Prefetch,
}

impl Pixels {
    /// `columns` pixels `in_step` values apart, their outputs `out_step`.
    pub(crate) const fn row(columns: usize, in_step: usize, out_step: usize, prefetch: Prefetch) -> Self {
        Self {
            rows: 1,
            columns,
            in_steps: [in_step, 0],
            out_steps: [out_step, 0],
            prefetch,
        }
    }
}

/// Weights are prefetched into the first-level cache this number of inputs ahead.
const NEAR: usize = 16;

/// The operations on a sum before it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue {
    /// Added after the bias; laid out as the output.
    pub residual: Option<*const f32>,
    /// Clamped in registers. A curve is a pass of its own, by [`Multiply::run_on`].
    pub activation: Activation,
}

impl Epilogue {
    /// No residual, no activation.
    pub(crate) const NONE: Self = Self {
        residual: None,
        activation: Activation::None,
    };
}

/// Every pixel, multiplied with the panels `panels` of the weights.
///
/// The weights of a group of panels stay in the caches while all pixels pass. Padding lanes of the last panel are
/// always 0.
///
/// The caller of `run` guarantees that `input` is readable, `output` writable and the residual readable at every pixel
/// that `pixels` and `window` describe, the output in whole panels; and that no other thread writes to any of them
/// during the call.
pub(crate) struct Multiply<'a> {
    pub input: *const f32,
    pub pixels: Pixels,
    pub window: Window,
    pub weights: &'a PackedMatrix,
    pub panels: Range<usize>,
    pub epilogue: Epilogue,
    pub output: *mut f32,
}

impl Multiply<'_> {
    /// Multiplies, then applies the activation's curve, if it has one, while the outputs are in the second-level cache.
    ///
    /// The curve is not part of the kernel: its code next to the tiles made Xception's first blocks a tenth slower.
    ///
    /// # Safety
    ///
    /// See [`Multiply`].
    pub(crate) unsafe fn run_on(self, isa: Isa) {
        let curve = self.epilogue.activation.curve().map(|curve| {
            let (.., real) = self.weights.panels_at(self.panels.clone());
            // SAFETY: the first output of the first panel.
            let output = unsafe { self.output.add(self.panels.start * PANEL) };
            CurvePixels {
                curve,
                output,
                rows: self.pixels.rows,
                columns: self.pixels.columns,
                steps: self.pixels.out_steps,
                channels: real,
            }
        });
        // SAFETY: the caller's promise is the same.
        unsafe {
            isa.run(self);
            if let Some(curve) = curve {
                isa.run(curve);
            }
        }
    }
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self {
            input,
            pixels,
            window,
            weights,
            panels,
            epilogue,
            output,
        } = self;
        assert_eq!(window.runs * window.len, weights.inputs(), "inputs of a matrix");
        let clamp = epilogue.activation.clamp();
        let [most, vectors] = V::TILE;
        let width = tile_panels::<V>();
        let groups = panels.len().div_ceil(width);
        for (group, first) in panels.clone().step_by(width).enumerate() {
            let group_panels = first..panels.end.min(first + width);
            let (matrix, bias, real) = weights.panels_at(group_panels.clone());
            // Half of the vectors, where they hold all outputs that are not padding.
            let half = real * 2 <= vectors * V::WIDTH;
            // Tiles of equal size: a tile of a single pixel takes as long as a tile of four.
            let tiles = pixels.columns.div_ceil(if half { 2 * most } else { most }).max(1);
            let (size, larger) = (pixels.columns / tiles, pixels.columns % tiles);
            let all_tiles = (pixels.rows * tiles).max(1);
            // The next panels. A prefetch past the last panel is harmless.
            let panel = weights.inputs() * PANEL;
            let next = (matrix.as_ptr().wrapping_add(matrix.len()), panel);
            let next_len = if weights.fits_in_second_level_cache() { 0 } else { panel };
            let ahead = Shares::new(next_len, all_tiles, weights.inputs());
            let prefetch = Shares::new(pixels.prefetch.len, all_tiles * groups, weights.inputs());
            for row in 0..pixels.rows {
                let mut column = 0;
                for tile in 0..tiles {
                    let count = size + usize::from(tile < larger);
                    let start = row * pixels.out_steps[1] + column * pixels.out_steps[0] + first * PANEL;
                    // SAFETY: the tile's pixels are among those that the caller guarantees; `panels_at` gave sixteen
                    // weights for each of `window`'s values, and sixteen values of bias, for each of the panels.
                    unsafe {
                        let tile = Tile {
                            input: input.add(row * pixels.in_steps[1] + column * pixels.in_steps[0]),
                            in_step: pixels.in_steps[0],
                            window,
                            weights: matrix.as_ptr(),
                            panel,
                            next_weights: ahead.share(row * tiles + tile, next),
                            next_pixels: prefetch
                                .share(all_tiles * group + row * tiles + tile, (pixels.prefetch.from, 0)),
                            bias: bias.as_ptr(),
                            accumulators: None,
                            residual: epilogue.residual.map(|residual| residual.add(start)),
                            clamp,
                            output: output.add(start),
                            out_step: pixels.out_steps[0],
                        };
                        if half {
                            tile.run_half::<V>(count);
                        } else {
                            tile.run_whole::<V>(count);
                        }
                        let whole = group_panels.len() * PANEL;
                        if real < whole {
                            // Zero weights give 0, unless an input is infinite or NaN.
                            for pixel in 0..count {
                                let output = output.add(start + pixel * pixels.out_steps[0]);
                                output.add(real).write_bytes(0, whole - real);
                            }
                        }
                    }
                    column += count;
                }
            }
        }
    }
}

/// Panels of a tile. A tile reads, and prefetches, a cache line of weights in each of them for every input.
pub(crate) const fn tile_panels<V: Lanes>() -> usize {
    (V::TILE[1] * V::WIDTH).div_ceil(PANEL)
}

/// Equal shares of a prefetch into the second-level cache, one for every tile.
///
/// The hardware's prefetcher stops at every page of 4 KiB. Without this, weights from memory cost a fifth of the time
/// of the last two layers of Xception.
#[derive(Clone, Copy)]
pub(crate) struct Shares {
    /// Values of a tile's share.
    share: usize,
    /// Values from a prefetch of the share to the next.
    step: usize,
}

impl Shares {
    /// `len` values for `tiles` tiles, each of prefetches.
    pub(crate) fn new(len: usize, tiles: usize, rounds: usize) -> Self {
        Self {
            share: len / tiles,
            step: len.div_ceil(tiles * rounds),
        }
    }

    /// The share of tile `tile`, from the first value on, in panels that are `panel` values apart.
    pub(crate) fn share(self, tile: usize, (from, panel): (*const f32, usize)) -> Share {
        Share {
            next: from.wrapping_add(self.share * tile),
            step: self.step,
            panel,
        }
    }
}

/// A tile's share of a prefetch.
#[derive(Clone, Copy)]
pub(crate) struct Share {
    next: *const f32,
    step: usize,
    panel: usize,
}

impl Share {
    /// Prefetches a line of each of `panels` panels.
    #[inline(always)]
    fn prefetch(&mut self, panels: usize) {
        for panel in 0..panels {
            let place = self.next.wrapping_add(panel * self.panel);
            // SAFETY: a prefetch reads nothing; any address is allowed, also past the last panel.
            #[cfg(all(target_arch = "x86_64", not(miri)))]
            unsafe {
                use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
                _mm_prefetch::<_MM_HINT_T1>(place.cast());
            }
            let _ = place;
        }
        self.next = self.next.wrapping_add(self.step);
    }
}

/// A few pixels and the outputs of a panel or two.
pub(crate) struct Tile {
    pub input: *const f32,
    pub in_step: usize,
    pub window: Window,
    pub weights: *const f32,
    /// Values from a panel of the weights to the next.
    pub panel: usize,
    pub next_weights: Share,
    pub next_pixels: Share,
    pub bias: *const f32,
    /// Partial sums to continue, and the values from a pixel's sums to the next one's.
    pub accumulators: Option<(*const f32, usize)>,
    pub residual: Option<*const f32>,
    /// Least and largest output.
    pub clamp: [f32; 2],
    pub output: *mut f32,
    pub out_step: usize,
}

/// Runs the tile that is made for `$count` pixels.
macro_rules! by_count {
    ($tile:ident, $count:ident, $most:expr, [$($rows:literal)*], $run:ident) => {
        match $count {
            // SAFETY: the caller's promise is the same.
            $($rows if $rows <= $most => unsafe { $tile.$run::<V, $rows>() },)*
            _ => unreachable!("no tile is larger than the registers"),
        }
    };
}

impl Tile {
    /// # Safety
    ///
    /// See [`Multiply`].
    #[inline(always)]
    pub(crate) unsafe fn run_whole<V: Lanes>(&self, count: usize) {
        by_count!(self, count, V::TILE[0], [1 2 3 4 5 6 7 8 9 10 11 12 13 14], whole);
    }

    /// # Safety
    ///
    /// See [`Multiply`].
    #[inline(always)]
    unsafe fn run_half<V: Lanes>(&self, count: usize) {
        by_count!(self, count, 2 * V::TILE[0], [1 2 3 4 5 6 7 8 9 10 11 12 13 14
            15 16 17 18 19 20 21 22 23 24 25 26 27 28], half);
    }

    /// # Safety
    ///
    /// See [`Multiply`].
    #[inline(always)]
    unsafe fn whole<V: Lanes, const ROWS: usize>(&self) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            match V::TILE[1] {
                2 => self.sums::<V, ROWS, 2>(),
                _ => self.sums::<V, ROWS, 4>(),
            }
        }
    }

    /// # Safety
    ///
    /// See [`Multiply`].
    #[inline(always)]
    unsafe fn half<V: Lanes, const ROWS: usize>(&self) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            match V::TILE[1] {
                2 => self.sums::<V, ROWS, 1>(),
                _ => self.sums::<V, ROWS, 2>(),
            }
        }
    }

    /// `ROWS` pixels and the first `VECTORS` vectors of the panels.
    ///
    /// # Safety
    ///
    /// See [`Multiply`].
    #[inline(always)]
    unsafe fn sums<V: Lanes, const ROWS: usize, const VECTORS: usize>(&self) {
        let mut bias = [V::splat(0.0); VECTORS];
        for (vector, bias) in bias.iter_mut().enumerate() {
            // SAFETY: there are as many values of bias.
            *bias = unsafe { V::load(self.bias.add(vector * V::WIDTH)) };
        }
        let mut sums = [bias; ROWS];
        // The lines of the epilogue. With sums in 28 lines (AVX-512), a prefetch of the output costs more than it
        // saves.
        let outputs = (V::WIDTH < PANEL).then_some(self.output.cast_const());
        for memory in [outputs, self.residual].into_iter().flatten() {
            for row in 0..ROWS {
                for line in (0..VECTORS * V::WIDTH).step_by(LINE) {
                    prefetch(memory.wrapping_add(row * self.out_step + line));
                }
            }
        }
        if let Some((partial, step)) = self.accumulators {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as many sums at every pixel.
                    *sum = sum.plus(unsafe { V::load(partial.add(row * step + vector * V::WIDTH)) });
                }
            }
        }
        let (mut next_weights, mut next_pixels) = (self.next_weights, self.next_pixels);
        let mut weights = self.weights;
        for piece in 0..self.window.runs {
            // SAFETY: the caller guarantees `window` at every pixel, and there are sixteen weights for each of its
            // values in every panel.
            unsafe {
                let input = self.input.add(piece * self.window.step);
                for index in 0..self.window.len {
                    next_weights.prefetch(tile_panels::<V>());
                    next_pixels.prefetch(1);
                    let mut factors = [V::splat(0.0); VECTORS];
                    for (vector, factor) in factors.iter_mut().enumerate() {
                        let lane = vector * V::WIDTH;
                        let place = weights.add(lane / PANEL * self.panel + lane % PANEL);
                        if lane.is_multiple_of(LINE) {
                            prefetch(place.wrapping_add(NEAR * PANEL));
                        }
                        *factor = V::load(place);
                    }
                    for (row, sums) in sums.iter_mut().enumerate() {
                        let value = V::splat(*input.add(row * self.in_step + index));
                        for (sum, factor) in sums.iter_mut().zip(factors) {
                            *sum = value.mul_add(factor, *sum);
                        }
                    }
                    weights = weights.add(PANEL);
                }
            }
        }
        if let Some(residual) = self.residual {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as many values of the residual at every pixel.
                    unsafe {
                        let place = residual.add(row * self.out_step + vector * V::WIDTH);
                        *sum = sum.plus(V::load(place));
                    }
                }
            }
        }
        let [least, most] = self.clamp;
        if most < f32::INFINITY {
            for sum in sums.as_flattened_mut() {
                *sum = sum.at_most(V::splat(most));
            }
        }
        let least = V::splat(least);
        for (row, sums) in sums.into_iter().enumerate() {
            for (vector, sum) in sums.into_iter().enumerate() {
                // SAFETY: as many outputs at every pixel.
                unsafe {
                    let place = self.output.add(row * self.out_step + vector * V::WIDTH);
                    sum.at_least(least).store(place);
                }
            }
        }
    }
}
