//! Outputs and input gradients: every pixel of a map as a sum of products of another map's pixels with matrices, one
//! for each tap.
//!
//! As matrices: `[pixels, taps x channels] x [taps x channels, outputs]`. The weights are packed into panels once for
//! each call. Pixels are read in place, through a table of the places at which the taps look; taps that look at padding
//! read zeros.

use core::ops::Range;

use super::correlation::{Correlation, Tap};
use super::geometry::Checked;
use super::scratch::Scratch;
use super::tile::{Ahead, GatheredTile, Listed, MOST_COLUMNS, Target, Tiles, by_rows, panel};
use crate::memory::buffer::{LINE, Shared};
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;
use crate::team::{Stage, work_through};

/// Steps of the inner product after which the next panel is multiplied: a panel is 16 KiB.
const BLOCK: usize = 256;

/// Pixels of a job: with a block of steps, 192 KiB of the source.
const PIXELS: usize = 192;

/// Jobs for each thread, where cutting outputs into groups can give as many.
const JOBS: usize = 2;

/// Weights in Burn's order, `[outputs, inputs, taps]`, as a matrix for each tap.
#[derive(Clone, Copy)]
struct Weights<'a> {
    values: &'a [f32],
    /// Values from a row of the matrix to the next, and from a column to the next.
    steps: [usize; 2],
}

/// Writes the output. The caller has checked the lengths.
pub(super) fn forward(checked: &Checked, isa: Isa, [input, weights]: [&[f32]; 2], output: &mut [f32]) {
    let taps = checked.taps();
    let weights = Weights {
        values: weights,
        steps: [taps, checked.input.channels * taps],
    };
    Correlation::forward(checked).run(isa, input, weights, output);
}

/// Writes the gradient of the input. The caller has checked the lengths.
pub(super) fn input_gradient(checked: &Checked, isa: Isa, [weights, gradient]: [&[f32]; 2], target: &mut [f32]) {
    let taps = checked.taps();
    let weights = Weights {
        values: weights,
        steps: [checked.input.channels * taps, taps],
    };
    for correlation in Correlation::input_gradient(checked) {
        correlation.run(isa, gradient, weights, target);
    }
}

impl Correlation {
    fn run(&self, isa: Isa, source: &[f32], weights: Weights<'_>, target: &mut [f32]) {
        let (inputs, outputs) = (self.source.channels, self.target.channels);
        let pixels = self.batch * self.size[0] * self.size[1];
        // SAFETY: it only tells the width of vectors.
        let columns = unsafe { isa.run(Columns) };
        let panels = outputs.div_ceil(columns);
        let panel = self.taps.len() * inputs * columns;
        let mut packed = Scratch::take(panels * panel);
        let packed = Shared::new(packed.as_mut_slice());
        let zeros = vec![0.0; inputs * self.merged];

        let threads = rayon::current_num_threads();
        // A multiple of four, so that two or four threads have the same number of jobs.
        let pixel_jobs = pixels.div_ceil(PIXELS).next_multiple_of(4).min(pixels);
        let panel_jobs = (threads * JOBS).div_ceil(pixel_jobs.max(1)).min(panels);
        let target = Shared::new(target);
        let stages = [Stage::new(panels), Stage::new(pixel_jobs * panel_jobs)];
        let work = |_, stage: usize, job: usize| {
            if stage == 0 {
                // SAFETY: every job writes to a panel of its own.
                let to = unsafe { core::slice::from_raw_parts_mut(packed.address().add(job * panel), panel) };
                weights.pack(
                    &self.taps,
                    inputs,
                    job * columns..outputs.min((job + 1) * columns),
                    columns,
                    to,
                );
                return;
            }
            let (part, group) = (job / panel_jobs, job % panel_jobs);
            // SAFETY: the panels are packed; the caller of `forward` and `input_gradient` has checked the lengths; a
            // job writes to panels of pixels that belong to no other job.
            unsafe {
                isa.run(PixelProduct {
                    correlation: self,
                    source: source.as_ptr(),
                    zeros: zeros.as_ptr(),
                    pixels: pixels * part / pixel_jobs..pixels * (part + 1) / pixel_jobs,
                    packed: packed.address().cast_const(),
                    panels: panels * group / panel_jobs..panels * (group + 1) / panel_jobs,
                    target: target.address(),
                });
            }
        };
        work_through(threads, &stages, &work, &|_| ());
    }
}

