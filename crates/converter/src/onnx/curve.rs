//! Functions of one number. Exporters write an activation as one operation or as several. Such a function is compared,
//! at some points, with the activations that a network can have.

use graph::{Activation, Op, ScaleShift};

/// The points at which functions are compared.
const POINTS: [f64; 39] = [
    -1e4, -1e3, -80.0, -30.0, -12.0, -8.0, -6.5, -6.0, -5.0, -4.0, -3.5, -3.0, -2.7, -2.5, -2.2, -2.0, -1.5, -1.0,
    -0.5, 0.0, 0.5, 1.0, 1.5, 2.0, 2.2, 2.5, 2.7, 3.0, 3.5, 4.0, 5.0, 6.0, 6.5, 8.0, 12.0, 30.0, 80.0, 1e3, 1e4,
];
/// The index of 0 in [`POINTS`].
const ZERO: usize = 19;

/// A function, given by its values at [`POINTS`].
#[derive(Clone, Debug)]
pub(super) struct Curve(Vec<f64>);

impl Curve {
    pub(super) fn identity() -> Self {
        Self(POINTS.to_vec())
    }

    pub(super) fn map(&self, function: impl Fn(f64) -> f64) -> Self {
        Self(self.0.iter().map(|value| function(*value)).collect())
    }

    pub(super) fn with(&self, other: &Self, function: impl Fn(f64, f64) -> f64) -> Self {
        Self(self.0.iter().zip(&other.0).map(|(a, b)| function(*a, *b)).collect())
    }

    pub(super) fn is(&self, activation: Activation) -> bool {
        self.matches(|x| value(activation, x))
    }

    /// The operation that computes the function, if there is one.
    pub(super) fn operation(&self) -> Option<Op> {
        let (zero, one, minus) = (self.0[ZERO], self.0[ZERO + 2], self.0[ZERO - 2]);
        let scale = (one - minus) / 2.0;
        if self.matches(|x| scale * x + zero) {
            return Some(Op::ScaleShift(ScaleShift::new(scale, zero)));
        }
        // Generalized-mean pooling takes a root of what it bounds: a bound of 1e-6 is no bound of 0.
        if self.floor().is_some() {
            return None;
        }
        let known = [
            Activation::Relu,
            Activation::Relu6,
            Activation::LeakyRelu { slope: -minus },
            Activation::Elu { alpha: -self.0[1] },
            Activation::Selu,
            Activation::Swish,
            Activation::HardSwish,
            Activation::Sigmoid,
            Activation::HardSigmoid { slope: one - zero },
            Activation::Tanh,
            Activation::Gelu { approximate: false },
            Activation::Gelu { approximate: true },
            Activation::Softplus,
            Activation::Softsign,
            Activation::Mish,
            Activation::Exponential,
            Activation::Power {
                exponent: self.0[ZERO + 4].log2(),
            },
        ];
        let found = known.into_iter().find(|known| self.is(*known));
        found.or_else(|| self.clip()).map(Op::Activation)
    }

    /// Whether the function is `x * x`.
    pub(super) fn is_square(&self) -> bool {
        self.matches(|x| x * x)
    }

    /// The bound if the function is `max(x, bound)` for a bound other than 0.
    pub(super) fn floor(&self) -> Option<f64> {
        let bound = self.0[0];
        let is_bounded = |(found, x): (&f64, f64)| found.total_cmp(&x.max(bound)).is_eq();
        (bound != 0.0 && bound > POINTS[0] && bound < 1.0 && self.0.iter().zip(POINTS).all(is_bounded)).then_some(bound)
    }

    /// The clip that it is: constant between the first two points, and between the last two.
    fn clip(&self) -> Option<Activation> {
        let [min, second, .., before, max] = self.0[..] else {
            return None;
        };
        let clip = Activation::Clip { min, max };
        let is_flat = min.total_cmp(&second).is_eq() && before.total_cmp(&max).is_eq();
        (is_flat && min < max && self.is(clip)).then_some(clip)
    }

