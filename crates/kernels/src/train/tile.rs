//! The register tile of all products: a few rows of the left matrix times a panel of the right one.
//!
//! A step of the inner product takes one vector load for each vector of the panel, one broadcast for each row, and a
//! fused multiply-add for each pair: 2, 6 and 12 with AVX2. The multiply-adds are the bottleneck.

use crate::memory::buffer::LINE;
use crate::simd::lanes::{Lanes, prefetch, prefetch_far};

/// Columns of a panel with the widest vectors.
pub(super) const MOST_COLUMNS: usize = 32;

/// Columns of a panel of the right matrix.
pub(super) const fn panel<V: Lanes>() -> usize {
    V::TILE[1] * V::WIDTH
}

/// Whether half of a panel holds all columns that are not padding. Always false with the widest vectors: few of their
/// panels are at most half full, too few to justify the code.
#[inline(always)]
const fn half<V: Lanes>(columns: usize) -> bool {
    V::WIDTH < LINE && columns * 2 <= panel::<V>()
}

/// The rows of the left matrix, cut into tiles of nearly equal size.
#[derive(Clone, Copy)]
pub(super) struct Tiles {
    pub count: usize,
    size: usize,
    larger: usize,
}

impl Tiles {
    /// Cuts `rows` rows into tiles of at most `most` rows and at least half as many. If there are fewer rows in all,
    /// each tile is a single row. Code exists only for these sizes.
    pub(super) fn new(rows: usize, most: usize) -> Self {
        let few = rows * 2 < most;
        let count = rows.div_ceil(if few { 1 } else { most }).max(1);
        Self {
            count,
            size: rows / count,
            larger: rows % count,
        }
    }

    /// The first row and the number of rows of a tile.
    pub(super) fn at(self, tile: usize) -> (usize, usize) {
        (
            tile * self.size + tile.min(self.larger),
            self.size + usize::from(tile < self.larger),
        )
    }
}

/// Calls `$run` with the number of rows as a constant.
macro_rules! by_rows {
    ($rows:expr, $most:expr, $run:ident, $($argument:expr),*) => {
        by_rows!(@ $rows, $most, $run, ($($argument),*), 1 2 3 4 5 6 7 8 9 10 11 12 13 14)
    };
    (@ $rows:expr, $most:expr, $run:ident, $arguments:tt, $($count:literal)*) => {
        match $rows {
            $($count if $count == 1 || $count <= $most && $count * 2 >= $most => by_rows!(! $run, $count, $arguments),)*
            _ => unreachable!("no tile has more rows than the registers hold"),
        }
    };
    (! $run:ident, $count:literal, ($($argument:expr),*)) => {
        $run::<V, $count>($($argument),*)
    };
}
pub(super) use by_rows;

/// Gives the address at which each row of a tile's sums begins.
pub(super) trait Places: Copy {
    /// The first value of a row.
    fn at(self, row: usize) -> *mut f32;
}

/// Rows that are `step` values apart.
#[derive(Clone, Copy)]
pub(super) struct Even {
    pub first: *mut f32,
    pub step: usize,
}

impl Places for Even {
    #[inline(always)]
    fn at(self, row: usize) -> *mut f32 {
        self.first.wrapping_add(row * self.step)
    }
}

/// Rows at arbitrary places, relative to `first`.
#[derive(Clone, Copy)]
pub(super) struct Listed<'a> {
    pub first: *mut f32,
    pub offsets: &'a [usize],
}

impl Places for Listed<'_> {
    #[inline(always)]
    fn at(self, row: usize) -> *mut f32 {
        self.first.wrapping_add(self.offsets[row])
    }
}

/// Where a tile's sums are written.
#[derive(Clone, Copy)]
pub(super) struct Target<P> {
    pub places: P,
    /// Columns that are not padding.
    pub columns: usize,
    /// Whether the sums are added to the values at their places.
    pub add: bool,
}

/// How many steps ahead a panel is prefetched into the first-level cache.
const NEAR: usize = 16;

/// Steps between two prefetches of memory that later tiles read.
const CHUNK: usize = 64;

/// Memory that later tiles read: `rows` rows of `lines` cache lines, prefetched into the second-level cache in equal
/// shares.
#[derive(Clone, Copy)]
pub(super) struct Ahead {
    next: *const f32,
    /// Distance from the end of a row's lines to the next row.
    jump: usize,
    lines: usize,
    /// Lines left in this row.
    left: usize,
    /// Lines left in all rows.
    total: usize,
    /// Lines per share.
    share: usize,
}

impl Ahead {
    /// No prefetch.
    pub(super) const NONE: Self = Self {
        next: core::ptr::null(),
        jump: 0,
        lines: 0,
        left: 0,
        total: 0,
        share: 0,
    };

