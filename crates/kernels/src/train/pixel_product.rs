//! Outputs and input gradients: every pixel of a map is a sum of products, of another map's pixels with one matrix for
//! each tap.
//!
//! As matrices: `[pixels, taps x channels] x [taps x channels, outputs]`. The weights are packed into panels once per
//! call. Pixels are read in place, through a table of the places that the taps read; taps on padding read zeros.

use core::ops::Range;

use super::correlation::{Correlation, Tap};
use super::geometry::Checked;
use super::scratch::Scratch;
use super::tile::{Ahead, GatheredTile, Listed, MOST_COLUMNS, Target, Tiles, by_rows, panel};
use crate::memory::buffer::{LINE, Shared, padded};
use crate::memory::cache::second_level;
use crate::memory::map::Map;
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::{Lanes, prefetch_far};
use crate::team::{Round, work_through};

/// Steps of the inner product before the next panel is multiplied. Blocks of whole segments may be a quarter longer.
///
/// Each block reads and writes all sums once. With AVX2 a panel is 16 KiB, half of a first-level cache. With AVX-512 a
/// panel is larger than that cache, and is prefetched from the second level.
const fn block<V: Lanes>() -> usize {
    if V::WIDTH < LINE { 256 } else { 512 }
}

/// At most this many bytes of packed weights stay in the second-level cache from job to job.
const SMALL: usize = 256 * 1024;

/// Divides the size of the second-level cache. The values that a later part reads are prefetched during the product, if
/// they fit into this share of the cache.
const LATER: usize = 4;

/// The most pixels of a part: with a block of steps, 192 KiB of the source. A part has fewer, but at least half as
/// many, where the channels of so many pixels do not fit into a second-level cache.
const PIXELS: usize = 192;

/// Values of a part that may have fewer pixels.
const PART: usize = 64 * 1024;

/// Jobs per thread, if cutting outputs into groups can give as many.
const JOBS: usize = 2;

/// Weights in Burn's order, `[outputs, inputs, taps]`, as one matrix for each tap.
#[derive(Clone, Copy)]
struct Weights<'a> {
    values: &'a [f32],
    /// Distance from a row of the matrix to the next, and from a column to the next.
    steps: [usize; 2],
}

/// Some neighbouring pixels of a map, numbered through the batch. Where a map is cut into parts depends only on its
/// size.
#[derive(Debug)]
pub struct MapPart<'a> {
    /// The number of the part; 0 for an operand that is computed part by part.
    pub index: usize,
    /// The part's pixels.
    pub pixels: Range<usize>,
    /// All channels of these pixels.
    pub values: &'a mut [f32],
}

/// Receives the parts of a map, each part once, on any thread.
pub type Visit<'a> = &'a (dyn Fn(MapPart<'_>) + Sync);

/// A map that a product reads.
pub enum MapInput<'a> {
    /// A map that is in memory.
    Ready(&'a [f32]),
    /// A visitor writes each part before the product reads the part. For a 1 x 1 convolution without stride, the
    /// visitor writes it just before, so that the part is in the second-level cache.
    Made(&'a mut [f32], Visit<'a>),
    /// As `Made`, in the product's own memory. Where possible, the whole map never exists. The product may ask the
    /// visitor for a part more than once.
    Fleeting(Visit<'a>, Reads<'a>),
}

/// The values that a visitor reads. They are read into the second-level cache during the product of an earlier part.
#[derive(Clone, Copy, Debug, Default)]
pub struct Reads<'a> {
    /// A map. Parts read equal shares of the map, in order.
    pub values: &'a [f32],
    /// Number of values after its share that a part reads, too.
    pub beyond: usize,
}

impl Reads<'_> {
    /// The values that these pixels, out of `all`, read and that no earlier pixel reads.
    fn later(&self, pixels: Range<usize>, all: usize) -> &[f32] {
        let places = [pixels.start, pixels.end].map(|pixel| {
            let share = self.values.len() / all * pixel;
            (share + self.beyond).min(self.values.len())
        });
        &self.values[places[0]..places[1]]
    }
}

