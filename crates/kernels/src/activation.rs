//! Activations: the functions that follow a layer, each applied to one number.

use crate::simd::isa::Kernel;
use crate::simd::lanes::Lanes;

/// A function of one number, applied to every output of a layer.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
#[non_exhaustive]
pub enum Activation {
    /// `x`.
    #[default]
    None,
    /// `max(x, 0)`.
    Relu,
    /// `min(max(x, 0), 6)`.
    Relu6,
    /// `x` for `x >= 0`, `alpha * x` below.
    LeakyRelu(f32),
    /// `x` for `x >= 0`, `exp(x) - 1` below.
    Elu,
    /// `1 / (1 + exp(-x))`.
    Sigmoid,
    /// `x / (1 + exp(-x))`: `SiLU` in PyTorch, `swish` in Keras.
    Swish,
    /// `min(max(x / 6 + 1 / 2, 0), 1)`, as in PyTorch and Keras 3.
    HardSigmoid,
    /// `x * HardSigmoid(x)`.
    HardSwish,
    /// The hyperbolic tangent.
    Tanh,
    /// `x / 2 * (1 + erf(x / sqrt(2)))`.
    Gelu,
}

impl Activation {
    /// The least and the largest output of an activation that only clamps; no limits for the others.
    pub(crate) const fn clamp(self) -> [f32; 2] {
        match self {
            Self::Relu => [0.0, f32::INFINITY],
            Self::Relu6 => [0.0, 6.0],
            _ => [f32::NEG_INFINITY, f32::INFINITY],
        }
    }

    /// The activation, if it does more than clamp.
    pub(crate) const fn curve(self) -> Option<Curve> {
        match self {
            Self::None | Self::Relu | Self::Relu6 => None,
            _ => Some(Curve(self)),
        }
    }
}

/// An activation that does more than clamp. Tiles clamp in registers; a curve is a pass over outputs that are in the
/// first-level cache.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Curve(Activation);

/// Values of a group. The compiler turns a loop over a group into vector instructions.
const GROUP: usize = 16;

impl Curve {
    /// Replaces `count` values by the activation of each.
    ///
    /// # Safety
    ///
    /// They must be readable and writable by this thread alone.
    #[inline(always)]
    pub(crate) unsafe fn apply(self, values: *mut f32, count: usize) {
        // SAFETY: the caller's promise is the same.
        let values = unsafe { core::slice::from_raw_parts_mut(values, count) };
        let (groups, rest) = values.as_chunks_mut::<GROUP>();
        for group in groups {
            self.group(group);
        }
        if !rest.is_empty() {
            // The same arithmetic for every value: how outputs are divided among jobs changes no bit.
            let mut group = [0.0; GROUP];
            group[..rest.len()].copy_from_slice(rest);
            self.group(&mut group);
            rest.copy_from_slice(&group[..rest.len()]);
        }
    }

    #[inline(always)]
    fn group(self, values: &mut [f32; GROUP]) {
        match self.0 {
            Activation::None | Activation::Relu | Activation::Relu6 => {}
            Activation::LeakyRelu(alpha) => each(values, |x| if x < 0.0 { alpha * x } else { x }),
            Activation::Elu => each(values, |x| if x < 0.0 { exp(x) - 1.0 } else { x }),
            Activation::Sigmoid => each(values, sigmoid),
            Activation::Swish => each(values, swish),
            Activation::HardSigmoid => each(values, hard_sigmoid),
            // Minus infinity times 0 is NaN, as in the definition.
            Activation::HardSwish => each(values, |x| x * hard_sigmoid(x)),
            Activation::Tanh => each(values, tanh),
            Activation::Gelu => each(values, gelu),
        }
    }
}

/// A curve over the channels of some pixels.
///
/// The caller of `run` guarantees that the pixels are writable by this thread alone.
#[derive(Clone, Copy)]
pub(crate) struct CurvePixels {
    pub curve: Curve,
    pub output: *mut f32,
    pub rows: usize,
    pub columns: usize,
    /// Values from a pixel to the next, and from a row to the next.
    pub steps: [usize; 2],
    /// Channels of a pixel, without padding, which stays 0.
    pub channels: usize,
}

impl Kernel for CurvePixels {
    type Output = ();

    #[inline(always)]
    unsafe fn run<V: Lanes>(self) {
        for row in 0..self.rows {
            for column in 0..self.columns {
                // SAFETY: the caller guarantees the pixel.
                unsafe {
                    let pixel = self.output.add(row * self.steps[1] + column * self.steps[0]);
                    self.curve.apply(pixel, self.channels);
                }
            }
        }
    }
}

#[inline(always)]
fn each(values: &mut [f32; GROUP], change: impl Fn(f32) -> f32) {
    for value in values {
        *value = change(*value);
    }
}

#[inline(always)]
fn hard_sigmoid(x: f32) -> f32 {
    let y = x * (1.0 / 6.0) + 0.5;
    // Comparisons, not `clamp`: NaN stays NaN.
    let y = if y < 0.0 { 0.0 } else { y };
    if y > 1.0 { 1.0 } else { y }
}

