//! The matrix kernel: rows of pixels times packed weights.
//!
//! A tile of up to 6 pixels x 16 outputs (AVX2) or 14 x 32 (AVX-512) stays in registers while it runs over all inputs: a step
//! of one input is 2 loads of weights, 6 broadcasts and 12 fused multiply-adds, or 2, 14 and 28, so that the multiply-adds are
//! what it waits for. Pixels are read where they are, row by row; only weights are packed.

use core::ops::Range;

use super::buffer::LINE;
use super::isa::Kernel;
use super::lanes::{Lanes, fetch};
use super::packed::{PANEL, PackedMatrix};

/// Where the inputs of a pixel lie: `pieces` runs of `len` values, `step` values apart.
///
/// One run for a 1 x 1 convolution; for a 3 x 3 convolution a run a kernel row, because neighbouring pixels lie side by
/// side.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reach {
    pub pieces: usize,
    pub step: usize,
    pub len: usize,
}

impl Reach {
    /// A pixel of `len` channels.
    pub(crate) const fn pixel(len: usize) -> Self {
        Self {
            pieces: 1,
            step: 0,
            len,
        }
    }
}

/// Memory that is needed soon, to be fetched into the second-level cache on the way.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Soon {
    pub from: *const f32,
    pub len: usize,
}

impl Soon {
    /// What is needed is there.
    pub(crate) const NOTHING: Self = Self {
        from: core::ptr::null(),
        len: 0,
    };
}

/// Pixels to be multiplied: `rows` rows of `columns` each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    pub rows: usize,
    pub columns: usize,
    /// Values from a pixel to the next, and from a row to the next.
    pub in_steps: [usize; 2],
    /// The same for what is written.
    pub out_steps: [usize; 2],
    /// What is read after them, to be fetched meanwhile, as are weights that don't stay in the cache.
    pub soon: Soon,
}

impl Pixels {
    /// `columns` pixels `in_step` values apart, their outputs `out_step`.
    pub(crate) const fn row(columns: usize, in_step: usize, out_step: usize, soon: Soon) -> Self {
        Self {
            rows: 1,
            columns,
            in_steps: [in_step, 0],
            out_steps: [out_step, 0],
            soon,
        }
    }
}

/// Inputs ahead of which weights are fetched into the first-level cache.
const NEAR: usize = 16;

/// What is done with a sum before it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    /// Added after the bias; laid out as the output.
    pub residual: Option<*const f32>,
    pub relu: bool,
}

/// Every pixel, multiplied with the panels `panels` of the weights.
///
/// The weights of a few panels stay in the caches while all pixels pass by. Outputs that the last panel has too many are
/// zero whatever goes in.
///
/// Whoever runs it vouches that `input` is readable, `output` writable and the residual readable at every pixel that `pixels`
/// and `reach` describe, the output in whole panels; and that nobody else writes to any of it meanwhile.
pub(crate) struct Multiply<'a> {
    pub input: *const f32,
    pub pixels: Pixels,
    pub reach: Reach,
    pub weights: &'a PackedMatrix,
    pub panels: Range<usize>,
    pub finish: Finish,
    pub output: *mut f32,
}

