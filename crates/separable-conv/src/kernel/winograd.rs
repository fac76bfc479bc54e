//! A 3 x 3 convolution of stride 1 with 16 multiplications for every 2 x 2 outputs instead of 36: F(2 x 2, 3 x 3) of Lavin and
//! Gray 2015, arXiv 1509.09308, section 4.1.
//!
//! A tile of 4 x 4 inputs and the kernel are turned into sixteen numbers each; products of these, added up over the channels
//! as sixteen matrices, are turned back into 2 x 2 outputs. The transforms add and subtract, so what should be infinite can
//! become NaN: outputs that are not all finite are computed again in the order of the definition.

use core::ops::Range;
use core::ptr;

use super::buffer::{Buffer, padded};
use super::isa::{Isa, Kernel};
use super::lanes::Lanes;
use super::layer::share;
use super::map::Map;
use super::matmul::{Finish, Multiply, Pixels, Reach, Soon};
use super::packed::{PANEL, PackedMatrix};

/// Numbers of a tile.
const PLACES: usize = 16;

/// Tiles that are worked on at a time: their numbers, before and after the multiplication, stay in the second-level cache.
const TILES: usize = 28;

/// Values between the tiles beyond their channels, as in a separable convolution.
const GAP: usize = 16;

/// Inputs below which the sums are too short to be worth it.
const FEWEST_INPUTS: usize = 16;

/// The kernel of such a convolution.
pub(crate) struct Winograd {
    /// A matrix for each of a tile's numbers, without bias.
    matrices: Vec<PackedMatrix>,
    bias: Buffer,
    /// A pixel of them, which is what lies outside of a map.
    zeros: Buffer,
}

impl Winograd {
    /// Packs weights `[outputs, inputs, 3, 3]`; `None` if the ordinary way is better.
    pub(crate) fn new(
        mut zeros: impl FnMut(usize) -> Buffer,
        weights: &[f32],
        bias: Option<&[f32]>,
        inputs: usize,
        outputs: usize,
    ) -> Option<Self> {
        if inputs < FEWEST_INPUTS {
            return None;
        }
        // Rounded once: the transform is in f64.
        let turned: Vec<[f32; PLACES]> = weights.as_chunks().0.iter().map(turn_kernel).collect();
        let matrices = (0..PLACES)
            .map(|place| {
                PackedMatrix::new(&mut zeros, inputs, outputs, None, |panel, rows| {
                    for (input, row) in rows.iter_mut().enumerate() {
                        for (lane, output) in panel.clone().enumerate() {
                            row[lane] = turned[output * inputs + input][place];
                        }
                    }
                })
            })
            .collect();
        let mut all_bias = Buffer::zeros(padded(outputs));
        if let Some(bias) = bias {
            all_bias.as_mut_slice()[..outputs].copy_from_slice(&bias[..outputs]);
        }
        Some(Self {
            matrices,
            bias: all_bias,
            zeros: Buffer::zeros(padded(inputs)),
        })
    }