impl MapInput<'_> {
    /// Number of values of the map; `expected` for a map that never exists as a whole.
    pub(super) fn len(&self, expected: usize) -> usize {
        match self {
            Self::Ready(values) => values.len(),
            Self::Made(values, _) => values.len(),
            Self::Fleeting(..) => expected,
        }
    }
}

/// The most pixels of a part of a map with this many channels.
pub(super) fn most_pixels(channels: usize) -> usize {
    (PART / channels).clamp(PIXELS / 2, PIXELS)
}

/// A map that is visited part by part.
#[derive(Clone, Copy)]
pub(super) struct Visited<'a> {
    /// `None` if parts are computed in the product's own memory.
    pub values: Option<Shared>,
    pub pixels: usize,
    pub channels: usize,
    /// The most pixels of a part.
    pub most: usize,
    pub visit: Option<Visit<'a>>,
    /// What the visitor reads.
    pub reads: Option<Reads<'a>>,
}

impl Visited<'_> {
    /// The number of parts: a multiple of four, so that two or four threads have the same number of jobs.
    pub(super) fn parts(&self) -> usize {
        self.pixels.div_ceil(self.most).next_multiple_of(4).min(self.pixels)
    }

    /// The pixels of a part.
    fn pixels_of(&self, index: usize) -> Range<usize> {
        let parts = self.parts();
        self.pixels * index / parts..self.pixels * (index + 1) / parts
    }

    /// Jobs of a round that visits all parts; 0 if a product visits them, or if there is no visitor.
    fn jobs(&self, visited_by_product: bool) -> usize {
        match self.visit {
            Some(_) if !visited_by_product => self.parts(),
            _ => 0,
        }
    }

    /// Visits a part, if there is a visitor. Returns the address of the map's first pixel, valid only for this part.
    /// `own` is memory for one part.
    ///
    /// # Safety
    ///
    /// The map must have all of its pixels in memory, or `own` must be memory for as many pixels as the largest part
    /// has; no other thread may use the part.
    pub(super) unsafe fn part(&self, index: usize, own: *mut f32) -> *mut f32 {
        let pixels = self.pixels_of(index);
        let before = pixels.start * self.channels;
        let first = match self.values {
            Some(values) => values.address(),
            None => own.wrapping_sub(before),
        };
        if let Some(visit) = self.visit {
            let len = pixels.len() * self.channels;
            // SAFETY: the caller's promise is the same.
            let values = unsafe { core::slice::from_raw_parts_mut(first.wrapping_add(before), len) };
            visit(MapPart { index, pixels, values });
        }
        first
    }
}

/// Writes the output, then lets `after` visit it. The caller has checked the lengths.
pub(super) fn forward(
    checked: &Checked,
    isa: Isa,
    input: MapInput<'_>,
    weights: &[f32],
    output: &mut [f32],
    after: Option<Visit<'_>>,
) {
    let taps = checked.taps();
    let weights = Weights {
        values: weights,
        steps: [taps, checked.input.channels * taps],
    };
    run(isa, &[Correlation::forward(checked)], input, weights, output, after);
}

/// Writes the gradient of the input, then lets `after` visit it. The caller has checked the lengths.
pub(super) fn input_gradient(
    checked: &Checked,
    isa: Isa,
    weights: &[f32],
    gradient: MapInput<'_>,
    target: &mut [f32],
    after: Option<Visit<'_>>,
) {
    let taps = checked.taps();
    let weights = Weights {
        values: weights,
        steps: [checked.input.channels * taps, taps],
    };
    run(
        isa,
        &Correlation::input_gradient(checked),
        gradient,
        weights,
        target,
        after,
    );
}

