//! Weight gradients: sums over output pixels of products of an output gradient and the inputs of its window.
//!
//! As matrices: `[outputs, pixels] x [pixels, taps x inputs]`. Pixels are the inner dimension, so both operands are
//! read in the order in which they lie in memory, a block of pixels at a time. Within a block, the output gradients of
//! a job are packed into the second-level cache, and a panel of inputs into the first-level cache.

use core::ops::Range;

use rayon::prelude::*;

use super::geometry::Checked;
use super::pixel_product::{MapInput, MapPart, Visit, Visited, most_pixels};
use super::scratch::Scratch;
use super::tile::{Ahead, Even, MOST_COLUMNS, PackedTile, Target, Tiles, by_rows, panel};
use crate::memory::buffer::{LINE, Shared, padded};
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::Lanes;
use crate::team::{Round, work_through};

/// Pixels per block. A panel of inputs is 16 KiB.
pub(super) const BLOCK: usize = 256;

/// Rows of output gradients that are packed at a time: 200 KiB.
pub(super) const ROWS: usize = 192;

/// Gradients with at most this many values share the pixels out between jobs, each with its own sums.
const SMALL: usize = 128 * 1024;

/// The most parts of the pixels. Each part has its own sums.
const PARTS: usize = 16;

/// Jobs per thread, so that no thread waits long for the last job.
const JOBS: usize = 3;

/// With at most this many groups of rows and columns, each group computes a fleeting input for itself.
const FLEETING: usize = 1;

/// Writes the gradient of the weights. The caller has checked the lengths.
///
/// Where pixels are cut into parts depends only on the sizes, and the parts are added in order, so results have the
/// same bits for any number of threads.
pub(super) fn weight_gradient(
    checked: &Checked,
    isa: Isa,
    input: MapInput<'_>,
    output_gradient: &[f32],
    target: &mut [f32],
) {
    let (rows, width) = (checked.output.channels, checked.taps() * checked.input.channels);
    let pixels = checked.geometry.batch * checked.output.pixels();
    let parts = if rows * width <= SMALL {
        pixels.div_ceil(4 * BLOCK).clamp(1, PARTS)
    } else {
        1
    };
    let threads = rayon::current_num_threads();
    let row_blocks = rows.div_ceil(ROWS);
    // Columns are cut only if that gives every thread work, because rows are then packed more than once.
    let panels = width.div_ceil(MOST_COLUMNS);
    let column_blocks = (threads * JOBS).div_ceil(parts * row_blocks).min(panels).max(1);
    let columns_of = |block: usize| {
        let cut = |block: usize| (panels * block / column_blocks * MOST_COLUMNS).min(width);
        cut(block)..cut(block + 1)
    };
    let rows_of = |block: usize| rows * block / row_blocks..rows * (block + 1) / row_blocks;
    let direct = parts == 1 && checked.taps() == 1;

    let mut whole_map;
    let mut source = Visited {
        values: None,
        pixels: checked.geometry.batch * checked.input.pixels(),
        channels: checked.input.channels,
        most: most_pixels(checked.input.channels),
        visit: None,
        reads: None,
    };
    let mut fleeting = None;
    match input {
        MapInput::Ready(values) => source.values = Some(Shared::reading(values)),
        MapInput::Made(values, visit) => (source.values, source.visit) = (Some(Shared::new(values)), Some(visit)),
        MapInput::Fleeting(visit, _) if checked.is_pointwise() && row_blocks * column_blocks <= FLEETING => {
            fleeting = Some(visit);
        }
        MapInput::Fleeting(visit, _) => {
            whole_map = Scratch::take(source.pixels * source.channels);
            (source.values, source.visit) = (Some(Shared::new(whole_map.as_mut_slice())), Some(visit));
        }
    }

    let mut sums = Scratch::take(if direct { 0 } else { parts * rows * width });
    let sums = if direct {
        Shared::new(target)
    } else {
        Shared::new(sums.as_mut_slice())
    };
    let own_map = if fleeting.is_some() {
        padded(BLOCK * source.channels)
    } else {
        0
    };
    let own = scratch() + own_map;
    let mut memory = Scratch::take(threads * own);
    let memory = Shared::new(memory.as_mut_slice());
    let rounds = [
        source.visit.map_or(0, |_| source.parts()),
        parts * row_blocks * column_blocks,
    ];
    let work = |worker: usize, round: usize, job: usize| {
        let (block, part) = (job % (row_blocks * column_blocks), job / (row_blocks * column_blocks));
        // SAFETY: the caller has checked the lengths; a part of the input belongs to one job; workers have different
        // numbers, below `threads`, and so different scratch memory; the rows and columns of a block in the sums of a
        // part belong to one job.
        unsafe {
            if round == 0 {
                source.part(job, core::ptr::null_mut());
                return;
            }
            let memory = core::slice::from_raw_parts_mut(memory.address().add(worker * own), own);
            let (own_map, scratch) = memory.split_at_mut(own_map);
            isa.run(WeightProduct {
                checked,
                input: source
                    .values
                    .map_or(core::ptr::null(), |values| values.address().cast_const()),
                fleeting: fleeting.map(|visit| (visit, own_map)),
                output_gradient: output_gradient.as_ptr(),
                pixels: pixels * part / parts..pixels * (part + 1) / parts,
                rows: rows_of(block % row_blocks),
                columns: columns_of(block / row_blocks),
                target: sums.address().add(part * rows * width),
                scratch,
            });
        }
    };
    work_through(threads, &rounds.map(Round::new), &work, &|_| ());
    if !direct {
        // SAFETY: the jobs are done, and have written all sums of all parts.
        let sums = unsafe { core::slice::from_raw_parts(sums.address(), parts * rows * width) };
        add_parts(checked, sums, target);
    }
}

