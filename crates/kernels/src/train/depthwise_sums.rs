//! Rows of a depthwise convolution's backward pass: the gradient of the input, and sums for the gradients of weights
//! and norm.

use core::ops::Range;

use super::correlation::Square;
use super::depthwise_rows::{Changed, load, rows_inside, store, vectors};
use super::geometry::Checked;
use super::transform::Transform;
use crate::memory::buffer::{LINE, padded};
use crate::memory::map::Map;
use crate::simd::isa::Kernel;
use crate::simd::lanes::{Lanes, prefetch};

/// Which gradients are wanted.
#[derive(Clone, Copy)]
pub(super) struct Gradients {
    pub input: bool,
    pub weights: bool,
}

/// Some rows of the input, numbered through the batch.
///
/// The caller of `run` guarantees that the maps have the sizes of `checked`, that there is a weight for each tap and
/// channel and a value of the transform for each channel, that `sums` holds one vector of padded channels for each tap
/// and two more, and that no other thread writes to these rows of `target` or to `sums`.
pub(super) struct GradientRows<'a> {
    pub checked: &'a Checked,
    /// If given, one pass computes both gradients. Given if the kernel is 3 x 3 without stride and dilation, and there
    /// are at least as many channels as the widest vector has lanes.
    pub square: Option<Square>,
    pub wants: Gradients,
    pub transform: &'a Transform<'a>,
    pub input: *const f32,
    pub weights: &'a [f32],
    pub output_gradient: *const f32,
    pub added: Option<*const f32>,
    pub lines: Range<usize>,
    pub target: *mut f32,
    pub sums: *mut f32,
}

impl Kernel for GradientRows<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let map = &self.checked.input;
        for line in self.lines.clone() {
            let (picture, y) = (line / map.height, line % map.height);
            // SAFETY: the row lies within the input; the caller guarantees the rest.
            unsafe {
                match &self.square {
                    Some(square) => match self.wants {
                        Gradients {
                            input: true,
                            weights: true,
                        } => self.square_row::<V, true, true>(square, picture, y),
                        Gradients { input: true, .. } => self.square_row::<V, true, false>(square, picture, y),
                        _ => self.square_row::<V, false, true>(square, picture, y),
                    },
                    _ if self.wants.weights => self.any_row::<V>(picture, y),
                    _ => {}
                }
            }
        }
        if self.square.is_some() {
            // SAFETY: the caller guarantees the sums.
            unsafe { settle::<V>(self.sums, 11, map.channels) };
        }
    }
}