impl Weights<'_> {
    /// Packs outputs `outputs` as `[tap][input][column]`, `columns` columns, those without an output 0.
    fn pack(&self, taps: &[Tap], inputs: usize, outputs: Range<usize>, columns: usize, to: &mut [f32]) {
        let [row, column] = self.steps;
        if outputs.len() < columns {
            to.fill(0.0);
        }
        for (tap, to) in taps.iter().zip(to.chunks_exact_mut(inputs * columns)) {
            let values = &self.values[tap.number..];
            if column == 1 {
                for (input, to) in to.chunks_exact_mut(columns).enumerate() {
                    to[..outputs.len()].copy_from_slice(&values[input * row + outputs.start..][..outputs.len()]);
                }
                continue;
            }
            // A block of inputs of all outputs at a time: lines that are written sixteen times stay in the first-level
            // cache.
            for (block, to) in to.chunks_mut(TOGETHER * columns).enumerate() {
                for (lane, output) in outputs.clone().enumerate() {
                    let from = values[output * column + block * TOGETHER * row..].iter().step_by(row);
                    for (to, value) in to[lane..].iter_mut().step_by(columns).zip(from) {
                        *to = *value;
                    }
                }
            }
        }
    }
}

/// Inputs that are packed at a time.
const TOGETHER: usize = 64;

/// The width of a panel.
struct Columns;

impl Kernel for Columns {
    type Output = usize;

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) -> usize {
        const { assert!(panel::<V>() <= MOST_COLUMNS) };
        panel::<V>()
    }
}

/// Some pixels of a correlation, and the outputs of some panels.
///
/// The caller of `run` guarantees that the maps have the sizes of the correlation, that `zeros` are as many as a
/// segment reads, and that no other thread writes to these outputs of these pixels.
struct PixelProduct<'a> {
    correlation: &'a Correlation,
    source: *const f32,
    zeros: *const f32,
    pixels: Range<usize>,
    packed: *const f32,
    panels: Range<usize>,
    target: *mut f32,
}

/// A block of steps: some whole segments, or a part of one.
#[derive(Clone, Copy)]
struct Block {
    segment: usize,
    segments: usize,
    skip: usize,
    steps: usize,
}

/// Cuts `segments` segments of `len` steps into blocks. There is at least one block.
fn blocks(segments: usize, len: usize) -> Vec<Block> {
    if segments == 0 {
        return vec![Block {
            segment: 0,
            segments: 0,
            skip: 0,
            steps: 0,
        }];
    }
    let pieces = len.div_ceil(BLOCK);
    let together = if pieces == 1 {
        // Blocks of nearly equal size.
        let blocks = segments.div_ceil((BLOCK / len).max(1));
        segments.div_ceil(blocks)
    } else {
        1
    };
    let cut = |piece: usize| len * piece / pieces;
    (0..segments)
        .step_by(together)
        .flat_map(|segment| {
            (0..pieces).map(move |piece| Block {
                segment,
                segments: together.min(segments - segment),
                skip: cut(piece),
                steps: cut(piece + 1) - cut(piece),
            })
        })
        .collect()
}

impl Kernel for PixelProduct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Self { correlation, .. } = self;
        let (inputs, outputs) = (correlation.source.channels, correlation.target.channels);
        let (targets, sources) = correlation.places(&self.pixels, self.source, self.zeros);
        let count = self.pixels.len();
        let tiles = Tiles::new(count, V::TILE[0]);
        let len = inputs * correlation.merged;
        let panel_len = correlation.taps.len() * inputs * panel::<V>();
        for (index, block) in blocks(correlation.taps.len() / correlation.merged, len)
            .into_iter()
            .enumerate()
        {
            let begin = (block.segment * len + block.skip) * panel::<V>();
            let steps = block.segments * block.steps;
            for number in self.panels.clone() {
                let right = self.packed.wrapping_add(number * panel_len + begin);
                let lines = steps * panel::<V>() / LINE;
                let mut ahead = Ahead::new(right.wrapping_add(panel_len), [1, lines, 0], tiles.count, steps);
                for tile in 0..tiles.count {
                    let (row, rows) = tiles.at(tile);
                    let tile = GatheredTile {
                        left: sources.as_ptr().wrapping_add(block.segment * count + row),
                        next: count,
                        segments: block.segments,
                        skip: block.skip,
                        steps: block.steps,
                        right,
                        target: Target {
                            places: Listed {
                                first: self.target.wrapping_add(number * panel::<V>()),
                                offsets: &targets[row..row + rows],
                            },
                            columns: (outputs - number * panel::<V>()).min(panel::<V>()),
                            add: index > 0,
                        },
                    };
                    // SAFETY: the table has a readable place for each row and segment; the caller guarantees the rest.
                    unsafe { by_rows!(rows, V::TILE[0], run, &tile, &mut ahead) };
                }
            }
        }
    }
}

/// # Safety
///
/// See [`GatheredTile::run`].
#[inline(always)]
unsafe fn run<V: Lanes, const ROWS: usize>(tile: &GatheredTile<Listed<'_>>, ahead: &mut Ahead) {
    // SAFETY: the caller's promise is the same.
    unsafe { tile.run::<V, ROWS>(ahead) }
}
