//! The accurate transform in vectors of eight 16-bit lanes: libjpeg-turbo's `jidctint-sse2.asm`. Every x86-64 processor
//! has SSE2, so the program does not check for it.
#![allow(clippy::similar_names, reason = "the names of libjpeg-turbo's jidctint.c")]

use core::arch::x86_64::{
    __m128i, _mm_add_epi16, _mm_add_epi32, _mm_adds_epi16, _mm_cvtsi128_si64, _mm_madd_epi16, _mm_mullo_epi16,
    _mm_packs_epi32, _mm_packus_epi16, _mm_set_epi16, _mm_set1_epi16, _mm_set1_epi32, _mm_setzero_si128,
    _mm_slli_epi16, _mm_srai_epi32, _mm_sub_epi16, _mm_sub_epi32, _mm_unpackhi_epi16, _mm_unpackhi_epi32,
    _mm_unpackhi_epi64, _mm_unpacklo_epi16, _mm_unpacklo_epi32, _mm_unpacklo_epi64,
};

use super::idct_factors::{
    F_0_298, F_0_390, F_0_541, F_0_765, F_0_899, F_1_175, F_1_501, F_1_847, F_1_961, F_2_053, F_2_562, F_3_072,
};

type Rows = [__m128i; 8];

/// Writes a block's samples into eight rows of a plane, `stride` samples apart.
#[allow(unsafe_code, reason = "the one step into code for SSE2")]
pub(super) fn transform(block: &[i16; 64], multipliers: &[i16; 64], plane: &mut [u8], stride: usize) {
    // SAFETY: every x86-64 processor has SSE2.
    unsafe { transform_vectors(block, multipliers, plane, stride) }
}

#[target_feature(enable = "sse2")]
fn transform_vectors(block: &[i16; 64], multipliers: &[i16; 64], plane: &mut [u8], stride: usize) {
    let mut rows = [_mm_setzero_si128(); 8];
    let pairs = block.as_chunks::<8>().0.iter().zip(multipliers.as_chunks::<8>().0);
    for (row, (coefficients, multipliers)) in rows.iter_mut().zip(pairs) {
        *row = _mm_mullo_epi16(load(coefficients), load(multipliers));
    }
    let columns = if block[8..].iter().fold(0, |any, coefficient| any | coefficient) == 0 {
        [_mm_slli_epi16::<2>(rows[0]); 8]
    } else {
        pass::<11>(&rows)
    };
    let samples = transposed(&pass::<18>(&transposed(&columns)));
    for (row, samples) in plane.chunks_mut(stride).zip(samples) {
        // To bytes around the middle grey.
        let levels = _mm_adds_epi16(samples, _mm_set1_epi16(128));
        let bytes = _mm_cvtsi128_si64(_mm_packus_epi16(levels, levels));
        row[..8].copy_from_slice(&bytes.to_le_bytes());
    }
}

#[inline]
#[target_feature(enable = "sse2")]
fn load(values: &[i16; 8]) -> __m128i {
    let [v0, v1, v2, v3, v4, v5, v6, v7] = *values;
    _mm_set_epi16(v7, v6, v5, v4, v3, v2, v1, v0)
}

/// Eight sums of 32 bits, the lower and the upper four.
#[derive(Clone, Copy)]
struct Wide(__m128i, __m128i);

impl Wide {
    #[inline]
    #[target_feature(enable = "sse2")]
    fn plus(self, other: Self) -> Self {
        Self(_mm_add_epi32(self.0, other.0), _mm_add_epi32(self.1, other.1))
    }

    #[inline]
    #[target_feature(enable = "sse2")]
    fn minus(self, other: Self) -> Self {
        Self(_mm_sub_epi32(self.0, other.0), _mm_sub_epi32(self.1, other.1))
    }

    /// Shifted right with rounding, saturated.
    #[inline]
    #[target_feature(enable = "sse2")]
    fn rounded<const SHIFT: i32>(self) -> __m128i {
        let half = _mm_set1_epi32(1 << (SHIFT - 1));
        let shifted = |sum| _mm_srai_epi32::<SHIFT>(_mm_add_epi32(sum, half));
        _mm_packs_epi32(shifted(self.0), shifted(self.1))
    }
}