    /// Bytes held.
    pub(crate) fn bytes(&self) -> usize {
        self.matrices.iter().map(PackedMatrix::bytes).sum::<usize>() + self.bias.bytes() + self.zeros.bytes()
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

    /// Tiles of two rows of `width` outputs, as many at a time as there is scratch for.
    pub(crate) fn parts(width: usize) -> impl Iterator<Item = Range<usize>> {
        let tiles = width.div_ceil(2);
        let parts = tiles.div_ceil(TILES);
        (0..parts).map(move |part| share(tiles, part, parts))
    }

    /// Computes some tiles of rows `y` and `y + 1`, and gives whether all of their outputs are finite; if not, they are to be
    /// computed in the order of the definition.
    ///
    /// # Safety
    ///
    /// `input` must be a readable picture of `map`, and these pixels of `output`, a picture of `output_map`, writable by nobody
    /// else.
    #[allow(clippy::too_many_arguments, reason = "all of them change from call to call")]
    pub(crate) unsafe fn run(
        &self,
        isa: Isa,
        input: *const f32,
        map: &Map,
        y: usize,
        tiles: Range<usize>,
        relu: bool,
        output: *mut f32,
        output_map: &Map,
        scratch: &mut [f32],
    ) -> bool {
        let (before, after) = scratch[..self.scratch()].split_at_mut(PLACES * TILES * self.before());
        let (from, to) = (before.as_mut_ptr(), after.as_mut_ptr());
        // SAFETY: the caller vouches for the picture and the output; the scratch has room for the numbers of all tiles.
        unsafe {
            isa.run(TurnInput {
                zeros: self.zeros.as_slice().as_ptr(),
                input,
                map,
                y,
                tiles: tiles.clone(),
                output: from,
                step: self.before(),
            });
            for (place, weights) in self.matrices.iter().enumerate() {
                isa.run(Multiply {
                    input: from.add(place * TILES * self.before()),
                    pixels: Pixels::row(tiles.len(), self.before(), self.after(), Soon::NOTHING),
                    reach: Reach::pixel(weights.inputs()),
                    weights,
                    panels: 0..weights.panels(),
                    finish: Finish {
                        residual: None,
                        relu: false,
                    },
                    output: to.add(place * TILES * self.after()),
                });
            }
            isa.run(TurnBack {
                input: to,
                step: self.after(),
                bias: self.bias.as_slice(),
                relu,
                y,
                tiles,
                output,
                map: output_map,
            })
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
/// A function, not a closure, as below: those are not always compiled with the kernel's instructions.
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

/// Tiles of 4 x 4 pixels, two apart, turned into their sixteen numbers: `Bᵀ d B`, `[place][tile]`, `step` values a tile.
///
/// Whoever runs it vouches that `input` is a readable picture of `map`, that `zeros` is a pixel of them, and that `output` is
/// writable by nobody else.
struct TurnInput<'a> {
    zeros: *const f32,
    input: *const f32,
    map: &'a Map,
    /// The first row of all tiles.
    y: usize,
    tiles: Range<usize>,
    output: *mut f32,
    step: usize,
}

impl Kernel for TurnInput<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for (index, tile) in self.tiles.enumerate() {
            let mut places = [[ptr::null::<f32>(); 4]; 4];
            for (row, places) in places.iter_mut().enumerate() {
                for (column, place) in places.iter_mut().enumerate() {
                    let (y, x) = (self.y + row, 2 * tile + column);
                    *place = if y < self.map.height && x < self.map.width {
                        self.input.wrapping_add(y * self.map.row() + x * self.map.step)
                    } else {
                        self.zeros
                    };
                }
            }
            for lane in (0..self.map.step).step_by(V::WIDTH) {
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

/// The way back: `Aᵀ m A`, plus the bias, into two rows of a picture. Gives whether all of it is finite.
///
/// Whoever runs it vouches that `input` holds the sixteen numbers of every tile, and that the rows of the output, a picture of
/// `map`, are writable by nobody else.
struct TurnBack<'a> {
    input: *const f32,
    step: usize,
    bias: &'a [f32],
    relu: bool,
    y: usize,
    tiles: Range<usize>,
    output: *mut f32,
    map: &'a Map,
}

impl Kernel for TurnBack<'_> {
    type Output = bool;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> bool {
        let zero = V::splat(0.0);
        let least = V::splat(if self.relu { 0.0 } else { f32::NEG_INFINITY });
        // Zero times anything, or NaN if that is not finite.
        let mut witness = zero;
        for (index, tile) in self.tiles.enumerate() {
            for lane in (0..self.map.step).step_by(V::WIDTH) {
                // SAFETY: every tile has its numbers, a vector of them ends within their padding, and there is as much bias.
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
                            let value = value.plus(bias);
                            witness = value.mul_add(zero, witness);
                            let (y, x) = (self.y + row, 2 * tile + column);
                            if y < self.map.height && x < self.map.width {
                                let place = y * self.map.row() + x * self.map.step + lane;
                                value.at_least(least).store(self.output.add(place));
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
