//! Rows of a depthwise convolution, or of the gradient of its input.

use core::ops::Range;

use super::correlation::{Correlation, Square};
use super::pixel_product::MapPart;
use super::transform::Transform;
use crate::memory::buffer::{LINE, Shared};
use crate::simd::isa::{Isa, Kernel};
use crate::simd::lanes::{Lanes, prefetch};
use crate::team::{Round, work_through};

/// Rows per job. A row reads three rows, and shares two of them with the next row.
const ROWS: usize = 8;

/// Outputs that are computed together, with the weights in registers.
const TOGETHER: usize = 4;

/// Writes all pixels of a correlation. The caller has checked the lengths; `weights` are `[tap][channel]`.
pub(super) fn forward_rows(
    correlation: &Correlation,
    isa: Isa,
    transform: &Transform<'_>,
    [source, weights]: [&[f32]; 2],
    target: &mut [f32],
) {
    let (lines, columns) = (correlation.batch * correlation.size[0], correlation.size[1]);
    let square = correlation.square();
    let target = Shared::new(target);
    let work = |_, _, job: usize| {
        // SAFETY: the caller has checked the lengths; a job's rows belong to no other job.
        unsafe {
            isa.run(Rows {
                correlation,
                square,
                transform,
                source: source.as_ptr(),
                weights,
                pixels: job * ROWS * columns..lines.min((job + 1) * ROWS) * columns,
                target: target.address(),
            });
        }
    };
    let jobs = [Round::new(lines.div_ceil(ROWS))];
    work_through(rayon::current_num_threads(), &jobs, &work, &|_| ());
}

/// Writes some pixels of a correlation whose written pixels are side by side. The caller has checked the lengths.
pub(super) fn forward_part(
    correlation: &Correlation,
    isa: Isa,
    transform: &Transform<'_>,
    [source, weights]: [&[f32]; 2],
    part: MapPart<'_>,
) {
    let first = part.pixels.start * correlation.target.channels;
    // SAFETY: the caller has checked the lengths, and guarantees that these pixels are the part's.
    unsafe {
        isa.run(Rows {
            correlation,
            square: correlation.square(),
            transform,
            source: source.as_ptr(),
            weights,
            pixels: part.pixels,
            target: part.values.as_mut_ptr().wrapping_sub(first),
        });
    }
}

/// The first channel of each vector of a pixel's channels. The last vector ends with the last channel, so it may
/// overlap the vector before it. Pixels with fewer channels than a vector has lanes are read and written value by
/// value.
pub(super) fn vectors(channels: usize, width: usize) -> impl Iterator<Item = usize> {
    let last = channels.saturating_sub(width);
    (0..channels.div_ceil(width)).map(move |vector| (vector * width).min(last))
}

/// Reads a vector of which only `count` values exist in memory.
///
/// # Safety
///
/// The `count` values must be readable.
#[inline(always)]
pub(super) unsafe fn load<V: Lanes>(from: *const f32, count: usize) -> V {
    // SAFETY: the caller's promise is the same.
    unsafe {
        if count >= V::WIDTH {
            return V::load(from);
        }
        let mut values = [0.0; LINE];
        for (lane, value) in values.iter_mut().enumerate().take(count) {
            *value = *from.add(lane);
        }
        V::load(values.as_ptr())
    }
}

/// Writes the `count` values of a vector that exist in memory.
///
/// # Safety
///
/// The `count` values must be writable by this thread alone.
#[inline(always)]
pub(super) unsafe fn store<V: Lanes>(vector: V, to: *mut f32, count: usize) {
    // SAFETY: the caller's promise is the same.
    unsafe {
        if count >= V::WIDTH {
            return vector.store(to);
        }
        let mut values = [0.0; LINE];
        vector.store(values.as_mut_ptr());
        for (lane, value) in values.iter().enumerate().take(count) {
            *to.add(lane) = *value;
        }
    }
}

