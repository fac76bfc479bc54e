//! The inverse cosine transform of one block, with the roundings and the overflows of libjpeg-turbo's vector code.
//!
//! On every machine with SSE2, Pillow and TensorFlow transform with 16-bit lanes (`jidctint-avx2.asm`,
//! `jidctfst-sse2.asm`), which wrap and saturate where the plain C code has room. Undamaged files never come so far,
//! damaged ones do.
#![allow(
    clippy::similar_names,
    clippy::needless_range_loop,
    reason = "the names and loops of libjpeg-turbo's jidctint.c"
)]

use super::idct_factors::{
    F_0_298, F_0_390, F_0_541, F_0_765, F_0_899, F_1_175, F_1_501, F_1_847, F_1_961, F_2_053, F_2_562, F_3_072,
};

/// The inverse cosine transform, which the JPEG standard leaves to the decoder within a tolerance.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(in crate::picture) enum Idct {
    /// `JDCT_ISLOW`: Pillow's, and libjpeg's default.
    Accurate,
    /// `JDCT_IFAST`: TensorFlow's (`decode_image_op.cc`).
    Fast,
}

/// A row of the block, a lane for each column.
type Lanes = [i16; 8];

/// What coefficients are multiplied by before the transform.
pub(super) struct Multipliers {
    idct: Idct,
    values: [i16; 64],
}

/// `cos(k * PI / 16) * sqrt(2)` for row times column, in units of `2^-14` (`jddctmgr.c`, `aanscales`).
#[rustfmt::skip]
const FAST_SCALES: [i32; 64] = [
    16384, 22725, 21407, 19266, 16384, 12873,  8867,  4520,
    22725, 31521, 29692, 26722, 22725, 17855, 12299,  6270,
    21407, 29692, 27969, 25172, 21407, 16819, 11585,  5906,
    19266, 26722, 25172, 22654, 19266, 15137, 10426,  5315,
    16384, 22725, 21407, 19266, 16384, 12873,  8867,  4520,
    12873, 17855, 16819, 15137, 12873, 10114,  6967,  3552,
     8867, 12299, 11585, 10426,  8867,  6967,  4799,  2446,
     4520,  6270,  5906,  5315,  4520,  3552,  2446,  1247,
];

impl Multipliers {
    /// Of a component without a table, which holds no coefficients either, all are zero.
    pub(super) fn new(quant: Option<&[u16; 64]>, idct: Idct) -> Self {
        let mut values = [0; 64];
        if let Some(quant) = quant {
            for ((value, &quant), &scale) in values.iter_mut().zip(quant).zip(&FAST_SCALES) {
                *value = match idct {
                    Idct::Accurate => quant as i16,
                    Idct::Fast => ((i64::from(quant) * i64::from(scale) + (1 << 11)) >> 12) as i16,
                };
            }
        }
        Self { idct, values }
    }

    /// Transforms a block into eight rows of a plane, `stride` samples apart.
    pub(super) fn transform(&self, block: &[i16; 64], plane: &mut [u8], stride: usize) {
        if self.idct == Idct::Accurate {
            if block[1..].iter().fold(0, |any, coefficient| any | coefficient) == 0 {
                let level = block[0].wrapping_mul(self.values[0]) << 2;
                let sample = sample(round(i32::from(level) << 13, 18));
                for row in plane.chunks_mut(stride).take(8) {
                    row[..8].fill(sample);
                }
                return;
            }
            #[cfg(target_arch = "x86_64")]
            {
                super::idct_x86::transform(block, &self.values, plane, stride);
                return;
            }
        }
        self.transform_lanes(block, plane, stride);
    }

