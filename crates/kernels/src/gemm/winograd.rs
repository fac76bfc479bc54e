//! A 3 x 3 convolution of stride 1 with 16 multiplications for every 2 x 2 outputs instead of 36: F(2 x 2, 3 x 3) of
//! Lavin and Gray 2015, arXiv 1509.09308, section 4.1.
//!
//! A tile of 4 x 4 inputs and the kernel are each transformed into sixteen numbers. Products of these, summed over the
//! channels as sixteen matrices, are transformed back into 2 x 2 outputs. The transforms add and subtract, so that an
//! infinite output can become NaN: outputs that are not all finite are computed again in the order of the definition.

use core::ops::Range;
use core::ptr;

use super::matmul::{Epilogue as Plain, Multiply, Pixels, Prefetch, Window};
use super::packed::{PANEL, PackedMatrix};
use crate::activation::Activation;
use crate::error::Error;
use crate::memory::buffer::{Buffer, padded};
use crate::memory::map::Map;
use crate::plan::cut::share;
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;

/// Numbers of a tile.
const PLACES: usize = 16;

/// Tiles of a pass: their numbers, before and after the multiplication, stay in the second-level cache.
const TILES: usize = 28;

/// Values between tiles beyond their channels, as in a separable convolution.
const GAP: usize = 16;

/// Bytes up to which all sixteen matrices stay in the second-level cache from job to job.
const LARGEST: usize = 1 << 20;

/// Inputs below which the sums are too short to pay.
const FEWEST_INPUTS: usize = 16;

/// The kernel of such a convolution.
pub(crate) struct Winograd {
    /// A matrix for each of a tile's numbers, without bias.
    matrices: Vec<PackedMatrix>,
    bias: Buffer,
    /// A pixel outside of a map.
    zeros: Buffer,
}

/// The operations on an output before it is written.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Epilogue {
    /// A picture like the output, added after the bias.
    pub residual: Option<*const f32>,
    /// Clamped in registers. The caller applies a curve.
    pub activation: Activation,
}

/// Some tiles of a picture, and some panels of their outputs.
pub(crate) struct Tiles {
    pub input: *const f32,
    pub map: Map,
    /// Padding rows above and columns before the picture.
    pub before: [usize; 2],
    /// Their numbers, pair of rows by pair of rows.
    pub numbers: Range<usize>,
    pub panels: Range<usize>,
    pub epilogue: Epilogue,
    pub output: *mut f32,
    pub output_map: Map,
}

impl Winograd {
    /// Tiles below which a job with large weights is not cut further.
    pub(crate) const FEWEST_TILES: usize = 14;

    /// Packs weights `[outputs, inputs, 3, 3]`; `None` if the plain convolution is faster.
    pub(crate) fn new(
        mut zeros: impl FnMut(usize) -> Buffer,
        weights: &[f32],
        bias: Option<&[f32]>,
        [inputs, outputs]: [usize; 2],
    ) -> Result<Option<Self>, Error> {
        if inputs < FEWEST_INPUTS {
            return Ok(None);
        }
        // Transformed in f64 and rounded once.
        let turned: Vec<[f32; PLACES]> = weights.as_chunks().0.iter().map(turn_kernel).collect();
        let matrix = |place| -> Result<PackedMatrix, Error> {
            let packed = PackedMatrix::new(&mut zeros, inputs, outputs, None, |panel, rows| {
                for (input, row) in rows.iter_mut().enumerate() {
                    for (lane, output) in panel.clone().enumerate() {
                        row[lane] = turned[output * inputs + input][place];
                    }
                }
            })?;
            Ok(packed.in_turn(PLACES))
        };
        let matrices = (0..PLACES).map(matrix).collect::<Result<_, _>>()?;
        let mut all_bias = Buffer::zeros(padded(outputs));
        if let Some(bias) = bias {
            all_bias.as_mut_slice()[..outputs].copy_from_slice(&bias[..outputs]);
        }
        Ok(Some(Self {
            matrices,
            bias: all_bias,
            zeros: Buffer::zeros(padded(inputs)),
        }))
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.matrices.iter().map(PackedMatrix::bytes).sum::<usize>() + self.bias.bytes() + self.zeros.bytes()
    }

    /// Whether all matrices stay in the second-level cache from job to job.
    pub(crate) fn fits_in_second_level_cache(&self) -> bool {
        self.matrices[0].bytes() * PLACES <= LARGEST
    }

    /// Values of scratch that a job needs.
    pub(crate) fn scratch(&self) -> usize {
        PLACES * TILES * (self.before() + self.after())
    }

    /// Values from a tile to the next, before the multiplication.
    fn before(&self) -> usize {
        padded(self.matrices[0].inputs()) + GAP
    }