/// A [`Transform`] for a vector of channels.
#[derive(Clone, Copy)]
pub(super) struct Changed<V> {
    pub centre: V,
    scale: V,
    shift: V,
    least: V,
}

impl<V: Lanes> Changed<V> {
    /// The transform of the channels from `lane` on, of which `count` exist.
    #[inline(always)]
    pub(super) fn new(transform: &Transform<'_>, lane: usize, count: usize) -> Self {
        let [centre, scale, shift] = match transform.norm {
            // SAFETY: the caller has checked that there are as many values as channels.
            Some(norm) => norm.map(|values| unsafe { load(values[lane..].as_ptr(), count) }),
            None => [V::splat(0.0), V::splat(1.0), V::splat(0.0)],
        };
        let least = if transform.relu { 0.0 } else { f32::NEG_INFINITY };
        Self {
            centre,
            scale,
            shift,
            least: V::splat(least),
        }
    }

    /// The transformed values.
    #[inline(always)]
    pub(super) fn of(&self, values: V) -> V {
        values
            .minus(self.centre)
            .mul_add(self.scale, self.shift)
            .at_least(self.least)
    }
}

/// Some pixels of all pictures, numbered through the batch.
///
/// The caller of `run` guarantees that the maps have the sizes of the correlation, that the target has at least these
/// pixels, that there is a weight for each tap and channel and a value of the transform for each channel, and that no
/// other thread writes to these pixels.
struct Rows<'a> {
    correlation: &'a Correlation,
    square: Option<Square>,
    transform: &'a Transform<'a>,
    source: *const f32,
    weights: &'a [f32],
    pixels: Range<usize>,
    target: *mut f32,
}

impl Kernel for Rows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let Correlation {
            source,
            target,
            size,
            first,
            apart,
            ..
        } = self.correlation;
        let plain = self.transform.is_identity();
        let mut pixel = self.pixels.start;
        while pixel < self.pixels.end {
            let (line, x) = (pixel / size[1], pixel % size[1]);
            let (picture, y) = (line / size[0], line % size[0]);
            let columns = x..size[1].min(x + self.pixels.end - pixel);
            pixel += columns.len();
            let from = self.source.wrapping_add(picture * source.len());
            let place = picture * target.len() + (first[0] + y * apart[0]) * target.row() + first[1] * target.step;
            let to = self.target.wrapping_add(place);
            // SAFETY: the pixels lie within the target; the caller guarantees the rest.
            unsafe {
                match self.square.filter(|_| target.channels >= V::WIDTH) {
                    Some(square) if plain => self.square_row::<V, false>(&square, from, y, columns, to),
                    Some(square) => self.square_row::<V, true>(&square, from, y, columns, to),
                    None => self.any_row::<V>(from, y, columns, to),
                }
            }
        }
    }
}