/// `a * by + b * and_by`
#[inline]
#[target_feature(enable = "sse2")]
fn mix(a: __m128i, by: i32, b: __m128i, and_by: i32) -> Wide {
    let factors = _mm_set1_epi32((and_by << 16) | (by & 0xffff));
    Wide(
        _mm_madd_epi16(_mm_unpacklo_epi16(a, b), factors),
        _mm_madd_epi16(_mm_unpackhi_epi16(a, b), factors),
    )
}

/// One pass of Loeffler, Ligtenberg and Moschytz's transform over all lanes (`DODCT`).
#[inline]
#[target_feature(enable = "sse2")]
fn pass<const SHIFT: i32>(&[in0, in1, in2, in3, in4, in5, in6, in7]: &Rows) -> Rows {
    let zero = _mm_setzero_si128();
    let tmp3 = mix(in2, F_0_541 + F_0_765, in6, F_0_541);
    let tmp2 = mix(in6, F_0_541 - F_1_847, in2, F_0_541);
    let tmp0 = mix(_mm_add_epi16(in0, in4), 1 << 13, zero, 0);
    let tmp1 = mix(_mm_sub_epi16(in0, in4), 1 << 13, zero, 0);
    let (tmp10, tmp13) = (tmp0.plus(tmp3), tmp0.minus(tmp3));
    let (tmp11, tmp12) = (tmp1.plus(tmp2), tmp1.minus(tmp2));

    let (z3, z4) = (_mm_add_epi16(in7, in3), _mm_add_epi16(in5, in1));
    let sum3 = mix(z3, F_1_175 - F_1_961, z4, F_1_175);
    let sum4 = mix(z4, F_1_175 - F_0_390, z3, F_1_175);
    let tmp0 = mix(in7, F_0_298 - F_0_899, in1, -F_0_899).plus(sum3);
    let tmp1 = mix(in5, F_2_053 - F_2_562, in3, -F_2_562).plus(sum4);
    let tmp2 = mix(in5, -F_2_562, in3, F_3_072 - F_2_562).plus(sum3);
    let tmp3 = mix(in7, -F_0_899, in1, F_1_501 - F_0_899).plus(sum4);
    [
        tmp10.plus(tmp3).rounded::<SHIFT>(),
        tmp11.plus(tmp2).rounded::<SHIFT>(),
        tmp12.plus(tmp1).rounded::<SHIFT>(),
        tmp13.plus(tmp0).rounded::<SHIFT>(),
        tmp13.minus(tmp0).rounded::<SHIFT>(),
        tmp12.minus(tmp1).rounded::<SHIFT>(),
        tmp11.minus(tmp2).rounded::<SHIFT>(),
        tmp10.minus(tmp3).rounded::<SHIFT>(),
    ]
}

/// Columns for rows: lanes of 16, then of 32, then of 64 bits are interleaved.
#[inline]
#[target_feature(enable = "sse2")]
fn transposed(&[r0, r1, r2, r3, r4, r5, r6, r7]: &Rows) -> Rows {
    let pairs = |a, b| (_mm_unpacklo_epi16(a, b), _mm_unpackhi_epi16(a, b));
    let (a0, a1) = pairs(r0, r1);
    let (b0, b1) = pairs(r2, r3);
    let (c0, c1) = pairs(r4, r5);
    let (d0, d1) = pairs(r6, r7);
    let fours = |a, b| (_mm_unpacklo_epi32(a, b), _mm_unpackhi_epi32(a, b));
    let (ab0, ab1) = fours(a0, b0);
    let (ab2, ab3) = fours(a1, b1);
    let (cd0, cd1) = fours(c0, d0);
    let (cd2, cd3) = fours(c1, d1);
    let whole = |a, b| [_mm_unpacklo_epi64(a, b), _mm_unpackhi_epi64(a, b)];
    let [[c0, c1], [c2, c3], [c4, c5], [c6, c7]] = [whole(ab0, cd0), whole(ab1, cd1), whole(ab2, cd2), whole(ab3, cd3)];
    [c0, c1, c2, c3, c4, c5, c6, c7]
}
