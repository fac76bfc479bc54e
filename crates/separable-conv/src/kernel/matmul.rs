//! The matrix kernel: rows of pixels times packed weights.
//!
//! A tile of up to 6 pixels x 16 outputs stays in registers while it runs over all inputs: on AVX2 a step of one input is
//! 2 loads of weights, 6 broadcasts and 12 fused multiply-adds, so that the multiply-adds are what it waits for. Pixels
//! are read where they are, row by row; only weights are packed.

use core::ops::Range;

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

/// Pixels to be multiplied: `rows` rows of `columns` each.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Pixels {
    pub rows: usize,
    pub columns: usize,
    /// Values from a pixel to the next, and from a row to the next.
    pub in_steps: [usize; 2],
    /// The same for what is written.
    pub out_steps: [usize; 2],
    /// What is read after them, to be fetched meanwhile; if nothing, the weights that come next are.
    pub soon: Option<Soon>,
}

/// What is done with a sum before it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Finish {
    /// Added after the bias; laid out as the output.
    pub residual: Option<*const f32>,
    pub relu: bool,
}

/// Multiplies every pixel with the panels `panels` of the weights.
///
/// The weights of a panel stay in the first-level cache while all pixels pass by. Outputs that the last panel has too many
/// are zero whatever goes in.
///
/// # Safety
///
/// `input` must be readable, and `output` writable and the residual readable, at every pixel that `pixels` and `reach`
/// describe; the output in whole panels. Nobody else may write to any of it meanwhile.
#[inline(always)]
pub(crate) unsafe fn multiply<V: Lanes>(
    input: *const f32,
    pixels: &Pixels,
    reach: Reach,
    weights: &PackedMatrix,
    panels: Range<usize>,
    finish: Finish,
    output: *mut f32,
) {
    assert_eq!(reach.pieces * reach.len, weights.inputs(), "inputs of a matrix");
    let (first, count) = (panels.start, panels.len());
    for panel in panels {
        let (matrix, bias, real) = weights.panel(panel);
        // A panel with eight real outputs or less is worked on by half; its other half is zero.
        let half = real * 2 <= PANEL && V::WIDTH * 2 <= PANEL;
        let computed = if half { PANEL / 2 } else { PANEL };
        // Tiles of equal size: one of a single pixel would take as long as one of four.
        let tiles = pixels.columns.div_ceil(if half { 2 * V::TILE } else { V::TILE }).max(1);
        let (size, larger) = (pixels.columns / tiles, pixels.columns % tiles);
        let all_tiles = pixels.rows * tiles;
        let ahead = |tile: usize| {
            if let Some(soon) = pixels.soon {
                Ahead::new(
                    soon,
                    all_tiles * (panel - first) + tile,
                    all_tiles * count,
                    weights.inputs(),
                )
            } else {
                // Past the last panel, it does no harm.
                let from = matrix.as_ptr().wrapping_add(matrix.len());
                Ahead::new(
                    Soon {
                        from,
                        len: matrix.len(),
                    },
                    tile,
                    all_tiles,
                    weights.inputs(),
                )
            }
        };
        for row in 0..pixels.rows {
            let mut column = 0;
            for tile in 0..tiles {
                let count = size + usize::from(tile < larger);
                let start = row * pixels.out_steps[1] + column * pixels.out_steps[0] + panel * PANEL;
                // SAFETY: the tile's pixels are among those that the caller vouches for; `panel` gave sixteen weights for
                // each of `reach`'s values, and sixteen values of bias.
                unsafe {
                    let tile = Tile {
                        input: input.add(row * pixels.in_steps[1] + column * pixels.in_steps[0]),
                        in_step: pixels.in_steps[0],
                        reach,
                        weights: matrix.as_ptr(),
                        ahead: ahead(row * tiles + tile),
                        bias: bias.as_ptr(),
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
                    if real < computed {
                        // Zero weights gave zeros, unless an input was infinite or NaN.
                        for pixel in 0..count {
                            let output = output.add(start + pixel * pixels.out_steps[0]);
                            output.add(real).write_bytes(0, computed - real);
                        }
                    }
                }
                column += count;
            }
        }
    }
}

/// Fetches memory into the second-level cache, an equal share by every tile.
///
/// The hardware's prefetcher stops at every page of 4 KiB; without this, weights that come from memory cost a fifth of the
/// time of the last two layers of Xception.
#[derive(Clone, Copy)]
struct Ahead {
    next: *const f32,
    step: usize,
}

impl Ahead {
    /// The share of tile `tile` of `tiles`, each of `inputs` inputs.
    fn new(soon: Soon, tile: usize, tiles: usize, inputs: usize) -> Self {
        Self {
            next: soon.from.wrapping_add(soon.len / tiles * tile),
            step: soon.len.div_ceil(tiles * inputs),
        }
    }

    /// To be called once an input.
    #[inline(always)]
    fn fetch(&mut self) {
        // SAFETY: a prefetch reads nothing; any address will do, also those past the last panel.
        #[cfg(all(target_arch = "x86_64", not(miri)))]
        unsafe {
            use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
            _mm_prefetch::<_MM_HINT_T1>(self.next.cast());
        }
        self.next = self.next.wrapping_add(self.step);
    }
}

/// A few pixels and sixteen outputs.
struct Tile {
    input: *const f32,
    in_step: usize,
    reach: Reach,
    weights: *const f32,
    ahead: Ahead,
    bias: *const f32,
    residual: Option<*const f32>,
    relu: bool,
    output: *mut f32,
    out_step: usize,
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
    /// See [`multiply`].
    #[inline(always)]
    unsafe fn run_whole<V: Lanes>(&self, count: usize) {
        by_count!(self, count, V::TILE, [1 2 3 4 5 6 7 8 9 10 11 12], whole);
    }

    /// # Safety
    ///
    /// See [`multiply`].
    #[inline(always)]
    unsafe fn run_half<V: Lanes>(&self, count: usize) {
        by_count!(self, count, 2 * V::TILE, [1 2 3 4 5 6 7 8 9 10 11 12], half);
    }

    /// # Safety
    ///
    /// See [`multiply`].
    #[inline(always)]
    unsafe fn whole<V: Lanes, const ROWS: usize>(&self) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            match PANEL / V::WIDTH {
                1 => self.sums::<V, ROWS, 1>(),
                2 => self.sums::<V, ROWS, 2>(),
                _ => self.sums::<V, ROWS, 4>(),
            }
        }
    }

    /// # Safety
    ///
    /// See [`multiply`].
    #[inline(always)]
    unsafe fn half<V: Lanes, const ROWS: usize>(&self) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            match PANEL / V::WIDTH {
                2 => self.sums::<V, ROWS, 1>(),
                _ => self.sums::<V, ROWS, 2>(),
            }
        }
    }

    /// `ROWS` pixels and the first `VECTORS` vectors of the panel.
    ///
    /// # Safety
    ///
    /// See [`multiply`].
    #[inline(always)]
    unsafe fn sums<V: Lanes, const ROWS: usize, const VECTORS: usize>(&self) {
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        // Or the first store to each line would wait for it.
        for row in 0..ROWS {
            fetch(self.output.wrapping_add(row * self.out_step));
        }
        let mut ahead = self.ahead;
        let mut weights = self.weights;
        for piece in 0..self.reach.pieces {
            // SAFETY: the caller vouches for `reach` at every pixel, and there are sixteen weights for each of its values.
            unsafe {
                let input = self.input.add(piece * self.reach.step);
                for index in 0..self.reach.len {
                    ahead.fetch();
                    let mut factors = [V::splat(0.0); VECTORS];
                    for (vector, factor) in factors.iter_mut().enumerate() {
                        *factor = V::load(weights.add(vector * V::WIDTH));
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
        for (row, sums) in sums.into_iter().enumerate() {
            let start = row * self.out_step;
            for (vector, mut sum) in sums.into_iter().enumerate() {
                let offset = vector * V::WIDTH;
                // SAFETY: sixteen values of bias, and sixteen outputs (and values of the residual) at every pixel.
                unsafe {
                    sum = sum.plus(V::load(self.bias.add(offset)));
                    if let Some(residual) = self.residual {
                        sum = sum.plus(V::load(residual.add(start + offset)));
                    }
                    if self.relu {
                        sum = sum.relu();
                    }
                    sum.store(self.output.add(start + offset));
                }
            }
            for vector in VECTORS..PANEL / V::WIDTH {
                // SAFETY: sixteen outputs at every pixel.
                unsafe { V::splat(0.0).store(self.output.add(start + vector * V::WIDTH)) };
            }
        }
    }
}