impl Rows<'_> {
    /// Computes some columns of a row, for any correlation. `to` is the place of the row's first output.
    ///
    /// # Safety
    ///
    /// See [`Rows`].
    #[inline(always)]
    unsafe fn any_row<V: Lanes>(&self, source: *const f32, y: usize, columns: Range<usize>, to: *mut f32) {
        let correlation = self.correlation;
        let (map, channels) = (&correlation.source, correlation.target.channels);
        let rows: Vec<(usize, isize, *const f32)> = correlation
            .taps
            .iter()
            .filter_map(|tap| {
                let row = ((y * correlation.step[0]).cast_signed() + tap.offset[0]).cast_unsigned();
                // As an unsigned number, a negative row is larger than any height.
                (row < map.height).then(|| {
                    (
                        tap.number * channels,
                        tap.offset[1],
                        source.wrapping_add(row * map.row()),
                    )
                })
            })
            .collect();
        let [step, apart] = [correlation.step[1], correlation.apart[1] * correlation.target.step];
        let inside = |x: usize| {
            let place = (x * step).cast_signed();
            rows.iter()
                .all(|(_, offset, _)| ((place + offset).cast_unsigned()) < map.width)
        };
        for lane in vectors(channels, V::WIDTH) {
            let count = channels - lane;
            let change = Changed::<V>::new(self.transform, lane, count);
            let mut x = columns.start;
            while x < columns.end {
                let last = x + TOGETHER - 1;
                // SAFETY: taps are read only where they lie on the map; the outputs belong to this row.
                unsafe {
                    if last < columns.end && inside(x) && inside(last) {
                        let mut sums = [V::splat(0.0); TOGETHER];
                        for (weights, offset, row) in &rows {
                            let weight: V = load(self.weights[weights + lane..].as_ptr(), count);
                            let place = ((x * step).cast_signed() + offset).cast_unsigned() * map.step + lane;
                            for (index, sum) in sums.iter_mut().enumerate() {
                                let value: V = load(row.add(place + index * step * map.step), count);
                                *sum = change.of(value).mul_add(weight, *sum);
                            }
                        }
                        for (index, sum) in sums.into_iter().enumerate() {
                            store(sum, to.add((x + index) * apart + lane), count);
                        }
                        x += TOGETHER;
                        continue;
                    }
                    let mut sum = V::splat(0.0);
                    for (weights, offset, row) in &rows {
                        let place = ((x * step).cast_signed() + offset).cast_unsigned();
                        if place < map.width {
                            let weight: V = load(self.weights[weights + lane..].as_ptr(), count);
                            let value: V = load(row.add(place * map.step + lane), count);
                            sum = change.of(value).mul_add(weight, sum);
                        }
                    }
                    store(sum, to.add(x * apart + lane), count);
                    x += 1;
                }
            }
        }
    }

    /// Computes some columns of a row, for three by three neighbouring taps. `to` is the place of the row's first
    /// output.
    ///
    /// # Safety
    ///
    /// See [`Rows`]; there must be at least as many channels as lanes.
    #[inline(always)]
    unsafe fn square_row<V: Lanes, const CHANGE: bool>(
        &self,
        square: &Square,
        source: *const f32,
        y: usize,
        columns: Range<usize>,
        to: *mut f32,
    ) {
        let Correlation {
            source: map, target, ..
        } = self.correlation;
        let top = y.cast_signed() + square.first[0];
        let rows = rows_inside(top, map.height);
        let first = source.wrapping_offset((top + rows.start.cast_signed()) * map.row().cast_signed());
        for lane in vectors(target.channels, V::WIDTH) {
            let mut weights = [[V::splat(0.0); 3]; 3];
            for (numbers, weights) in square.numbers[rows.clone()].iter().zip(&mut weights) {
                for (number, weight) in numbers.iter().zip(weights) {
                    // SAFETY: there are as many weights for each tap as channels.
                    *weight = unsafe { V::load(self.weights[number * target.channels + lane..].as_ptr()) };
                }
            }
            let line = SquareLine {
                first: first.wrapping_add(lane),
                row: map.row(),
                step: map.step,
                width: map.width,
                left: square.first[1] + columns.start.cast_signed(),
                columns: columns.len(),
                weights: &weights,
                change: Changed::new(self.transform, lane, V::WIDTH),
                to: to.wrapping_add(columns.start * target.step + lane),
                to_step: target.step,
            };
            // SAFETY: the rows lie on the map; the outputs belong to this row.
            unsafe {
                match rows.len() {
                    3 => line.run::<3, CHANGE>(),
                    2 => line.run::<2, CHANGE>(),
                    1 => line.run::<1, CHANGE>(),
                    _ => line.run::<0, CHANGE>(),
                }
            }
        }
    }
}

/// The range of those rows, out of three rows from `top` on, that lie within a map.
pub(super) fn rows_inside(top: isize, height: usize) -> Range<usize> {
    let start = top.min(0).unsigned_abs().min(3);
    let end = height.checked_add_signed(-top).unwrap_or(0).min(3);
    start..end.max(start)
}