/// Adds the parts `[part, output, tap, input]` in order, into `[output, input, tap]`.
fn add_parts(checked: &Checked, sums: &[f32], target: &mut [f32]) {
    let (taps, inputs) = (checked.taps(), checked.input.channels);
    let part = target.len();
    target
        .par_chunks_mut(taps * inputs)
        .enumerate()
        .for_each(|(row, target)| {
            for tap in 0..taps {
                let at = (row * taps + tap) * inputs;
                for (input, value) in target.iter_mut().skip(tap).step_by(taps).enumerate() {
                    *value = sums[at + input..].iter().step_by(part).sum();
                }
            }
        });
}

/// Values of scratch memory that a job needs.
pub(super) fn scratch() -> usize {
    // A panel; tiles of up to fourteen rows, each padded by at most two lines.
    BLOCK * (MOST_COLUMNS + ROWS + 14) + (ROWS / 2 + 14) * 2 * LINE
}

/// Some rows (outputs) and some columns (taps x inputs) of the gradient, summed over some pixels.
///
/// The caller of `run` guarantees that the maps have the lengths of `checked`, that `scratch` holds [`scratch`] values,
/// and that no other thread writes to these rows and columns of `target`, which is `[outputs, taps, inputs]`.
pub(super) struct WeightProduct<'a> {
    pub checked: &'a Checked,
    /// The input, unless it comes from `fleeting`.
    pub input: *const f32,
    /// Computes a block of the input, in this memory.
    pub fleeting: Option<(Visit<'a>, &'a mut [f32])>,
    pub output_gradient: *const f32,
    pub pixels: Range<usize>,
    /// At most [`ROWS`].
    pub rows: Range<usize>,
    /// Begins at a multiple of [`MOST_COLUMNS`].
    pub columns: Range<usize>,
    pub target: *mut f32,
    pub scratch: &'a mut [f32],
}