#[inline(always)]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + exp(-x))
}

#[inline(always)]
fn swish(x: f32) -> f32 {
    x / (1.0 + exp(-x))
}

#[inline(always)]
fn tanh(x: f32) -> f32 {
    // Near 0 the quotient below loses digits that the series has: x - x^3/3 + 2x^5/15 - 17x^7/315 + 62x^9/2835.
    let square = x * x;
    let series =
        x + x * square * (-1.0 / 3.0 + square * (2.0 / 15.0 + square * (-17.0 / 315.0 + square * (62.0 / 2835.0))));
    let quotient = 1.0 - 2.0 / (1.0 + exp(2.0 * x));
    if square < 0.04 { series } else { quotient }
}

#[inline(always)]
fn gelu(x: f32) -> f32 {
    let erf = erf(x * core::f32::consts::FRAC_1_SQRT_2);
    0.5 * x * (1.0 + erf)
}

/// Abramowitz and Stegun 7.1.26: the absolute error is below 1.5e-7.
#[inline(always)]
fn erf(x: f32) -> f32 {
    let size = x.abs();
    let t = 1.0 / (1.0 + 0.327_591_1 * size);
    let series = t * (0.254_829_6 + t * (-0.284_496_72 + t * (1.421_413_8 + t * (-1.453_152_1 + t * 1.061_405_4))));
    let y = 1.0 - series * exp(-size * size);
    if x < 0.0 { -y } else { y }
}

/// `exp(x)`, within 2 units in the last place; 0 below -87.3, where the result would be denormal.
///
/// Cody and Waite's reduction to `|r| <= ln(2) / 2`, then the Taylor series to degree 7.
#[inline(always)]
fn exp(x: f32) -> f32 {
    /// Adding it rounds to a whole number: 1.5 * 2^23.
    const ROUND: f32 = 12_582_912.0;
    /// `ln(2)`, whose first part has few enough bits for an exact product.
    const LN_2: [f32; 2] = [0.693_359_4, -2.121_944_4e-4];

    // Comparisons, not `clamp`: NaN stays NaN.
    let limited = if x > 88.8 { 88.8 } else { x };
    let limited = if limited < -87.3 { -87.3 } else { limited };
    let rounded = limited * core::f32::consts::LOG2_E + ROUND;
    let whole = rounded - ROUND;
    let r = (limited - whole * LN_2[0]) - whole * LN_2[1];
    let series = 1.0
        + r * (1.0
            + r * (0.5
                + r * (1.0 / 6.0 + r * (1.0 / 24.0 + r * (1.0 / 120.0 + r * (1.0 / 720.0 + r * (1.0 / 5040.0)))))));
    // The exponent in two halves: 2^128 is no number, but the product may be.
    let power = rounded.to_bits().wrapping_sub(ROUND.to_bits()).cast_signed();
    let half = power >> 1;
    let scale = |power: i32| f32::from_bits(((power + 127) << 23).cast_unsigned());
    let value = series * scale(half) * scale(power - half);
    if x < -87.3 {
        0.0
    } else if x > 88.73 {
        f32::INFINITY
    } else {
        value
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Of many numbers, the largest error of `ours` against `theirs`, relative to numbers above 1 and absolute below.
    fn error(ours: impl Fn(f32) -> f32, theirs: impl Fn(f64) -> f64) -> f64 {
        let numbers = (-20_000..=20_000).map(|index| index as f32 / 500.0);
        numbers.fold(0.0, |most: f64, x| {
            let (ours, theirs) = (f64::from(ours(x)), theirs(f64::from(x)));
            most.max((ours - theirs).abs() / theirs.abs().max(1.0))
        })
    }

    #[test]
    fn curves_are_near_their_definition() {
        assert!(error(exp, f64::exp) < 3e-7);
        assert!(error(sigmoid, |x| 1.0 / (1.0 + (-x).exp())) < 3e-7);
        assert!(error(swish, |x| x / (1.0 + (-x).exp())) < 3e-7);
        assert!(error(tanh, f64::tanh) < 3e-7);
        assert!((0..3000).all(|index| {
            let x = index as f32 / 3000.0;
            (f64::from(tanh(x)) - f64::from(x).tanh()).abs() <= 4e-7 * f64::from(x)
        }));
    }

    #[test]
    fn nan_and_infinity_pass_as_in_the_definition() {
        let of = |curve: fn(f32) -> f32| [f32::NEG_INFINITY, f32::INFINITY, f32::NAN].map(curve);
        assert!(matches!(of(exp), [0.0, f32::INFINITY, nan] if nan.is_nan()));
        assert!(matches!(of(sigmoid), [0.0, 1.0, nan] if nan.is_nan()));
        assert!(matches!(of(tanh), [-1.0, 1.0, nan] if nan.is_nan()));
        assert!(matches!(of(hard_sigmoid), [0.0, 1.0, nan] if nan.is_nan()));
        let [low, high, nan] = of(swish);
        assert!(low.is_nan() && high == f32::INFINITY && nan.is_nan());
    }
}