/// Writes the pixels of all correlations. Together the pixels are one map.
fn run(
    isa: Isa,
    correlations: &[Correlation],
    source: MapInput<'_>,
    weights: Weights<'_>,
    target: &mut [f32],
    after: Option<Visit<'_>>,
) {
    let [first, ..] = correlations else {
        return;
    };
    let visited = |map: &Map, values, visit, reads| Visited {
        values,
        pixels: first.batch * map.pixels(),
        channels: map.channels,
        most: most_pixels(first.source.channels),
        visit,
        reads,
    };
    let mut memory;
    let mut reads = None;
    let (values, before) = match source {
        MapInput::Ready(values) => (Some(Shared::reading(values)), None),
        MapInput::Made(values, visit) => (Some(Shared::new(values)), Some(visit)),
        MapInput::Fleeting(visit, read) => {
            reads = Some(read);
            let fleeting = visited(&first.source, None, Some(visit), reads);
            let values = if Jobs::new(isa, first, &fleeting).visit_source && correlations.len() == 1 {
                None
            } else {
                memory = Scratch::take(fleeting.pixels * fleeting.channels);
                Some(Shared::new(memory.as_mut_slice()))
            };
            (values, Some(visit))
        }
    };
    let target = Some(Shared::new(target));
    for (index, correlation) in correlations.iter().enumerate() {
        let last = index + 1 == correlations.len();
        let maps = [
            visited(&correlation.source, values, before.filter(|_| index == 0), reads),
            visited(&correlation.target, target, after.filter(|_| last), None),
        ];
        correlation.run(isa, maps, weights);
    }
}

/// How a correlation is cut into jobs.
struct Jobs {
    /// Number of parts of the pixels, of groups of panels, and of panels.
    parts: usize,
    groups: usize,
    panels: usize,
    /// Columns per panel.
    columns: usize,
    /// Whether a job visits the part of the source that it reads, and the part of the target that it has written.
    visit_source: bool,
    visit_target: bool,
}

impl Jobs {
    fn new(isa: Isa, correlation: &Correlation, source: &Visited<'_>) -> Self {
        let own = Visited {
            pixels: correlation.batch * correlation.size[0] * correlation.size[1],
            ..*source
        };
        // SAFETY: the kernel only returns the width of vectors.
        let columns = unsafe { isa.run(Columns) };
        let (parts, panels) = (own.parts(), correlation.target.channels.div_ceil(columns));
        let groups = (rayon::current_num_threads() * JOBS).div_ceil(parts.max(1)).min(panels);
        let whole = groups == 1 && correlation.size == correlation.target.size();
        Self {
            parts,
            groups,
            panels,
            columns,
            visit_source: whole && correlation.is_pointwise(),
            visit_target: whole,
        }
    }
}