impl Kernel for WeightProduct<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(mut self) {
        let width = self.checked.taps() * self.checked.input.channels;
        let tiles = Tiles::new(self.rows.len(), V::TILE[0]);
        let scratch = core::mem::take(&mut self.scratch);
        let (right, left) = scratch.split_at_mut(BLOCK * panel::<V>());
        let (left, right) = (left.as_mut_ptr(), right.as_mut_ptr());
        // Blocks have equal sizes: a short block reads and writes as many sums as a long one.
        let blocks = self.pixels.len().div_ceil(BLOCK).max(1);
        let size = self.pixels.len().div_ceil(blocks).max(1);
        for start in self.pixels.clone().step_by(size) {
            let block = start..self.pixels.end.min(start + size);
            let steps = block.len();
            if let Some((visit, memory)) = &mut self.fleeting {
                let channels = self.checked.input.channels;
                visit(MapPart {
                    index: 0,
                    pixels: block.clone(),
                    values: &mut memory[..steps * channels],
                });
                self.input = memory.as_ptr().wrapping_sub(block.start * channels);
            }
            // SAFETY: the scratch memory holds a panel and all tiles of a block.
            unsafe { self.pack_rows::<V>(&block, tiles, left) };
            let panels = self.columns.len().div_ceil(panel::<V>());
            let next_block = block.end..self.pixels.end.min(block.end + size);
            let mut ahead = [Ahead::NONE, self.rows_ahead(&next_block, panels * tiles.count, steps)];
            for first in self.columns.clone().step_by(panel::<V>()) {
                let columns = first..self.columns.end.min(first + panel::<V>());
                ahead[0] = if columns.end < self.columns.end {
                    self.columns_ahead::<V>(&block, columns.end, tiles.count, steps)
                } else {
                    self.columns_ahead::<V>(&next_block, self.columns.start, tiles.count, steps)
                };
                // SAFETY: as above; the caller guarantees the target.
                unsafe {
                    self.pack_columns::<V>(&block, &columns, right);
                    for tile in 0..tiles.count {
                        let (row, rows) = tiles.at(tile);
                        let tile = PackedTile {
                            left: left.add(tile * tile_step(V::TILE[0], steps)),
                            right,
                            steps,
                            target: Target {
                                places: Even {
                                    first: self.target.add((self.rows.start + row) * width + columns.start),
                                    step: width,
                                },
                                columns: columns.len(),
                                add: start > self.pixels.start,
                            },
                        };
                        by_rows!(rows, V::TILE[0], run, &tile, &mut ahead);
                    }
                }
            }
        }
    }
}

/// Values from a packed tile to the next: an odd number of cache lines, so that tiles do not share sets of the cache.
const fn tile_step(rows: usize, steps: usize) -> usize {
    ((rows * steps).div_ceil(LINE) | 1) * LINE
}

/// # Safety
///
/// See [`PackedTile::run`].
#[inline(always)]
unsafe fn run<V: Lanes, const ROWS: usize>(tile: &PackedTile<Even>, ahead: &mut [Ahead; 2]) {
    // SAFETY: the caller's promise is the same.
    unsafe { tile.run::<V, ROWS>(ahead) }
}

/// Pixels that are packed into one tile before the next tile.
const TOGETHER: usize = 8;