    /// The same after it.
    fn after(&self) -> usize {
        padded(self.matrices[0].outputs()) + GAP
    }

    /// Pairs of rows of `width` outputs that share a pass.
    pub(crate) fn pairs_per_pass(width: usize) -> usize {
        (TILES / width.div_ceil(2).max(1)).max(1)
    }

    /// The tiles of `pairs` pairs of rows of `width` outputs, in parts for which there is scratch.
    pub(crate) fn parts(pairs: &Range<usize>, width: usize) -> impl Iterator<Item = Range<usize>> + use<> {
        let per_row = width.div_ceil(2);
        let (first, tiles) = (pairs.start * per_row, pairs.len() * per_row);
        let parts = tiles.div_ceil(TILES);
        (0..parts).map(move |part| {
            let Range { start, end } = share(tiles, part, parts);
            first + start..first + end
        })
    }

    /// Computes some tiles, and gives those that are not finite, each with one panel of its outputs: the caller
    /// computes them in the order of the definition. Which they are does not depend on how tiles and panels are divided
    /// among jobs.
    ///
    /// # Safety
    ///
    /// The input, and the residual, must be readable pictures of their maps, and the outputs of these tiles writable by
    /// no other thread.
    pub(crate) unsafe fn run(&self, isa: Isa, part: &Tiles, scratch: &mut [f32]) -> Vec<(usize, usize)> {
        let (before, after) = scratch[..self.scratch()].split_at_mut(PLACES * TILES * self.before());
        let (from, to) = (before.as_mut_ptr(), after.as_mut_ptr());
        // SAFETY: the caller guarantees the picture and the output; the scratch has room for the numbers of all tiles.
        unsafe {
            isa.run(TurnInput {
                zeros: self.zeros.as_slice().as_ptr(),
                part,
                output: from,
                step: self.before(),
            });
            for (place, weights) in self.matrices.iter().enumerate() {
                isa.run(Multiply {
                    input: from.add(place * TILES * self.before()),
                    pixels: Pixels::row(part.numbers.len(), self.before(), self.after(), Prefetch::NONE),
                    window: Window::pixel(weights.inputs()),
                    weights,
                    panels: part.panels.clone(),
                    epilogue: Plain::NONE,
                    output: to.add(place * TILES * self.after()),
                });
            }
            let turn_back = TurnBack {
                input: to,
                step: self.after(),
                bias: self.bias.as_slice(),
                part,
                first: part.numbers.start,
                tiles: part.numbers.clone(),
                panels: part.panels.clone(),
            };
            if isa.run(turn_back.clone()) {
                return Vec::new();
            }
            let each = part
                .numbers
                .clone()
                .flat_map(|tile| part.panels.clone().map(move |panel| (tile, panel)));
            each.filter(|&(tile, panel)| {
                !isa.run(TurnBack {
                    tiles: tile..tile + 1,
                    panels: panel..panel + 1,
                    ..turn_back.clone()
                })
            })
            .collect()
        }
    }
}

/// A kernel's sixteen numbers: `G g Gᵀ`.
fn turn_kernel(kernel: &[f32; 9]) -> [f32; PLACES] {
    let line = |[a, b, c]: [f64; 3]| [a, f64::midpoint(a + b, c), f64::midpoint(a - b, c), c];
    let rows = [0, 3, 6].map(|row| line([0, 1, 2].map(|column| f64::from(kernel[row + column]))));
    let columns = [0, 1, 2, 3].map(|column| line(rows.map(|row| row[column])));
    core::array::from_fn(|place| columns[place % 4][place / 4] as f32)
}

/// `Bᵀ d`, of a row or a column.
///
/// A function: the compiler does not always compile closures with the kernel's instructions.
#[inline(always)]
fn turn<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 4] {
    [a.minus(c), b.plus(c), c.minus(b), b.minus(d)]
}

/// `Aᵀ m`, of a row or a column.
#[inline(always)]
fn turn_back<V: Lanes>([a, b, c, d]: [V; 4]) -> [V; 2] {
    [a.plus(b).plus(c), b.minus(c).minus(d)]
}

#[inline(always)]
fn columns<V: Lanes, const WIDTH: usize>(rows: [[V; WIDTH]; 4]) -> [[V; 4]; WIDTH] {
    let mut columns = [[V::splat(0.0); 4]; WIDTH];
    for (index, row) in rows.into_iter().enumerate() {
        for (column, value) in columns.iter_mut().zip(row) {
            column[index] = value;
        }
    }
    columns
}