/// One vector of channels of a row. Every column of the source is read once and added to three outputs.
struct SquareLine<'a, V> {
    /// The first column of the first row that is read.
    first: *const f32,
    /// Distance from a row to the next, and from a column to the next.
    row: usize,
    step: usize,
    /// Number of columns of the source.
    width: usize,
    /// The source column that the first tap reads for the first output.
    left: isize,
    /// Number of outputs.
    columns: usize,
    /// The weights of the rows that are read.
    weights: &'a [[V; 3]; 3],
    change: Changed<V>,
    to: *mut f32,
    to_step: usize,
}

impl<V: Lanes> SquareLine<'_, V> {
    /// # Safety
    ///
    /// `ROWS` rows must be readable and all outputs writable by this thread alone.
    #[inline(always)]
    unsafe fn run<const ROWS: usize, const CHANGE: bool>(&self) {
        let mut sums = [V::splat(0.0); 2];
        // Column `left + index` of the source belongs to the outputs `index - 2`, `index - 1` and `index`.
        let all = self.columns + 2;
        let [start, end] = self.middle().map(|place| place.min(all));
        let mut index = 0;
        while index < all {
            if index == start && start < end {
                let mut place = self
                    .first
                    .wrapping_offset((self.left + start.cast_signed()) * self.step.cast_signed());
                let mut to = self.to.wrapping_add((start - 2) * self.to_step);
                for _ in start..end {
                    // SAFETY: the column lies on the map, and the output that it completes exists.
                    unsafe {
                        let (sum, next) = self.column::<ROWS, CHANGE>(place, sums);
                        sum.store(to);
                        sums = next;
                    }
                    place = place.wrapping_add(self.step);
                    to = to.wrapping_add(self.to_step);
                }
                index = end;
                continue;
            }
            let column = (self.left + index.cast_signed()).cast_unsigned();
            let mut sum = sums[0];
            // As an unsigned number, a negative column is larger than any width.
            if column < self.width {
                // SAFETY: the column lies on the map.
                (sum, sums) = unsafe { self.column::<ROWS, CHANGE>(self.first.wrapping_add(column * self.step), sums) };
            } else {
                sums = [sums[1], V::splat(0.0)];
            }
            if index >= 2 {
                // SAFETY: there are `columns` outputs.
                unsafe { sum.store(self.to.wrapping_add((index - 2) * self.to_step)) };
            }
            index += 1;
        }
    }

    /// The range of indices whose column lies on the map and completes an output.
    #[inline(always)]
    fn middle(&self) -> [usize; 2] {
        let start = self.left.min(0).unsigned_abs().max(2);
        let end = self.width.checked_add_signed(-self.left).unwrap_or(0);
        [start, end.max(start)]
    }

    /// Adds a column to the sums of three outputs. Returns the finished sum of the first output, and the sums of the
    /// other two.
    ///
    /// # Safety
    ///
    /// `ROWS` rows must be readable at `place`.
    #[inline(always)]
    unsafe fn column<const ROWS: usize, const CHANGE: bool>(&self, place: *const f32, sums: [V; 2]) -> (V, [V; 2]) {
        let [mut first, mut second] = sums;
        let mut third = V::splat(0.0);
        for row in 0..ROWS {
            let place = place.wrapping_add(row * self.row);
            // The next cache line of channels: pixels are too far apart for the hardware's prefetcher.
            prefetch(place.wrapping_add(LINE));
            // SAFETY: the caller's promise is the same.
            let mut value = unsafe { V::load(place) };
            if CHANGE {
                value = self.change.of(value);
            }
            let [left, middle, right] = self.weights[row];
            first = value.mul_add(right, first);
            second = value.mul_add(middle, second);
            third = value.mul_add(left, third);
        }
        (first, [second, third])
    }
}