impl WeightProduct<'_> {
    /// The output gradients of a block, as memory to prefetch.
    fn rows_ahead(&self, block: &Range<usize>, tiles: usize, steps: usize) -> Ahead {
        let step = self.checked.output.channels;
        let from = self.output_gradient.wrapping_add(block.start * step + self.rows.start);
        let lines = self.rows.len().div_ceil(LINE);
        Ahead::new(from, [block.len(), lines, step], tiles, steps)
    }

    /// The inputs of a panel, as memory to prefetch; none for kernels other than 1 x 1, which read most inputs several
    /// times and find them in the caches.
    fn columns_ahead<V: Lanes>(&self, block: &Range<usize>, column: usize, tiles: usize, steps: usize) -> Ahead {
        if !self.checked.is_pointwise() || self.fleeting.is_some() {
            return Ahead::NONE;
        }
        let step = self.checked.input.channels;
        // Starts at the last value of a line: where pixels do not start on a cache line, the panel before has read the
        // first line.
        let from = self.input.wrapping_add(block.start * step + column + LINE - 1);
        Ahead::new(from, [block.len(), panel::<V>() / LINE, step], tiles, steps)
    }

    /// Packs output gradients as `[tile][pixel][row]`.
    ///
    /// # Safety
    ///
    /// See [`WeightProduct`]; `to` must be writable for all tiles.
    #[inline(always)]
    unsafe fn pack_rows<V: Lanes>(&self, block: &Range<usize>, tiles: Tiles, to: *mut f32) {
        let step = self.checked.output.channels;
        for start in block.clone().step_by(TOGETHER) {
            let count = (block.end - start).min(TOGETHER);
            for tile in 0..tiles.count {
                let (row, rows) = tiles.at(tile);
                // SAFETY: these rows are output channels of pixels of the map.
                unsafe {
                    let from = self.output_gradient.add(start * step + self.rows.start + row);
                    let to = to.add(tile * tile_step(V::TILE[0], block.len()) + (start - block.start) * rows);
                    by_rows!(rows, V::TILE[0], copy_rows, from, step, to, count);
                }
            }
        }
    }

    /// Packs the inputs of a panel as `[pixel][column]`.
    ///
    /// # Safety
    ///
    /// See [`WeightProduct`]; `to` must be writable for all pixels of the block.
    #[inline(always)]
    unsafe fn pack_columns<V: Lanes>(&self, block: &Range<usize>, columns: &Range<usize>, to: *mut f32) {
        let channels = self.checked.input.channels;
        // SAFETY: a panel for each pixel of the block is writable.
        unsafe {
            if columns.len() < panel::<V>() {
                core::slice::from_raw_parts_mut(to, block.len() * panel::<V>()).fill(0.0);
            }
            let mut column = columns.start;
            while column < columns.end {
                let (tap, channel) = (column / channels, column % channels);
                let len = (channels - channel).min(columns.end - column);
                let to = to.add(column - columns.start);
                for run in self.checked.runs(block.clone(), tap) {
                    // Each run consists of pixels of the block and of the map.
                    let to = to.add((run.output - block.start) * panel::<V>());
                    match run.input {
                        None => fill::<V>(to, run.count, len),
                        Some(pixel) => {
                            let from = self.input.add(pixel * channels + channel);
                            copy_columns::<V>(from, run.step * channels, to, run.count, len);
                        }
                    }
                }
                column += len;
            }
        }
    }
}

/// Copies `ROWS` neighbouring values of `count` pixels.
///
/// # Safety
///
/// The values must be readable at `from`, and their places at `to` writable.
#[inline(always)]
unsafe fn copy_rows<V: Lanes, const ROWS: usize>(from: *const f32, step: usize, to: *mut f32, count: usize) {
    for pixel in 0..count {
        // SAFETY: the caller's promise is the same.
        unsafe {
            let values = from.add(pixel * step).cast::<[f32; ROWS]>().read_unaligned();
            to.add(pixel * ROWS).cast::<[f32; ROWS]>().write_unaligned(values);
        }
    }
}

/// Copies `len` values of `count` pixels into a panel.
///
/// # Safety
///
/// The values must be readable, and their places in the panel writable.
#[inline(always)]
unsafe fn copy_columns<V: Lanes>(from: *const f32, step: usize, to: *mut f32, count: usize, len: usize) {
    // SAFETY: the caller's promise is the same.
    unsafe {
        if len == panel::<V>() {
            for pixel in 0..count {
                for vector in 0..V::TILE[1] {
                    let lane = vector * V::WIDTH;
                    V::load(from.add(pixel * step + lane)).store(to.add(pixel * panel::<V>() + lane));
                }
            }
            return;
        }
        for pixel in 0..count {
            let (from, to) = (from.add(pixel * step), to.add(pixel * panel::<V>()));
            let mut lane = 0;
            while lane + V::WIDTH <= len {
                V::load(from.add(lane)).store(to.add(lane));
                lane += V::WIDTH;
            }
            while lane < len {
                *to.add(lane) = *from.add(lane);
                lane += 1;
            }
        }
    }
}

/// Writes zeros for `len` values of `count` pixels of a panel.
///
/// # Safety
///
/// These places must be writable.
#[inline(always)]
unsafe fn fill<V: Lanes>(to: *mut f32, count: usize, len: usize) {
    for pixel in 0..count {
        for lane in 0..len {
            // SAFETY: the caller's promise is the same.
            unsafe { *to.add(pixel * panel::<V>() + lane) = 0.0 };
        }
    }
}
