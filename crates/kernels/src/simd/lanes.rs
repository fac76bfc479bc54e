//! A vector of `f32` lanes. Every kernel is written once, for vectors of any width.

use macerator::{Simd, Vector};

/// A vector of lanes.
pub(crate) trait Lanes: Copy {
    /// The number of lanes: 4, 8 or 16.
    const WIDTH: usize;

    /// Pixels of a tile, and vectors of its outputs. The registers hold the accumulators, a vector of weights for each
    /// vector of outputs, and one vector of a pixel. Outputs of a tile are whole panels.
    const TILE: [usize; 2];

    /// The same value in every lane.
    fn splat(value: f32) -> Self;

    /// Reads [`WIDTH`](Self::WIDTH) values, at any alignment.
    ///
    /// # Safety
    ///
    /// They must be readable.
    unsafe fn load(from: *const f32) -> Self;

    /// Writes [`WIDTH`](Self::WIDTH) values, at any alignment.
    ///
    /// # Safety
    ///
    /// They must be writable.
    unsafe fn store(self, to: *mut f32);

    /// `self * factor + term`, rounded once where the hardware does.
    fn mul_add(self, factor: Self, term: Self) -> Self;

    /// The sum.
    fn plus(self, other: Self) -> Self;

    /// The difference.
    fn minus(self, other: Self) -> Self;

    /// `max(self, least)`, `least` being a number; NaN stays NaN.
    fn at_least(self, least: Self) -> Self;

    /// `min(self, most)`, `most` being a number; NaN stays NaN.
    fn at_most(self, most: Self) -> Self;

    /// The product.
    fn times(self, other: Self) -> Self;

    /// `max(self, 0)`; NaN stays NaN, as in Burn.
    #[inline(always)]
    fn relu(self) -> Self {
        self.at_least(Self::splat(0.0))
    }

    /// The larger value; NaN wins and stays, as in Burn's max pooling.
    fn largest(self, other: Self) -> Self;

    /// The value where `by` is positive or NaN, 0 elsewhere: the gradient of `ReLU`, as in Burn.
    fn where_positive(self, by: Self) -> Self;
}

impl<S: Simd> Lanes for Vector<S, f32> {
    const WIDTH: usize = size_of::<Self>() / size_of::<f32>();

    // 32 registers of 16 lanes (AVX-512), 16 of 8 (AVX2), 32 of 4 (NEON), 16 of 4 (SSE4.2).
    const TILE: [usize; 2] = match Self::WIDTH {
        16 => [14, 2],
        8 => [6, 2],
        _ if cfg!(target_arch = "aarch64") => [6, 4],
        _ => [2, 4],
    };

    #[inline(always)]
    fn splat(value: f32) -> Self {
        macerator::Scalar::splat(value)
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: the caller's promise is the same.
        unsafe { macerator::vload_unaligned(from) }
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: the caller's promise is the same.
        unsafe { macerator::vstore_unaligned(to, self) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        Vector::mul_add(self, factor, term)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self + other
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self - other
    }

    #[inline(always)]
    fn at_least(self, least: Self) -> Self {
        // In this order: of a NaN and a number, x86 takes the second operand; NEON and wasm take the NaN.
        least.max(self)
    }

    #[inline(always)]
    fn at_most(self, most: Self) -> Self {
        // In this order, as in `at_least`.
        most.min(self)
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self * other
    }

    #[inline(always)]
    fn largest(self, other: Self) -> Self {
        // As in `at_least`, a NaN in `other` is taken; one in `self` has to be kept.
        self.ne(self).select(self, self.max(other))
    }

    #[inline(always)]
    fn where_positive(self, by: Self) -> Self {
        let zero = Self::splat(0.0);
        by.le(zero).select(zero, self)
    }
}

/// Lanes in plain Rust, for any machine and for Miri.
#[derive(Clone, Copy)]
pub(crate) struct Portable([f32; 8]);

impl Portable {
    #[inline(always)]
    fn map(mut self, other: Self, change: impl Fn(f32, f32) -> f32) -> Self {
        for (x, y) in self.0.iter_mut().zip(other.0) {
            *x = change(*x, y);
        }
        self
    }
}

impl Lanes for Portable {
    const WIDTH: usize = 8;

    const TILE: [usize; 2] = [2, 2];

    #[inline(always)]
    fn splat(value: f32) -> Self {
        Self([value; 8])
    }

    #[inline(always)]
    unsafe fn load(from: *const f32) -> Self {
        // SAFETY: eight values are readable by the caller's promise, and an unaligned read asks for no more.
        Self(unsafe { from.cast::<[f32; 8]>().read_unaligned() })
    }

    #[inline(always)]
    unsafe fn store(self, to: *mut f32) {
        // SAFETY: eight values are writable by the caller's promise, and an unaligned write asks for no more.
        unsafe { to.cast::<[f32; 8]>().write_unaligned(self.0) }
    }

    #[inline(always)]
    fn mul_add(self, factor: Self, term: Self) -> Self {
        // Not `f32::mul_add`: without the instruction it is a call for every lane.
        self.map(factor, |x, y| x * y).map(term, |x, y| x + y)
    }

    #[inline(always)]
    fn plus(self, other: Self) -> Self {
        self.map(other, |x, y| x + y)
    }

    #[inline(always)]
    fn minus(self, other: Self) -> Self {
        self.map(other, |x, y| x - y)
    }

    #[inline(always)]
    fn at_least(self, least: Self) -> Self {
        self.map(least, |x, least| if x < least { least } else { x })
    }

    #[inline(always)]
    fn at_most(self, most: Self) -> Self {
        self.map(most, |x, most| if x > most { most } else { x })
    }

    #[inline(always)]
    fn times(self, other: Self) -> Self {
        self.map(other, |x, y| x * y)
    }

    #[inline(always)]
    fn largest(self, other: Self) -> Self {
        self.map(other, |x, y| if y > x || y.is_nan() { y } else { x })
    }

    #[inline(always)]
    fn where_positive(self, by: Self) -> Self {
        self.map(by, |x, by| if by <= 0.0 { 0.0 } else { x })
    }
}

/// Prefetches the cache line at `place` into the first-level cache.
#[inline(always)]
pub(crate) fn prefetch(place: *const f32) {
    // SAFETY: a prefetch reads nothing; any address will do.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T0, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T0>(place.cast());
    }
    let _ = place;
}

/// Prefetches the cache line at `place` into the second-level cache.
#[inline(always)]
pub(crate) fn prefetch_far(place: *const f32) {
    // SAFETY: a prefetch reads nothing; any address will do.
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    unsafe {
        use core::arch::x86_64::{_MM_HINT_T1, _mm_prefetch};
        _mm_prefetch::<_MM_HINT_T1>(place.cast());
    }
    let _ = place;
}
