//! Wavelet transforms of one component of one tile.
//!
//! Between the transforms the coefficients lie as in `OpenJPEG` (`tcd.c`): the smallest resolution in the upper left
//! corner, and around every resolution its three bands.

use super::codestream::Area;

/// The largest number that the decoder's sums can reach without being rounded.
const EXACT: f32 = (1 << 23) as f32;

/// Constants of `dwt.c`; the last one is not twice the reciprocal of [`K`].
const ALPHA: f32 = -1.586_134_3;
const BETA: f32 = -0.052_980_118;
const GAMMA: f32 = 0.882_911_1;
const DELTA: f32 = 0.443_506_87;
const K: f32 = 1.230_174_1;
const TWO_INV_K: f32 = 1.625_732_4;

/// The coefficients, or samples, of a component of a tile.
pub(super) struct Plane {
    area: Area,
    pub(super) samples: Vec<f32>,
    scratch: Vec<f32>,
}

/// How a resolution's rows or columns are shared by two halves.
#[derive(Clone, Copy)]
struct Halves {
    low: usize,
    high: usize,
    /// 1 if the first one is of the upper half.
    offset: usize,
}

impl Halves {
    fn new(first: u32, length: usize) -> Self {
        let offset = (first % 2) as usize;
        let low = (length + 1 - offset) / 2;
        Self {
            low,
            high: length - low,
            offset,
        }
    }

    fn length(self) -> usize {
        self.low + self.high
    }

    /// Where the one at this place lies when the halves are apart.
    fn apart(self, place: usize) -> usize {
        if place % 2 == self.offset {
            place / 2
        } else {
            self.low + place / 2
        }
    }
}

/// Rows or columns on both sides of one, mirrored at the ends.
fn neighbours(place: usize, length: usize) -> (usize, usize) {
    let before = if place == 0 { 1 } else { place - 1 };
    let behind = if place + 1 == length { place - 1 } else { place + 1 };
    (before, behind)
}

impl Plane {
    pub(super) fn new(area: Area, samples: Vec<f32>) -> Self {
        let scratch = vec![0.0; samples.len()];
        Self { area, samples, scratch }
    }

    fn halves(&self, level: u32) -> (Halves, Halves) {
        let area = self.area.sampled(1 << level, 1 << level);
        (
            Halves::new(area.left, area.width()),
            Halves::new(area.top, area.height()),
        )
    }

    /// Undoes the reversible transform (ISO/IEC 15444-1, F.4.8.1), rows before columns, as the decoder does it last.
    /// `None` if the numbers are too large for the decoder to be exact.
    pub(super) fn analyse(&mut self, levels: u32) -> Option<()> {
        for level in 0..levels {
            let (columns, rows) = self.halves(level);
            if columns.length() == 0 || rows.length() == 0 {
                return Some(());
            }
            self.analyse_columns(columns.length(), rows);
            self.is_exact(columns.length(), rows.length())?;
            self.analyse_rows(columns, rows);
            self.is_exact(columns.length(), rows.length())?;
        }
        Some(())
    }

    fn is_exact(&self, width: usize, height: usize) -> Option<()> {
        let stride = self.area.width();
        let rows = self.samples.chunks_exact(stride).take(height);
        let is_exact = |row: &[f32]| row[..width].iter().all(|sample| sample.abs() < EXACT);
        rows.into_iter().all(is_exact).then_some(())
    }

    /// Lifts the rows of one half by their neighbours.
    fn lift_rows(
        samples: &mut [f32],
        (stride, width): (usize, usize),
        first: usize,
        length: usize,
        lift: impl Fn(&mut f32, f32),
    ) {
        for place in (first..length).step_by(2) {
            let (before, behind) = neighbours(place, length);
            let (above, rest) = samples.split_at_mut(place * stride);
            let (row, below) = rest.split_at_mut(stride.min(rest.len()));
            let other = |index: usize| {
                if index < place {
                    &above[index * stride..][..width]
                } else {
                    &below[(index - place - 1) * stride..][..width]
                }
            };
            let sides = other(before).iter().zip(other(behind));
            for (sample, (before, behind)) in row[..width].iter_mut().zip(sides) {
                lift(sample, before + behind);
            }
        }
    }