impl GradientRows<'_> {
    /// Adds the products of a row's inputs and the output gradients to the gradient of the weights, for any window.
    ///
    /// # Safety
    ///
    /// See [`GradientRows`].
    #[inline(always)]
    unsafe fn any_row<V: Lanes>(&self, picture: usize, y: usize) {
        let Checked {
            input: map,
            output,
            sides: [down, right],
            geometry,
            ..
        } = self.checked;
        let channels = map.channels;
        let inputs = self.input.wrapping_add(picture * map.len() + y * map.row());
        for row in 0..geometry.kernel[0] {
            let Some(line) = down.window_at(y, row) else {
                continue;
            };
            let gradients = self
                .output_gradient
                .wrapping_add(picture * output.len() + line * output.row());
            for column in 0..geometry.kernel[1] {
                let windows = right.windows_of_tap(column);
                let Some(first) = right.place(windows.start, column).filter(|_| !windows.is_empty()) else {
                    continue;
                };
                let sums = self
                    .sums
                    .wrapping_add((row * geometry.kernel[1] + column) * padded(channels));
                for lane in (0..channels).step_by(V::WIDTH) {
                    let count = channels - lane;
                    let change = Changed::<V>::new(self.transform, lane, count);
                    let mut from = inputs.wrapping_add(first * map.step + lane);
                    let mut gradient = gradients.wrapping_add(windows.start * output.step + lane);
                    // SAFETY: these windows' taps lie on the map; the caller guarantees the sums.
                    unsafe {
                        let mut sum: V = load(sums.add(lane), count);
                        for _ in windows.clone() {
                            sum = change.of(load(from, count)).mul_add(load(gradient, count), sum);
                            from = from.wrapping_add(right.stride * map.step);
                            gradient = gradient.wrapping_add(output.step);
                        }
                        store(sum, sums.add(lane), count);
                    }
                }
            }
        }
    }

    /// Computes a row, for three by three neighbouring taps.
    ///
    /// # Safety
    ///
    /// See [`GradientRows`]; there must be at least as many channels as lanes.
    #[inline(always)]
    unsafe fn square_row<V: Lanes, const INPUT: bool, const WEIGHTS: bool>(
        &self,
        square: &Square,
        picture: usize,
        y: usize,
    ) {
        let Checked { input: map, output, .. } = self.checked;
        let channels = map.channels;
        let top = y.cast_signed() + square.first[0];
        let rows = rows_inside(top, output.height);
        let top = (top + rows.start.cast_signed()) * output.row().cast_signed();
        let place = picture * map.len() + y * map.row();
        for (vector, lane) in vectors(channels, V::WIDTH).enumerate() {
            let mut weights = [[V::splat(0.0); 3]; 3];
            let mut sums = [[self.sums; 3]; 3];
            let numbers = &square.numbers[rows.clone()];
            for ((number, weight), sum) in numbers
                .as_flattened()
                .iter()
                .zip(weights.as_flattened_mut())
                .zip(sums.as_flattened_mut())
            {
                if INPUT {
                    // SAFETY: there are as many weights for each tap as channels.
                    *weight = unsafe { V::load(self.weights[number * channels + lane..].as_ptr()) };
                }
                *sum = self.sums.wrapping_add(number * padded(channels) + vector * V::WIDTH);
            }
            let totals = [9, 10].map(|number| self.sums.wrapping_add(number * padded(channels) + vector * V::WIDTH));
            let line = Line {
                gradient: self
                    .output_gradient
                    .wrapping_add(picture * output.len() + lane)
                    .wrapping_offset(top),
                gradient_row: output.row(),
                gradient_width: output.width,
                left: square.first[1],
                input: self.input.wrapping_add(place + lane),
                added: self.added.map(|added| added.wrapping_add(place + lane)),
                target: self.target.wrapping_add(place + lane),
                step: map.step,
                width: map.width,
                weights: &weights,
                change: Changed::new(self.transform, lane, V::WIDTH),
                relu: self.transform.relu,
                sums: &sums,
                totals,
            };
            // SAFETY: the rows lie on the map; the caller guarantees the sums of this vector.
            unsafe {
                match rows.len() {
                    3 => line.run::<3, INPUT, WEIGHTS>(),
                    2 => line.run::<2, INPUT, WEIGHTS>(),
                    1 => line.run::<1, INPUT, WEIGHTS>(),
                    _ => line.run::<0, INPUT, WEIGHTS>(),
                }
            }
        }
    }
}

/// One vector of channels of a row of the input.
///
/// Every column of the output gradient is read once. It belongs to three inputs: it is added to their gradients, which
/// are sums in registers, and multiplied with their values for the gradient of the weights.
struct Line<'a, V> {
    /// Column 0 of the first row of output gradients that is read.
    gradient: *const f32,
    gradient_row: usize,
    gradient_width: usize,
    /// The column of the output gradient that the first tap reads for the first input.
    left: isize,
    input: *const f32,
    added: Option<*const f32>,
    target: *mut f32,
    /// Distance from a pixel to the next, in all maps.
    step: usize,
    /// Number of inputs.
    width: usize,
    /// The weights of the rows that are read.
    weights: &'a [[V; 3]; 3],
    change: Changed<V>,
    relu: bool,
    /// The addresses of the taps' sums, for the rows that are read.
    sums: &'a [[*mut f32; 3]; 3],
    totals: [*mut f32; 2],
}

/// The sums of a line. They are passed by value: by reference they would go through memory.
#[derive(Clone, Copy)]
struct State<V, const ROWS: usize> {
    /// The unfinished gradients of the last two inputs.
    pending: [V; 2],
    /// The values of the last two inputs.
    values: [V; 2],
    taps: [[V; 3]; ROWS],
    totals: [V; 2],
}