    /// [`transform`](Self::transform) in 16-bit lanes.
    fn transform_lanes(&self, block: &[i16; 64], plane: &mut [u8], stride: usize) {
        let mut rows = [[0; 8]; 8];
        for (row, (coefficients, multipliers)) in rows
            .iter_mut()
            .zip(block.chunks_exact(8).zip(self.values.chunks_exact(8)))
        {
            for (lane, (&coefficient, &multiplier)) in row.iter_mut().zip(coefficients.iter().zip(multipliers)) {
                *lane = coefficient.wrapping_mul(multiplier);
            }
        }
        let samples = match self.idct {
            Idct::Accurate => {
                // Here the shift wraps, in the sums it saturates.
                let columns = if block[8..].iter().all(|&coefficient| coefficient == 0) {
                    [rows[0].map(|lane| lane << 2); 8]
                } else {
                    accurate::<11>(&rows)
                };
                accurate::<18>(&transposed(&columns))
            }
            Idct::Fast => fast(&transposed(&fast(&rows))).map(|row| row.map(|lane| lane >> 5)),
        };
        for (row, samples) in plane.chunks_mut(stride).zip(transposed(&samples)) {
            for (place, lane) in row.iter_mut().zip(samples) {
                *place = sample(lane);
            }
        }
    }
}

/// To a byte around the middle grey.
fn sample(level: i16) -> u8 {
    (level.clamp(-128, 127) + 128) as u8
}

/// `packssdw` of a rounded shift.
fn round(sum: i32, bits: u32) -> i16 {
    (sum.wrapping_add(1 << (bits - 1)) >> bits).clamp(i16::MIN.into(), i16::MAX.into()) as i16
}

#[inline]
fn lane_of(rows: &[Lanes; 8], lane: usize) -> Lanes {
    let mut values = [0; 8];
    for (value, row) in values.iter_mut().zip(rows) {
        *value = row[lane];
    }
    values
}

fn transposed(rows: &[Lanes; 8]) -> [Lanes; 8] {
    let mut columns = [[0; 8]; 8];
    for (index, column) in columns.iter_mut().enumerate() {
        *column = lane_of(rows, index);
    }
    columns
}

/// One pass of Loeffler, Ligtenberg and Moschytz's transform over all lanes (`DODCT`).
fn accurate<const SHIFT: u32>(input: &[Lanes; 8]) -> [Lanes; 8] {
    /// `pmaddwd`
    fn mix(a: i16, by: i32, b: i16, and_by: i32) -> i32 {
        (i32::from(a) * by).wrapping_add(i32::from(b) * and_by)
    }
    let mut output = [[0; 8]; 8];
    for lane in 0..8 {
        let [in0, in1, in2, in3, in4, in5, in6, in7] = lane_of(input, lane);
        let tmp3 = mix(in2, F_0_541 + F_0_765, in6, F_0_541);
        let tmp2 = mix(in6, F_0_541 - F_1_847, in2, F_0_541);
        let tmp0 = i32::from(in0.wrapping_add(in4)) << 13;
        let tmp1 = i32::from(in0.wrapping_sub(in4)) << 13;
        let (tmp10, tmp13) = (tmp0.wrapping_add(tmp3), tmp0.wrapping_sub(tmp3));
        let (tmp11, tmp12) = (tmp1.wrapping_add(tmp2), tmp1.wrapping_sub(tmp2));

        let (z3, z4) = (in7.wrapping_add(in3), in5.wrapping_add(in1));
        let sum3 = mix(z3, F_1_175 - F_1_961, z4, F_1_175);
        let sum4 = mix(z4, F_1_175 - F_0_390, z3, F_1_175);
        let tmp0 = mix(in7, F_0_298 - F_0_899, in1, -F_0_899).wrapping_add(sum3);
        let tmp1 = mix(in5, F_2_053 - F_2_562, in3, -F_2_562).wrapping_add(sum4);
        let tmp2 = mix(in5, -F_2_562, in3, F_3_072 - F_2_562).wrapping_add(sum3);
        let tmp3 = mix(in7, -F_0_899, in1, F_1_501 - F_0_899).wrapping_add(sum4);

        output[0][lane] = round(tmp10.wrapping_add(tmp3), SHIFT);
        output[7][lane] = round(tmp10.wrapping_sub(tmp3), SHIFT);
        output[1][lane] = round(tmp11.wrapping_add(tmp2), SHIFT);
        output[6][lane] = round(tmp11.wrapping_sub(tmp2), SHIFT);
        output[2][lane] = round(tmp12.wrapping_add(tmp1), SHIFT);
        output[5][lane] = round(tmp12.wrapping_sub(tmp1), SHIFT);
        output[3][lane] = round(tmp13.wrapping_add(tmp0), SHIFT);
        output[4][lane] = round(tmp13.wrapping_sub(tmp0), SHIFT);
    }
    output
}