/// Tiles of 4 x 4 pixels, two apart, transformed into their sixteen numbers: `Bᵀ d B`, `[place][tile]`, `step` values
/// per tile.
///
/// The caller of `run` guarantees that the input is a readable picture of its map, that `zeros` is a pixel of it, and
/// that `output` is writable by no other thread.
struct TurnInput<'a> {
    zeros: *const f32,
    part: &'a Tiles,
    output: *mut f32,
    step: usize,
}

impl Kernel for TurnInput<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Tiles {
            input,
            map,
            before: [above, left],
            ref numbers,
            output_map,
            ..
        } = *self.part;
        let per_row = output_map.width.div_ceil(2);
        for (index, tile) in numbers.clone().enumerate() {
            let (top, first) = (2 * (tile / per_row), 2 * (tile % per_row));
            let mut places = [[ptr::null::<f32>(); 4]; 4];
            for (row, places) in places.iter_mut().enumerate() {
                for (column, place) in places.iter_mut().enumerate() {
                    // Pixels before the picture wrap around to large numbers.
                    let (y, x) = ((top + row).wrapping_sub(above), (first + column).wrapping_sub(left));
                    *place = if y < map.height && x < map.width {
                        input.wrapping_add(y * map.row() + x * map.step)
                    } else {
                        self.zeros
                    };
                }
            }
            for lane in (0..map.step).step_by(V::WIDTH) {
                // SAFETY: a vector of channels ends within a pixel's padding; there is room for every tile's numbers.
                unsafe {
                    let mut rows = [[V::splat(0.0); 4]; 4];
                    for (row, places) in rows.iter_mut().zip(&places) {
                        for (value, place) in row.iter_mut().zip(places) {
                            *value = V::load(place.add(lane));
                        }
                        *row = turn(*row);
                    }
                    for (column, values) in columns(rows).into_iter().enumerate() {
                        for (row, number) in turn(values).into_iter().enumerate() {
                            let place = (4 * row + column) * TILES + index;
                            number.store(self.output.add(place * self.step + lane));
                        }
                    }
                }
            }
        }
    }
}

/// The way back: `Aᵀ m A`, plus bias and residual, clamped. Tells whether all sums are finite.
///
/// The caller of `run` guarantees that `input` holds the sixteen numbers of every tile, and that the outputs of the
/// tiles are writable by no other thread.
#[derive(Clone)]
struct TurnBack<'a> {
    input: *const f32,
    step: usize,
    bias: &'a [f32],
    part: &'a Tiles,
    /// The tile whose numbers come first.
    first: usize,
    tiles: Range<usize>,
    panels: Range<usize>,
}

impl Kernel for TurnBack<'_> {
    type Output = bool;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> bool {
        let Self {
            first, tiles, panels, ..
        } = self;
        let Tiles {
            epilogue,
            output,
            output_map: map,
            ..
        } = *self.part;
        let per_row = map.width.div_ceil(2);
        let lanes = panels.start * PANEL..map.step.min(panels.end * PANEL);
        let zero = V::splat(0.0);
        let [least, most] = epilogue.activation.clamp();
        let [least, most] = [least, most].map(V::splat);
        // 0 times each sum: NaN if one of them is not finite.
        let mut witness = zero;
        for tile in tiles {
            let index = tile - first;
            let (top, left) = (2 * (tile / per_row), 2 * (tile % per_row));
            for lane in lanes.clone().step_by(V::WIDTH) {
                // SAFETY: every tile has its numbers, a vector of them ends within their padding, and there is as much
                // bias.
                unsafe {
                    let bias = V::load(self.bias.as_ptr().add(lane));
                    let mut rows = [[V::splat(0.0); 2]; 4];
                    for (row, values) in rows.iter_mut().enumerate() {
                        let mut numbers = [V::splat(0.0); 4];
                        for (column, number) in numbers.iter_mut().enumerate() {
                            let place = (4 * row + column) * TILES + index;
                            *number = V::load(self.input.add(place * self.step + lane));
                        }
                        *values = turn_back(numbers);
                    }
                    for (column, values) in columns(rows).into_iter().enumerate() {
                        for (row, value) in turn_back(values).into_iter().enumerate() {
                            let mut value = value.plus(bias);
                            witness = value.mul_add(zero, witness);
                            let (y, x) = (top + row, left + column);
                            if y < map.height && x < map.width {
                                let place = y * map.row() + x * map.step + lane;
                                if let Some(residual) = epilogue.residual {
                                    value = value.plus(V::load(residual.add(place)));
                                }
                                value.at_most(most).at_least(least).store(output.add(place));
                            }
                        }
                    }
                }
            }
        }
        let mut values = [0.0; PANEL];
        // SAFETY: no vector is wider than sixteen values.
        unsafe { witness.store(values.as_mut_ptr()) };
        values.iter().all(|value| !value.is_nan())
    }
}