    /// `rows` rows of `lines` cache lines, `step` values apart, shared between tiles of `steps` steps.
    pub(super) fn new(from: *const f32, [rows, lines, step]: [usize; 3], tiles: usize, steps: usize) -> Self {
        let shares = tiles * steps.div_ceil(CHUNK);
        Self {
            next: from,
            jump: step.wrapping_sub(lines * LINE),
            lines,
            left: lines,
            total: rows * lines,
            share: (rows * lines).div_ceil(shares.max(1)),
        }
    }

    /// Prefetches one share.
    #[inline(always)]
    fn prefetch(&mut self) {
        let count = self.share.min(self.total);
        self.total -= count;
        for _ in 0..count {
            prefetch_far(self.next);
            self.next = self.next.wrapping_add(LINE);
            self.left -= 1;
            if self.left == 0 {
                self.left = self.lines;
                self.next = self.next.wrapping_add(self.jump);
            }
        }
    }
}

/// Rows of the left matrix, packed as `[step][rows]`, and the panel, packed as `[step][columns]`.
#[derive(Clone, Copy)]
pub(super) struct PackedTile<P> {
    pub left: *const f32,
    pub right: *const f32,
    pub steps: usize,
    pub target: Target<P>,
}

impl<P: Places> PackedTile<P> {
    /// # Safety
    ///
    /// Both sides must be readable for all steps, and `ROWS` rows of the target writable by this thread alone.
    #[inline(always)]
    pub(super) unsafe fn run<V: Lanes, const ROWS: usize>(&self, ahead: &mut [Ahead; 2]) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            match (V::TILE[1], half::<V>(self.target.columns)) {
                (2, true) => self.sums::<V, ROWS, 1>(ahead),
                (2, false) | (_, true) => self.sums::<V, ROWS, 2>(ahead),
                _ => self.sums::<V, ROWS, 4>(ahead),
            }
        }
    }

    /// # Safety
    ///
    /// See [`run`](Self::run).
    #[inline(always)]
    unsafe fn sums<V: Lanes, const ROWS: usize, const VECTORS: usize>(&self, ahead: &mut [Ahead; 2]) {
        self.target.prefetch::<V, ROWS, VECTORS>();
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        let (mut left, mut right) = (self.left, self.right);
        let mut steps = self.steps;
        while steps > 0 {
            let chunk = steps.min(CHUNK);
            steps -= chunk;
            // SAFETY: the caller guarantees that both sides are readable for all steps.
            unsafe {
                packed_steps(&mut sums, left, right, chunk);
                left = left.add(chunk * ROWS);
                right = right.add(chunk * panel::<V>());
            }
            for ahead in &mut *ahead {
                ahead.prefetch();
            }
        }
        // SAFETY: the caller's promise is the same.
        unsafe { self.target.write(sums) };
    }
}

/// Rows of the left matrix, read in place: each row has a place of its own for each segment of the inner product.
#[derive(Clone, Copy)]
pub(super) struct GatheredTile<P> {
    /// The places of the tile's rows in the first segment.
    pub left: *const *const f32,
    /// Distance from a row's place to its place in the next segment.
    pub next: usize,
    pub segments: usize,
    /// Values to skip at the start of each segment.
    pub skip: usize,
    /// Steps per segment.
    pub steps: usize,
    /// The panel, `[segment][step][columns]`.
    pub right: *const f32,
    pub target: Target<P>,
}

impl<P: Places> GatheredTile<P> {
    /// # Safety
    ///
    /// There must be a readable place for each of `ROWS` rows in every segment, the panel must be readable, and `ROWS`
    /// rows of the target writable by this thread alone.
    #[inline(always)]
    pub(super) unsafe fn run<V: Lanes, const ROWS: usize>(&self, ahead: &mut [Ahead; 2]) {
        // SAFETY: the caller's promise is the same.
        unsafe {
            match (V::TILE[1], half::<V>(self.target.columns)) {
                (2, true) => self.sums::<V, ROWS, 1>(ahead),
                (2, false) | (_, true) => self.sums::<V, ROWS, 2>(ahead),
                _ => self.sums::<V, ROWS, 4>(ahead),
            }
        }
    }

    /// # Safety
    ///
    /// See [`run`](Self::run).
    #[inline(always)]
    unsafe fn sums<V: Lanes, const ROWS: usize, const VECTORS: usize>(&self, ahead: &mut [Ahead; 2]) {
        self.target.prefetch::<V, ROWS, VECTORS>();
        let mut sums = [[V::splat(0.0); VECTORS]; ROWS];
        let mut right = self.right;
        for segment in 0..self.segments {
            let mut places = [core::ptr::null(); ROWS];
            for (row, place) in places.iter_mut().enumerate() {
                // SAFETY: the caller guarantees a place for each row.
                *place = unsafe { (*self.left.add(segment * self.next + row)).add(self.skip) };
            }
            let mut done = 0;
            while done < self.steps {
                let chunk = (self.steps - done).min(CHUNK);
                // SAFETY: the caller guarantees that the rows and the panel are readable for all steps.
                unsafe {
                    gathered_steps(&mut sums, places, right, done..done + chunk);
                    right = right.add(chunk * panel::<V>());
                }
                done += chunk;
                for ahead in &mut *ahead {
                    ahead.prefetch();
                }
            }
        }
        // SAFETY: the caller's promise is the same.
        unsafe { self.target.write(sums) };
    }
}