    fn matches(&self, function: impl Fn(f64) -> f64) -> bool {
        self.0.iter().zip(POINTS).all(|(found, x)| {
            let expected = function(x);
            // A root of a negative number is no number. For large numbers the steps of a decomposition overflow, in
            // ONNX as here.
            (found - expected).abs() <= 1e-6 + 1e-5 * expected.abs()
                || found.is_nan() && expected.is_nan()
                || !found.is_finite() && x.abs() > 100.0
        })
    }
}

fn sigmoid(x: f64) -> f64 {
    1.0 / (1.0 + (-x).exp())
}

/// To 1.5e-7 (Abramowitz and Stegun 7.1.26).
fn erf(x: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.327_591_1 * x.abs());
    let series = [
        0.254_829_592,
        -0.284_496_736,
        1.421_413_741,
        -1.453_152_027,
        1.061_405_429,
    ];
    let sum = series.iter().rev().fold(0.0, |sum, factor| (sum + factor) * t);
    (1.0 - sum * (-x * x).exp()).copysign(x)
}

fn selu(x: f64, alpha: f64, gamma: f64) -> f64 {
    gamma * if x > 0.0 { x } else { alpha * x.exp_m1() }
}

/// The value of an activation; `NaN` for a softmax, which is not a function of one number.
fn value(activation: Activation, x: f64) -> f64 {
    let soft = |x: f64| if x > 30.0 { x } else { x.exp().ln_1p() };
    match activation {
        Activation::Relu => x.max(0.0),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => x.max(0.0) + slope * x.min(0.0),
        Activation::Elu { alpha } => selu(x, alpha, 1.0),
        Activation::Selu => selu(x, 1.673_263_242_354_377, 1.050_700_987_355_480_5),
        Activation::Swish => x * sigmoid(x),
        Activation::HardSwish => x * (x + 3.0).clamp(0.0, 6.0) / 6.0,
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { slope } => (slope * x + 0.5).clamp(0.0, 1.0),
        Activation::Tanh => x.tanh(),
        Activation::Gelu { approximate: false } => x * 0.5 * (1.0 + erf(x / 2.0_f64.sqrt())),
        Activation::Gelu { approximate: true } => {
            x * 0.5 * (1.0 + ((2.0 / std::f64::consts::PI).sqrt() * (x + 0.044_715 * x.powi(3))).tanh())
        }
        Activation::Softplus => soft(x),
        Activation::Softsign => x / (1.0 + x.abs()),
        Activation::Mish => x * soft(x).tanh(),
        Activation::Exponential => x.exp(),
        Activation::Power { exponent } => x.powf(exponent),
        Activation::Clip { min, max } if min < max => x.max(min).min(max),
        _ => f64::NAN,
    }
}