/// One pass of Arai, Agui and Nakajima's transform over all lanes, in 16 bits throughout.
fn fast(input: &[Lanes; 8]) -> [Lanes; 8] {
    const F_1_082: i32 = 277 << 6;
    const F_1_414: i32 = 362 << 6;
    const F_1_613: i32 = 413 << 6;
    const F_1_847: i32 = 473 << 6;
    /// `pmulhw` of a value scaled by 4.
    fn times(value: i16, by: i32) -> i16 {
        ((i32::from(value << 2) * by) >> 16) as i16
    }
    let mut output = [[0; 8]; 8];
    for lane in 0..8 {
        let [in0, in1, in2, in3, in4, in5, in6, in7] = lane_of(input, lane);
        let (tmp10, tmp11) = (in0.wrapping_add(in4), in0.wrapping_sub(in4));
        let tmp13 = in2.wrapping_add(in6);
        let tmp12 = times(in2.wrapping_sub(in6), F_1_414).wrapping_sub(tmp13);
        let (tmp0, tmp3) = (tmp10.wrapping_add(tmp13), tmp10.wrapping_sub(tmp13));
        let (tmp1, tmp2) = (tmp11.wrapping_add(tmp12), tmp11.wrapping_sub(tmp12));

        let (z13, z10) = (in5.wrapping_add(in3), in5.wrapping_sub(in3));
        let (z11, z12) = (in1.wrapping_add(in7), in1.wrapping_sub(in7));
        let tmp7 = z11.wrapping_add(z13);
        let tmp11 = times(z11.wrapping_sub(z13), F_1_414);
        let z5 = times(z10.wrapping_add(z12), F_1_847);
        let tmp10 = times(z12, F_1_082).wrapping_sub(z5);
        let tmp12 = times(z10, -F_1_613).wrapping_sub(z10).wrapping_add(z5);
        let tmp6 = tmp12.wrapping_sub(tmp7);
        let tmp5 = tmp11.wrapping_sub(tmp6);
        let tmp4 = tmp10.wrapping_add(tmp5);

        output[0][lane] = tmp0.wrapping_add(tmp7);
        output[7][lane] = tmp0.wrapping_sub(tmp7);
        output[1][lane] = tmp1.wrapping_add(tmp6);
        output[6][lane] = tmp1.wrapping_sub(tmp6);
        output[2][lane] = tmp2.wrapping_add(tmp5);
        output[5][lane] = tmp2.wrapping_sub(tmp5);
        output[4][lane] = tmp3.wrapping_add(tmp4);
        output[3][lane] = tmp3.wrapping_sub(tmp4);
    }
    output
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Levels of a block by either way.
    fn both(multipliers: &Multipliers, block: &[i16; 64]) -> [[u8; 64]; 2] {
        let (mut chosen, mut lanes) = ([0; 64], [0; 64]);
        multipliers.transform(block, &mut chosen, 8);
        multipliers.transform_lanes(block, &mut lanes, 8);
        [chosen, lanes]
    }

    #[test]
    fn vectors_and_lanes_agree_also_where_they_overflow() {
        let mut state = 1_u32;
        let mut random = |bound: i32| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 8) as i32 % (2 * bound + 1) - bound
        };
        for round in 0..40_000 {
            let mut quant = [0; 64];
            quant.fill_with(|| random(20).unsigned_abs() as u16 + 1);
            let multipliers = Multipliers::new(Some(&quant), Idct::Accurate);
            let mut block = [0; 64];
            for _ in 0..round % 64 {
                block[random(63).unsigned_abs() as usize] = random(60 << (round % 10)) as i16;
            }
            block[0] = random(300 << (round % 8)) as i16;
            let [chosen, lanes] = both(&multipliers, &block);
            assert_eq!(chosen, lanes, "{block:?} times {quant:?}");
        }
    }
}