    fn analyse_columns(&mut self, width: usize, rows: Halves) {
        let stride = self.area.width();
        let length = rows.length();
        if length == 1 {
            if rows.offset == 1 {
                self.samples[..width].iter_mut().for_each(|sample| *sample *= 2.0);
            }
            return;
        }
        let shape = (stride, width);
        Self::lift_rows(&mut self.samples, shape, 1 - rows.offset, length, lift_high);
        Self::lift_rows(&mut self.samples, shape, rows.offset, length, lift_low);
        for place in 0..length {
            let target = rows.apart(place) * stride;
            self.scratch[target..][..width].copy_from_slice(&self.samples[place * stride..][..width]);
        }
        for row in 0..length {
            self.samples[row * stride..][..width].copy_from_slice(&self.scratch[row * stride..][..width]);
        }
    }

    fn analyse_rows(&mut self, columns: Halves, rows: Halves) {
        let stride = self.area.width();
        let length = columns.length();
        if length == 1 {
            if columns.offset == 1 {
                let first = self.samples.iter_mut().step_by(stride).take(rows.length());
                first.for_each(|sample| *sample *= 2.0);
            }
            return;
        }
        let mut line = Line::new(columns);
        for row in self.samples.chunks_exact_mut(stride).take(rows.length()) {
            let row = &mut row[..length];
            line.split(row);
            line.lift_high(lift_high);
            line.lift_low(lift_low);
            row[..columns.low].copy_from_slice(line.low());
            row[columns.low..].copy_from_slice(line.high());
        }
    }

    /// Multiplies every band by its step: the smallest resolution's, then three for each level.
    pub(super) fn scale(&mut self, levels: u32, steps: &[f32]) {
        let stride = self.area.width();
        let mut scale = |left: usize, top: usize, width: usize, height: usize, step: f32| {
            for row in self.samples.chunks_exact_mut(stride.max(1)).skip(top).take(height) {
                row[left..left + width].iter_mut().for_each(|sample| *sample *= step);
            }
        };
        let smallest = self.area.sampled(1 << levels, 1 << levels);
        scale(0, 0, smallest.width(), smallest.height(), steps[0]);
        for (level, steps) in (0..levels).rev().zip(steps[1..].as_chunks::<3>().0) {
            let area = self.area.sampled(1 << level, 1 << level);
            let columns = Halves::new(area.left, area.width());
            let rows = Halves::new(area.top, area.height());
            scale(columns.low, 0, columns.high, rows.low, steps[0]);
            scale(0, rows.low, columns.low, rows.high, steps[1]);
            scale(columns.low, rows.low, columns.high, rows.high, steps[2]);
        }
    }

    /// The irreversible transform, with the sums in `OpenJPEG`'s order.
    pub(super) fn synthesise(&mut self, levels: u32) {
        for level in (0..levels).rev() {
            let (columns, rows) = self.halves(level);
            if columns.length() > 0 && rows.length() > 0 {
                self.synthesise_rows(columns, rows);
                self.synthesise_columns(columns.length(), rows);
            }
        }
    }

    fn synthesise_rows(&mut self, columns: Halves, rows: Halves) {
        let stride = self.area.width();
        let length = columns.length();
        if length == 1 {
            return;
        }
        let mut line = Line::new(columns);
        for row in self.samples.chunks_exact_mut(stride).take(rows.length()) {
            let row = &mut row[..length];
            let (low, high) = row.split_at(columns.low);
            line.fill(low, high);
            line.lift_low(|sample, sum| *sample += sum * -DELTA);
            line.lift_high(|sample, sum| *sample += sum * -GAMMA);
            line.lift_low(|sample, sum| *sample += sum * -BETA);
            line.lift_high(|sample, sum| *sample += sum * -ALPHA);
            line.join(row);
        }
    }