impl Kernel for Multiply<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self {
            input,
            pixels,
            reach,
            weights,
            panels,
            finish,
            output,
        } = self;
        assert_eq!(reach.pieces * reach.len, weights.inputs(), "inputs of a matrix");
        let [most, vectors] = V::TILE;
        let together = tile_panels::<V>();
        let groups = panels.len().div_ceil(together);
        for (group, first) in panels.clone().step_by(together).enumerate() {
            let group_panels = first..panels.end.min(first + together);
            let (matrix, bias, real) = weights.panels_at(group_panels.clone());
            // Half of the vectors, where they hold all outputs that are real.
            let half = real * 2 <= vectors * V::WIDTH;
            // Tiles of equal size: one of a single pixel would take as long as one of four.
            let tiles = pixels.columns.div_ceil(if half { 2 * most } else { most }).max(1);
            let (size, larger) = (pixels.columns / tiles, pixels.columns % tiles);
            let all_tiles = (pixels.rows * tiles).max(1);
            // The panels that come next; past the last one, it does no harm.
            let panel = weights.inputs() * PANEL;
            let next = (matrix.as_ptr().wrapping_add(matrix.len()), panel);
            let next_len = if weights.stays() { 0 } else { panel };
            let ahead = Ahead::new(next_len, all_tiles, weights.inputs());
            let soon = Ahead::new(pixels.soon.len, all_tiles * groups, weights.inputs());
            for row in 0..pixels.rows {
                let mut column = 0;
                for tile in 0..tiles {
                    let count = size + usize::from(tile < larger);
                    let start = row * pixels.out_steps[1] + column * pixels.out_steps[0] + first * PANEL;
                    // SAFETY: the tile's pixels are among those that are vouched for; `panels_at` gave sixteen weights for
                    // each of `reach`'s values, and sixteen values of bias, for each of the panels.
                    unsafe {
                        let tile = Tile {
                            input: input.add(row * pixels.in_steps[1] + column * pixels.in_steps[0]),
                            in_step: pixels.in_steps[0],
                            reach,
                            weights: matrix.as_ptr(),
                            panel,
                            next_weights: ahead.share(row * tiles + tile, next),
                            next_pixels: soon.share(all_tiles * group + row * tiles + tile, (pixels.soon.from, 0)),
                            bias: bias.as_ptr(),
                            begun: None,
                            residual: finish.residual.map(|residual| residual.add(start)),
                            relu: finish.relu,
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
                            // Zero weights gave zeros, unless an input was infinite or NaN.
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

/// Panels of a tile: as many as cache lines of weights that it reads for an input, and asks for.
pub(crate) const fn tile_panels<V: Lanes>() -> usize {
    (V::TILE[1] * V::WIDTH).div_ceil(PANEL)
}

/// Fetches memory into the second-level cache, an equal share by every tile.
///
/// The hardware's prefetcher stops at every page of 4 KiB; without this, weights that come from memory cost a fifth of the
/// time of the last two layers of Xception.
#[derive(Clone, Copy)]
pub(crate) struct Ahead {
    /// Values for a tile, and values for each time that it fetches.
    share: usize,
    step: usize,
}

impl Ahead {
    /// `len` values for `tiles` tiles, each of which fetches `fetches` times.
    pub(crate) fn new(len: usize, tiles: usize, fetches: usize) -> Self {
        Self {
            share: len / tiles,
            step: len.div_ceil(tiles * fetches),
        }
    }

    /// What tile `tile` fetches from there on, and of panels so many values apart.
    pub(crate) fn share(self, tile: usize, (from, panel): (*const f32, usize)) -> Fetching {
        Fetching {
            next: from.wrapping_add(self.share * tile),
            step: self.step,
            panel,
        }
    }
}

/// A tile's share of what is fetched ahead.
#[derive(Clone, Copy)]
pub(crate) struct Fetching {
    next: *const f32,
    step: usize,
    panel: usize,
}

impl Fetching {
    /// Asks for a line of each of `panels` panels.
    #[inline(always)]
    fn fetch(&mut self, panels: usize) {
        for panel in 0..panels {
            let place = self.next.wrapping_add(panel * self.panel);
            // SAFETY: a prefetch reads nothing; any address will do, also those past the last panel.
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
    pub reach: Reach,
    pub weights: *const f32,
    /// Values from a panel of the weights to the next.
    pub panel: usize,
    pub next_weights: Fetching,
    pub next_pixels: Fetching,
    pub bias: *const f32,
    /// Sums that are gone on with, and from a pixel's to the next one's.
    pub begun: Option<(*const f32, usize)>,
    pub residual: Option<*const f32>,
    pub relu: bool,
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
        // What is needed at the end; with sums in 28 lines (AVX-512), asking for those that are written costs more than it gives.
        let outputs = (V::WIDTH < PANEL).then_some(self.output.cast_const());
        for memory in [outputs, self.residual].into_iter().flatten() {
            for row in 0..ROWS {
                for line in (0..VECTORS * V::WIDTH).step_by(LINE) {
                    fetch(memory.wrapping_add(row * self.out_step + line));
                }
            }
        }
        if let Some((begun, step)) = self.begun {
            for (row, sums) in sums.iter_mut().enumerate() {
                for (vector, sum) in sums.iter_mut().enumerate() {
                    // SAFETY: as many sums at every pixel.
                    *sum = sum.plus(unsafe { V::load(begun.add(row * step + vector * V::WIDTH)) });
                }
            }
        }
        let (mut next_weights, mut next_pixels) = (self.next_weights, self.next_pixels);
        let mut weights = self.weights;
        for piece in 0..self.reach.pieces {
            // SAFETY: the caller vouches for `reach` at every pixel, and there are sixteen weights for each of its values in
            // every panel.
            unsafe {
                let input = self.input.add(piece * self.reach.step);
                for index in 0..self.reach.len {
                    next_weights.fetch(tile_panels::<V>());
                    next_pixels.fetch(1);
                    let mut factors = [V::splat(0.0); VECTORS];
                    for (vector, factor) in factors.iter_mut().enumerate() {
                        let lane = vector * V::WIDTH;
                        let place = weights.add(lane / PANEL * self.panel + lane % PANEL);
                        if lane.is_multiple_of(LINE) {
                            fetch(place.wrapping_add(NEAR * PANEL));
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
        // Nothing is less than minus infinity.
        let least = V::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
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