/// The function of an ONNX operation with one input; `number` gives an attribute or its default.
pub(super) fn unary(op: &str, number: impl Fn(&str, f64) -> f64, is_tanh: bool) -> Option<Box<dyn Fn(f64) -> f64>> {
    let activation = match op {
        "Relu" => Activation::Relu,
        "LeakyRelu" => Activation::LeakyRelu {
            slope: number("alpha", 0.01),
        },
        "Elu" => Activation::Elu {
            alpha: number("alpha", 1.0),
        },
        // `Celu(x, alpha=1)` is `Elu(x)`.
        "Celu" if (number("alpha", 1.0) - 1.0).abs() < 1e-6 => Activation::Elu { alpha: 1.0 },
        "Sigmoid" => Activation::Sigmoid,
        "HardSwish" => Activation::HardSwish,
        "Tanh" => Activation::Tanh,
        "Gelu" => Activation::Gelu { approximate: is_tanh },
        "Softplus" => Activation::Softplus,
        "Softsign" => Activation::Softsign,
        "Mish" => Activation::Mish,
        "Exp" => Activation::Exponential,
        _ => {
            let (alpha, beta, gamma) = (number("alpha", 0.2), number("beta", 0.5), number("gamma", 1.050_701));
            let (least, most) = (number("min", f64::MIN), number("max", f64::MAX));
            let (selu_alpha, swish_alpha) = (number("alpha", 1.673_263_2), number("alpha", 1.0));
            return Some(match op {
                "Clip" => Box::new(move |x| x.max(least).min(most)),
                "HardSigmoid" => Box::new(move |x| (alpha * x + beta).clamp(0.0, 1.0)),
                "Selu" => Box::new(move |x| selu(x, selu_alpha, gamma)),
                "Swish" => Box::new(move |x| x * sigmoid(swish_alpha * x)),
                "Erf" => Box::new(erf),
                "Neg" => Box::new(|x| -x),
                "Abs" => Box::new(f64::abs),
                "Sqrt" => Box::new(f64::sqrt),
                "Log" => Box::new(f64::ln),
                "Reciprocal" => Box::new(f64::recip),
                _ => return None,
            });
        }
    };
    Some(Box::new(move |x| value(activation, x)))
}

/// The function of an ONNX operation with two inputs.
pub(super) fn binary(op: &str) -> Option<fn(f64, f64) -> f64> {
    Some(match op {
        "Add" | "Sum" => |a, b| a + b,
        "Sub" => |a, b| a - b,
        "Mul" => |a, b| a * b,
        "Div" => |a, b| a / b,
        "Pow" => f64::powf,
        "Min" => f64::min,
        "Max" => f64::max,
        "PRelu" => |a, b| a.max(0.0) + b * a.min(0.0),
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_activation_is_known_by_what_it_computes() {
        let x = Curve::identity();
        let hard = x.map(|x| x + 3.0).map(|x| x.clamp(0.0, 6.0)).map(|x| x / 6.0);
        assert!(matches!(
            hard.operation(),
            Some(Op::Activation(Activation::HardSigmoid { slope })) if (slope - 1.0 / 6.0).abs() < 1e-6
        ));
        assert_eq!(
            x.with(&hard, |a, b| a * b).operation(),
            Some(Op::Activation(Activation::HardSwish))
        );
        let gelu = x
            .map(|x| erf(x * f64::from(std::f32::consts::FRAC_1_SQRT_2)) + 1.0)
            .with(&x, |a, b| 0.5 * a * b);
        assert_eq!(
            gelu.operation(),
            Some(Op::Activation(Activation::Gelu { approximate: false }))
        );
        let mish = x.map(|x| x.exp().ln_1p().tanh()).with(&x, |a, b| a * b);
        assert_eq!(mish.operation(), Some(Op::Activation(Activation::Mish)));
        let scaled = x.map(|x| x / 127.5).map(|x| x - 1.0);
        assert!(matches!(
            scaled.operation(),
            Some(Op::ScaleShift(found)) if (found.scale[0] - 1.0 / 127.5).abs() < 1e-15 && found.shift == [-1.0]
        ));
        assert_eq!(
            x.map(|x| x.clamp(-1.0, 1.0)).operation(),
            Some(Op::Activation(Activation::Clip { min: -1.0, max: 1.0 }))
        );
        for exponent in [3.0, 2.5, 1.0 / 3.0] {
            assert!(matches!(
                x.map(|x: f64| x.powf(exponent)).operation(),
                Some(Op::Activation(Activation::Power { exponent: found })) if (found - exponent).abs() < 1e-9
            ));
        }
        assert_eq!(x.map(|x| x.powi(3) + x).operation(), None);
        let bounded = x.map(|x| x.max(1e-6));
        assert_eq!((bounded.operation(), bounded.floor()), (None, Some(1e-6)));
        assert_eq!(
            x.map(|x| x.max(0.0)).operation(),
            Some(Op::Activation(Activation::Relu))
        );
        assert!(x.map(|x| x * x).is_square());
    }
}