impl Correlation {
    /// Writes the correlation's pixels. Parts of the first map are visited, then read; parts of the second map are
    /// written, then visited.
    fn run(&self, isa: Isa, [source, target]: [Visited<'_>; 2], weights: Weights<'_>) {
        let jobs = Jobs::new(isa, self, &source);
        let (inputs, outputs) = (source.channels, target.channels);
        let pixels = self.batch * self.size[0] * self.size[1];
        let panel = self.taps.len() * inputs * jobs.columns;
        let mut packed = Scratch::take(jobs.panels * panel);
        let packed = Shared::new(packed.as_mut_slice());
        let zeros = vec![0.0; inputs * self.merged];
        let threads = rayon::current_num_threads();
        let own_len = match source.values {
            Some(_) => 0,
            None => padded(pixels.div_ceil(jobs.parts.max(1)) * inputs),
        };
        let mut own = Scratch::take(threads * own_len);
        let own = Shared::new(own.as_mut_slice());
        let rounds = [
            source.jobs(jobs.visit_source),
            jobs.panels,
            jobs.parts * jobs.groups,
            target.jobs(jobs.visit_target),
        ];
        let work = |worker: usize, round: usize, job: usize| match round {
            // SAFETY: the caller of `forward` and `input_gradient` has checked the lengths; a part belongs to one job.
            0 => unsafe {
                source.part(job, core::ptr::null_mut());
            },
            1 => {
                // SAFETY: every job writes to a panel of its own.
                let to = unsafe { core::slice::from_raw_parts_mut(packed.address().add(job * panel), panel) };
                let outputs = job * jobs.columns..outputs.min((job + 1) * jobs.columns);
                weights.pack(&self.taps, inputs, outputs, jobs.columns, to);
            }
            2 => {
                let (part, group) = (job / jobs.groups, job % jobs.groups);
                // SAFETY: the panels are packed; the lengths are checked as above. A job writes only to panels of
                // pixels that belong to no other job. Of the parts that it visits, this job alone reads the part of the
                // source, and this job alone writes the part of the target.
                unsafe {
                    let own = own.address().wrapping_add(worker * own_len);
                    let from = if jobs.visit_source {
                        source.part(part, own)
                    } else {
                        source.values.map_or(own, Shared::address)
                    };
                    // The part that this worker takes next if all workers are equally fast.
                    let later = (part + threads).min(jobs.parts);
                    let later = pixels * later / jobs.parts..pixels.min(pixels * (later + 1) / jobs.parts);
                    let later = match (source.values, &source.reads) {
                        (Some(_), _) => self.later(from, later),
                        (None, Some(reads)) => {
                            let values = reads.later(later, pixels);
                            (values.as_ptr(), values.len())
                        }
                        (None, None) => (from.cast_const(), 0),
                    };
                    isa.run(PixelProduct {
                        correlation: self,
                        later,
                        source: from.cast_const(),
                        zeros: zeros.as_ptr(),
                        pixels: pixels * part / jobs.parts..pixels * (part + 1) / jobs.parts,
                        packed: packed.address().cast_const(),
                        panels: jobs.panels * group / jobs.groups..jobs.panels * (group + 1) / jobs.groups,
                        target: target.values.map_or(core::ptr::null_mut(), Shared::address),
                    });
                    if jobs.visit_target {
                        target.part(part, core::ptr::null_mut());
                    }
                }
            }
            // SAFETY: the map is written; a part belongs to one job.
            _ => unsafe {
                target.part(job, core::ptr::null_mut());
            },
        };
        work_through(threads, &rounds.map(Round::new), &work, &|_| ());
    }

    /// The values that these pixels read and that no earlier pixel has read: one source pixel for each, where their
    /// last tap reads. Returns the address in the source `from`, and the number of values.
    fn later(&self, from: *mut f32, pixels: Range<usize>) -> (*const f32, usize) {
        let Self {
            source,
            size,
            step,
            taps,
            ..
        } = self;
        let (Some(tap), [1, 1]) = (taps.last(), step) else {
            return (from.cast_const(), 0);
        };
        let (line, x) = (pixels.start / size[1], pixels.start % size[1]);
        let (picture, y) = (line / size[0], line % size[0]);
        let y = y.saturating_add_signed(tap.offset[0]).min(source.height - 1);
        let first = picture * source.len() + y * source.row() + x.min(source.width - 1) * source.step;
        (from.cast_const().wrapping_add(first), pixels.len() * source.step)
    }
}

impl Weights<'_> {
    /// Packs the outputs `outputs` as `[tap][input][column]`, with `columns` columns. Columns without an output are 0.
    fn pack(&self, taps: &[Tap], inputs: usize, outputs: Range<usize>, columns: usize, to: &mut [f32]) {
        for (tap, to) in taps.iter().zip(to.chunks_exact_mut(inputs * columns)) {
            let values = &self.values[tap.number..];
            match self.steps {
                [row, 1] => copy_rows(values, row, &outputs, columns, to),
                [1, column] => transpose(values, column, &outputs, columns, to),
                steps => gather(values, steps, &outputs, columns, to),
            }
        }
    }
}

/// Packs a matrix whose rows are `row` values apart, and whose columns are neighbours.
fn copy_rows(values: &[f32], row: usize, outputs: &Range<usize>, columns: usize, to: &mut [f32]) {
    for (input, to) in to.chunks_exact_mut(columns).enumerate() {
        let from = &values[input * row + outputs.start..][..outputs.len()];
        for line in (0..columns).step_by(LINE) {
            prefetch_far(from.as_ptr().wrapping_add(AHEAD * row + line));
        }
        let (to, padding) = to.split_at_mut(outputs.len());
        for (to, from) in to.iter_mut().zip(from) {
            *to = *from;
        }
        padding.fill(0.0);
    }
}