impl<V: Lanes> Line<'_, V> {
    /// # Safety
    ///
    /// `ROWS` rows of output gradients and all inputs must be readable; the inputs' gradients, if `INPUT`, and the sums
    /// writable by this thread alone.
    #[inline(always)]
    unsafe fn run<const ROWS: usize, const INPUT: bool, const WEIGHTS: bool>(&self) {
        let zero = V::splat(0.0);
        let mut state = State {
            pending: [zero; 2],
            values: [zero; 2],
            taps: [[zero; 3]; ROWS],
            totals: [zero; 2],
        };
        // SAFETY: the caller's promise is the same; every index is checked before its columns are read.
        unsafe {
            if WEIGHTS {
                for (sums, places) in state.taps.iter_mut().zip(self.sums) {
                    for (sum, place) in sums.iter_mut().zip(places) {
                        *sum = V::load(*place);
                    }
                }
            }
            if INPUT {
                state.totals = self.totals.map(|place| V::load(place));
            }
            let all = self.width + 2;
            // The indices at which the column of the output gradient and all three inputs exist.
            let start = self.left.min(0).unsigned_abs().max(2);
            let end = self.gradient_width.checked_add_signed(-self.left).unwrap_or(0);
            let end = end.min(self.width);
            let mut index = 0;
            while index < all {
                if index == start && start < end {
                    for index in start..end {
                        state = self.middle::<ROWS, INPUT, WEIGHTS>(index, state);
                    }
                    index = end;
                    continue;
                }
                state = self.border::<ROWS, INPUT, WEIGHTS>(index, state);
                index += 1;
            }
            if WEIGHTS {
                for (sums, places) in state.taps.iter().zip(self.sums) {
                    for (sum, place) in sums.iter().zip(places) {
                        sum.store(*place);
                    }
                }
            }
            if INPUT {
                for (total, place) in state.totals.into_iter().zip(self.totals) {
                    total.store(place);
                }
            }
        }
    }

    /// The transformed input of a column.
    ///
    /// # Safety
    ///
    /// The column must exist.
    #[inline(always)]
    unsafe fn value(&self, column: usize) -> V {
        let place = self.input.wrapping_add(column * self.step);
        // The next cache line of channels: pixels are too far apart for the hardware's prefetcher.
        prefetch(place.wrapping_add(LINE));
        // SAFETY: the caller's promise is the same.
        self.change.of(unsafe { V::load(place) })
    }

    /// Computes with a column of the output gradient that belongs to three inputs.
    ///
    /// # Safety
    ///
    /// Column `left + index` of the output gradients must exist, and inputs `index - 2..=index`.
    #[inline(always)]
    unsafe fn middle<const ROWS: usize, const INPUT: bool, const WEIGHTS: bool>(
        &self,
        index: usize,
        mut state: State<V, ROWS>,
    ) -> State<V, ROWS> {
        let column = (self.left + index.cast_signed()).cast_unsigned();
        let place = self.gradient.wrapping_add(column * self.step);
        let [mut first, mut second] = state.pending;
        let mut third = V::splat(0.0);
        // SAFETY: the caller's promise is the same.
        unsafe {
            let value = self.value(index);
            for row in 0..ROWS {
                let place = place.wrapping_add(row * self.gradient_row);
                prefetch(place.wrapping_add(LINE));
                let gradient = V::load(place);
                if WEIGHTS {
                    let sums = &mut state.taps[row];
                    sums[0] = gradient.mul_add(value, sums[0]);
                    sums[1] = gradient.mul_add(state.values[0], sums[1]);
                    sums[2] = gradient.mul_add(state.values[1], sums[2]);
                }
                if INPUT {
                    let [left, middle, right] = self.weights[row];
                    first = gradient.mul_add(right, first);
                    second = gradient.mul_add(middle, second);
                    third = gradient.mul_add(left, third);
                }
            }
            if INPUT {
                state.totals = self.finish(index - 2, first, state.values[1], state.totals);
            }
            state.pending = [second, third];
            state.values = [value, state.values[0]];
            state
        }
    }

    /// As [`middle`](Self::middle), where the column or an input may not exist.
    ///
    /// # Safety
    ///
    /// See [`run`](Self::run).
    #[inline(always)]
    unsafe fn border<const ROWS: usize, const INPUT: bool, const WEIGHTS: bool>(
        &self,
        index: usize,
        mut state: State<V, ROWS>,
    ) -> State<V, ROWS> {
        let column = (self.left + index.cast_signed()).cast_unsigned();
        let [mut first, mut second] = state.pending;
        let mut third = V::splat(0.0);
        // SAFETY: columns are read only where they exist.
        unsafe {
            let value = if index < self.width { self.value(index) } else { third };
            // As an unsigned number, a negative column is larger than any width.
            if column < self.gradient_width {
                let place = self.gradient.wrapping_add(column * self.step);
                for row in 0..ROWS {
                    let gradient = V::load(place.wrapping_add(row * self.gradient_row));
                    if WEIGHTS {
                        let values = [value, state.values[0], state.values[1]];
                        for ((tap, sum), value) in state.taps[row].iter_mut().enumerate().zip(values) {
                            if index >= tap && index - tap < self.width {
                                *sum = gradient.mul_add(value, *sum);
                            }
                        }
                    }
                    if INPUT {
                        let [left, middle, right] = self.weights[row];
                        first = gradient.mul_add(right, first);
                        second = gradient.mul_add(middle, second);
                        third = gradient.mul_add(left, third);
                    }
                }
            }
            if INPUT && index >= 2 {
                state.totals = self.finish(index - 2, first, state.values[1], state.totals);
            }
            state.pending = [second, third];
            state.values = [value, state.values[0]];
            state
        }
    }

    /// Writes the gradient of an input, and adds the gradient to the totals.
    ///
    /// # Safety
    ///
    /// The column must exist.
    #[inline(always)]
    unsafe fn finish(&self, column: usize, mut gradient: V, value: V, totals: [V; 2]) -> [V; 2] {
        let place = column * self.step;
        if self.relu {
            gradient = gradient.where_positive(value);
        }
        // SAFETY: the caller's promise is the same.
        unsafe {
            if let Some(added) = self.added {
                gradient = gradient.plus(V::load(added.wrapping_add(place)));
            }
            gradient.store(self.target.wrapping_add(place));
            let value = V::load(self.input.wrapping_add(place)).minus(self.change.centre);
            [totals[0].plus(gradient), gradient.mul_add(value, totals[1])]
        }
    }
}