/// Adds steps `steps` of a segment.
///
/// # Safety
///
/// `places` and the panel must be readable for all steps.
#[inline(always)]
unsafe fn gathered_steps<V: Lanes, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; ROWS],
    places: [*const f32; ROWS],
    mut right: *const f32,
    steps: core::ops::Range<usize>,
) {
    for index in steps {
        for line in (0..panel::<V>()).step_by(LINE) {
            prefetch(right.wrapping_add(NEAR * panel::<V>() + line));
        }
        // SAFETY: the caller guarantees that both sides are readable for all steps.
        unsafe {
            step(sums, right, |row| *places[row].add(index));
            right = right.add(panel::<V>());
        }
    }
}

/// Adds some steps of the inner product.
///
/// # Safety
///
/// Both sides must be readable for all steps.
#[inline(always)]
unsafe fn packed_steps<V: Lanes, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; ROWS],
    mut left: *const f32,
    mut right: *const f32,
    steps: usize,
) {
    for _ in 0..steps {
        // SAFETY: the caller guarantees that both sides are readable for all steps.
        unsafe {
            step(sums, right, |row| *left.add(row));
            left = left.add(ROWS);
            right = right.add(panel::<V>());
        }
    }
}

/// Adds one step of the inner product.
///
/// # Safety
///
/// `VECTORS` vectors must be readable at `right`.
#[inline(always)]
unsafe fn step<V: Lanes, const ROWS: usize, const VECTORS: usize>(
    sums: &mut [[V; VECTORS]; ROWS],
    right: *const f32,
    value: impl Fn(usize) -> f32,
) {
    let mut factors = [V::splat(0.0); VECTORS];
    for (vector, factor) in factors.iter_mut().enumerate() {
        // SAFETY: the caller's promise is the same.
        *factor = unsafe { V::load(right.add(vector * V::WIDTH)) };
    }
    for (row, sums) in sums.iter_mut().enumerate() {
        let value = V::splat(value(row));
        for (sum, factor) in sums.iter_mut().zip(factors) {
            *sum = value.mul_add(factor, *sum);
        }
    }
}

impl<P: Places> Target<P> {
    /// Prefetches the lines that [`write`](Self::write) reads and writes.
    #[inline(always)]
    fn prefetch<V: Lanes, const ROWS: usize, const VECTORS: usize>(&self) {
        for row in 0..ROWS {
            let first = self.places.at(row).cast_const();
            for column in (0..VECTORS * V::WIDTH).step_by(LINE) {
                prefetch(first.wrapping_add(column));
            }
            prefetch(first.wrapping_add(VECTORS * V::WIDTH - 1));
        }
    }

    /// # Safety
    ///
    /// `ROWS` rows must be writable by this thread alone.
    #[inline(always)]
    unsafe fn write<V: Lanes, const ROWS: usize, const VECTORS: usize>(&self, mut sums: [[V; VECTORS]; ROWS]) {
        // Loops of one statement, which the compiler unrolls: otherwise the sums would be in memory from the start.
        // SAFETY: the caller guarantees `columns` values for each row.
        unsafe {
            if self.columns < VECTORS * V::WIDTH {
                let mut values = [[0.0; MOST_COLUMNS]; ROWS];
                for (sums, values) in sums.iter().zip(&mut values) {
                    for (vector, sum) in sums.iter().enumerate() {
                        sum.store(values.as_mut_ptr().add(vector * V::WIDTH));
                    }
                }
                for (row, values) in values.iter().enumerate() {
                    let to = self.places.at(row);
                    for (column, value) in values.iter().enumerate().take(self.columns) {
                        let to = to.add(column);
                        *to = if self.add { value + *to } else { *value };
                    }
                }
                return;
            }
            if self.add {
                for (row, sums) in sums.iter_mut().enumerate() {
                    for (vector, sum) in sums.iter_mut().enumerate() {
                        *sum = sum.plus(V::load(self.places.at(row).add(vector * V::WIDTH)));
                    }
                }
            }
            for (row, sums) in sums.iter().enumerate() {
                for (vector, sum) in sums.iter().enumerate() {
                    sum.store(self.places.at(row).add(vector * V::WIDTH));
                }
            }
        }
    }
}