    fn synthesise_columns(&mut self, width: usize, rows: Halves) {
        let stride = self.area.width();
        let length = rows.length();
        if length == 1 {
            return;
        }
        for place in 0..length {
            let factor = if place % 2 == rows.offset { K } else { TWO_INV_K };
            let source = &self.samples[rows.apart(place) * stride..][..width];
            for (target, sample) in self.scratch[place * stride..][..width].iter_mut().zip(source) {
                *target = sample * factor;
            }
        }
        for (half, factor) in [(0, -DELTA), (1, -GAMMA), (0, -BETA), (1, -ALPHA)] {
            let first = rows.offset ^ half;
            let shape = (stride, width);
            Self::lift_rows(&mut self.scratch, shape, first, length, |sample, sum| {
                *sample += sum * factor;
            });
        }
        for row in 0..length {
            self.samples[row * stride..][..width].copy_from_slice(&self.scratch[row * stride..][..width]);
        }
    }
}

fn lift_high(sample: &mut f32, sum: f32) {
    *sample -= floor(sum * 0.5);
}

fn lift_low(sample: &mut f32, sum: f32) {
    *sample += floor((sum + 2.0) * 0.25);
}

/// [`f32::floor`] of numbers within the range of `i32`, without a call for each on machines older than SSE 4.1.
pub(super) fn floor(number: f32) -> f32 {
    let whole = number as i32 as f32;
    whole - f32::from(u8::from(whole > number))
}

/// The halves of a row, with room for a sample on both ends of each.
struct Line {
    halves: Halves,
    low: Vec<f32>,
    high: Vec<f32>,
}

impl Line {
    fn new(halves: Halves) -> Self {
        Self {
            halves,
            low: vec![0.0; halves.low + 2],
            high: vec![0.0; halves.high + 2],
        }
    }

    fn low(&self) -> &[f32] {
        &self.low[1..=self.halves.low]
    }

    fn high(&self) -> &[f32] {
        &self.high[1..=self.halves.high]
    }

    /// The halves in the order in which the first sample is of the first one.
    fn ordered(&mut self) -> (&mut [f32], &mut [f32]) {
        let (low, high) = (&mut self.low[1..=self.halves.low], &mut self.high[1..=self.halves.high]);
        if self.halves.offset == 0 {
            (low, high)
        } else {
            (high, low)
        }
    }

    fn split(&mut self, row: &[f32]) {
        let (first, second) = self.ordered();
        let (pairs, last) = row.as_chunks::<2>();
        for ((pair, first), second) in pairs.iter().zip(&mut *first).zip(second) {
            (*first, *second) = (pair[0], pair[1]);
        }
        if let (&[sample], Some(target)) = (last, first.last_mut()) {
            *target = sample;
        }
    }

    fn join(&mut self, row: &mut [f32]) {
        let (first, second) = self.ordered();
        let (pairs, last) = row.as_chunks_mut::<2>();
        for ((pair, first), second) in pairs.iter_mut().zip(&*first).zip(second) {
            *pair = [*first, *second];
        }
        if let ([target], Some(&sample)) = (last, first.last()) {
            *target = sample;
        }
    }

    /// Takes the halves, scaled for the irreversible transform.
    fn fill(&mut self, low: &[f32], high: &[f32]) {
        let scale = |targets: &mut [f32], samples: &[f32], factor: f32| {
            for (target, sample) in targets.iter_mut().zip(samples) {
                *target = sample * factor;
            }
        };
        scale(&mut self.low[1..], low, K);
        scale(&mut self.high[1..], high, TWO_INV_K);
    }

    fn lift_low(&mut self, lift: impl Fn(&mut f32, f32)) {
        lift_half(&mut self.low, &mut self.high, 1 - self.halves.offset, lift);
    }

    fn lift_high(&mut self, lift: impl Fn(&mut f32, f32)) {
        lift_half(&mut self.high, &mut self.low, self.halves.offset, lift);
    }
}

/// Lifts the samples of one half by those of the other. The one at a place lies between those at the same place and the
/// one `before` it, or behind it; mirrored at the ends, the half's last sample follows itself.
fn lift_half(targets: &mut [f32], sources: &mut [f32], before: usize, lift: impl Fn(&mut f32, f32)) {
    let end = sources.len() - 1;
    sources[0] = sources[1];
    sources[end] = sources[end - 1];
    let count = targets.len() - 2;
    let sides = sources[1 - before..].iter().zip(&sources[2 - before..]);
    for (target, (left, right)) in targets[1..=count].iter_mut().zip(sides) {
        lift(target, left + right);
    }
}