/// Packs a matrix whose columns are `column` values apart, and whose rows are neighbours.
fn transpose(values: &[f32], column: usize, outputs: &Range<usize>, columns: usize, to: &mut [f32]) {
    let inputs = to.len() / columns;
    // A line of every output at a time.
    for (block, to) in to.chunks_mut(LINE * columns).enumerate() {
        let first = block * LINE;
        let rows = to.len() / columns;
        // Prefetches a later line of each output; at the end of the outputs, the first lines of the next outputs.
        let soon = first + TOGETHER;
        let soon = if soon < inputs {
            soon
        } else {
            soon - inputs + columns * column
        };
        for output in outputs.clone() {
            prefetch_far(values.as_ptr().wrapping_add(output * column + soon));
        }
        for lane in (0..columns).step_by(QUAD) {
            let from = |output: usize| match outputs.len().checked_sub(lane + output) {
                Some(1..) => &values[(outputs.start + lane + output) * column + first..][..rows],
                _ => &ZEROS[..rows],
            };
            let from = [from(0), from(1), from(2), from(3)];
            for (index, to) in to.chunks_exact_mut(columns).enumerate() {
                to[lane..lane + QUAD].copy_from_slice(&from.map(|values| values[index]));
            }
        }
    }
}

/// Packs a matrix with any distances between rows and between columns.
fn gather(values: &[f32], [row, column]: [usize; 2], outputs: &Range<usize>, columns: usize, to: &mut [f32]) {
    if outputs.len() < columns {
        to.fill(0.0);
    }
    // Packs a block of inputs of all outputs at a time: lines that are written sixteen times stay in the first-level
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

/// How many inputs `gather` packs at a time, and how many inputs ahead `transpose` prefetches.
const TOGETHER: usize = 64;

/// Rows between the row that is copied and the row that is prefetched.
const AHEAD: usize = 16;

/// Outputs that are transposed at a time.
const QUAD: usize = 4;

/// The inputs of a column without an output.
const ZEROS: [f32; LINE] = [0.0; LINE];

/// Computes the width of a panel.
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
/// The caller of `run` guarantees that the maps have the sizes of the correlation, that `zeros` holds as many values as
/// a segment reads, and that no other thread writes to these outputs of these pixels.
struct PixelProduct<'a> {
    correlation: &'a Correlation,
    source: *const f32,
    zeros: *const f32,
    pixels: Range<usize>,
    /// Values that are soon read: their address and their number.
    later: (*const f32, usize),
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
fn blocks<V: Lanes>(segments: usize, len: usize) -> Vec<Block> {
    if segments == 0 {
        return vec![Block {
            segment: 0,
            segments: 0,
            skip: 0,
            steps: 0,
        }];
    }
    let pieces = len.div_ceil(block::<V>());
    let together = if pieces == 1 {
        // Blocks of nearly equal size.
        let blocks = segments.div_ceil((block::<V>() * 5 / 4 / len).max(1));
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
        let all_panels = outputs.div_ceil(panel::<V>());
        let is_small = all_panels * panel_len * size_of::<f32>() <= SMALL;
        let (first, values) = self.later;
        let is_later_read = values * size_of::<f32>() <= second_level() / LATER;
        let lines = [1, if is_later_read { values.div_ceil(LINE) } else { 0 }, 0];
        let mut later = Ahead::new(
            first,
            lines,
            tiles.count * self.panels.len(),
            correlation.taps.len() * inputs,
        );
        for (index, block) in blocks::<V>(correlation.taps.len() / correlation.merged, len)
            .into_iter()
            .enumerate()
        {
            let begin = (block.segment * len + block.skip) * panel::<V>();
            let steps = block.segments * block.steps;
            for number in self.panels.clone() {
                let right = self.packed.wrapping_add(number * panel_len + begin);
                let lines = if is_small { 0 } else { steps * panel::<V>() / LINE };
                let mut ahead = [
                    Ahead::new(right.wrapping_add(panel_len), [1, lines, 0], tiles.count, steps),
                    later,
                ];
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
                    unsafe { by_rows!(rows, V::TILE[0], run_tile, &tile, &mut ahead) };
                }
                later = ahead[1];
            }
        }
    }
}

/// # Safety
///
/// See [`GatheredTile::run`].
#[inline(always)]
unsafe fn run_tile<V: Lanes, const ROWS: usize>(tile: &GatheredTile<Listed<'_>>, ahead: &mut [Ahead; 2]) {
    // SAFETY: the caller's promise is the same.
    unsafe { tile.run::<V, ROWS>(ahead) }
}