/// The last vector of channels may overlap the vector before it. Moves the sums of the last vector to the places of
/// their channels.
///
/// # Safety
///
/// There must be `count` vectors of padded channels at `sums`, writable by this thread alone.
#[inline(always)]
unsafe fn settle<V: Lanes>(sums: *mut f32, count: usize, channels: usize) {
    let rest = channels % V::WIDTH;
    if rest == 0 || channels < V::WIDTH {
        return;
    }
    for vector in 0..count {
        let to = sums.wrapping_add(vector * padded(channels) + channels - rest);
        // SAFETY: the last vector was written whole, and its last values are those of the last channels.
        unsafe { to.add(V::WIDTH - rest).copy_to(to, rest) };
    }
}

/// Keeps the gradient of some rows of the input where the transformed input is positive, and adds it to sums.
///
/// The caller of `run` guarantees that the maps have the size of `map`, that `sums` holds two vectors of channels, and
/// that no other thread writes to these rows of `target` or to `sums`.
pub(super) struct Gate<'a> {
    pub map: &'a Map,
    pub transform: &'a Transform<'a>,
    pub input: *const f32,
    pub added: Option<*const f32>,
    pub lines: Range<usize>,
    pub target: *mut f32,
    pub sums: *mut f32,
}

impl Kernel for Gate<'_> {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        let channels = self.map.channels;
        for line in self.lines.clone() {
            for lane in (0..channels).step_by(V::WIDTH) {
                let count = channels - lane;
                let change = Changed::<V>::new(self.transform, lane, count);
                let places = [0, padded(channels)].map(|vector| self.sums.wrapping_add(vector + lane));
                // SAFETY: the row lies within the maps; the caller guarantees the sums.
                unsafe {
                    let mut sums = places.map(|place| load::<V>(place, count));
                    for column in 0..self.map.width {
                        let place = line * self.map.row() + column * self.map.step + lane;
                        let value: V = load(self.input.add(place), count);
                        let mut gradient: V = load(self.target.add(place), count);
                        if self.transform.relu {
                            gradient = gradient.where_positive(change.of(value));
                        }
                        if let Some(added) = self.added {
                            gradient = gradient.plus(load(added.add(place), count));
                        }
                        store(gradient, self.target.add(place), count);
                        let value = value.minus(change.centre);
                        sums = [sums[0].plus(gradient), gradient.mul_add(value, sums[1])];
                    }
                    for (sum, place) in sums.into_iter().zip(places) {
                        store(sum, place, count);
                    }
                }
            }
        }
    }
}
