//! Units of training kernels against Burn's operations in `f64`: outputs, statistics, and the gradients of every
//! operand.

mod common;

use burn::tensor::activation::relu;
use burn::tensor::module::{batch_norm, batch_norm_train, conv2d, max_pool2d};
use burn::tensor::ops::{ConvOptions, MaxPoolOptions};
use burn::tensor::{DType, Device, Gradients, Tensor, TensorData};
use common::reference::Random;
use kernels::{
    Norm, NormStatistics, Padding, SharedGradient, Unit, UnitConvolution, UnitInput, UnitPool, Window,
    has_training_kernels, unit, with_burn_operations,
};

/// Units drawn.
const ROUNDS: u64 = 300;

/// The most that outputs and gradients are off, relative to the norm of what is expected.
const BOUND: f64 = 1e-5;

/// An operand in `f32`, and in `f64` for Burn.
struct Operand<const D: usize> {
    own: Tensor<D>,
    exact: Tensor<D>,
    is_tracked: bool,
}

fn device() -> Device {
    Device::flex().autodiff()
}

impl<const D: usize> Operand<D> {
    fn new(values: Vec<f32>, shape: [usize; D], is_tracked: bool) -> Self {
        let own = Tensor::<D>::from_data(TensorData::new(values.clone(), shape), &device());
        let values: Vec<f64> = values.into_iter().map(f64::from).collect();
        let exact = Tensor::<D>::from_data(TensorData::new(values, shape), (&device(), DType::F64));
        assert_eq!(exact.dtype(), DType::F64);
        if is_tracked {
            return Self {
                own: own.require_grad(),
                exact: exact.require_grad(),
                is_tracked,
            };
        }
        Self { own, exact, is_tracked }
    }

    fn random(random: &mut Random, shape: [usize; D], is_tracked: bool) -> Self {
        Self::new(random.values(shape.iter().product()), shape, is_tracked)
    }

    /// Compares the gradients.
    fn check(&self, what: &str, own: &Gradients, exact: &Gradients) {
        let found = self.own.grad(own);
        assert_eq!(found.is_some(), self.is_tracked, "{what}");
        if let Some(found) = found {
            let expected = self.exact.grad(exact).expect("a tracked tensor has a gradient");
            assert_eq!(found.dims(), expected.dims(), "{what}");
            close(what, found, expected);
        }
    }
}

fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f64> {
    tensor.into_data().iter::<f64>().collect()
}

fn close<const D: usize>(what: &str, found: Tensor<D>, expected: Tensor<D>) {
    let (found, expected) = (numbers(found), numbers(expected));
    assert_eq!(found.len(), expected.len(), "{what}");
    let (mut distance, mut norm) = (0.0, 0.0);
    for (found, expected) in found.iter().zip(&expected) {
        assert_eq!(found.is_nan(), expected.is_nan(), "{what}: {found} {expected}");
        if expected.is_finite() {
            distance += (found - expected).powi(2);
            norm += expected.powi(2);
        } else if !expected.is_nan() {
            assert_eq!(found.to_bits(), expected.to_bits(), "{what}");
        }
    }
    let (distance, norm) = (distance.sqrt(), norm.sqrt());
    // A sum of values of about 1 that cancel has no fewer digits lost.
    assert!(
        distance <= BOUND * norm.max(0.1),
        "{what}: {distance:.1e} of {norm:.1e}"
    );
}

/// A convolution drawn at random.
struct Conv {
    weights: Operand<4>,
    bias: Option<Operand<1>>,
    window: Window,
    groups: usize,
}

/// A unit drawn at random.
struct Case {
    x: Operand<4>,
    norm: Option<[Operand<1>; 2]>,
    /// Mean and variance.
    given: Option<[Operand<1>; 2]>,
    relu: bool,
    depthwise: Option<Conv>,
    convolution: Option<Conv>,
    max_pool: Option<Window>,
    average: bool,
    residual: Option<Operand<4>>,
    /// By which the output is multiplied before it is summed.
    factors: Operand<4>,
}

fn window(random: &mut Random, size: [usize; 2]) -> Option<(Window, [usize; 2])> {
    let kernel = [random.size(3), random.size(3)];
    let stride = [random.size(2), random.size(2)];
    let dilation = [random.size(2), random.size(2)];
    // Not as wide as the window, so that each has a value.
    let pads: Vec<usize> = (0..4).map(|side| random.next() as usize % kernel[side % 2]).collect();
    let padding = Padding::Explicit {
        top: pads[0],
        left: pads[1],
        bottom: pads[2],
        right: pads[3],
    };
    let mut outputs = [0; 2];
    for axis in 0..2 {
        let extent = (kernel[axis] - 1) * dilation[axis] + 1;
        let padded = size[axis] + pads[axis] + pads[axis + 2];
        outputs[axis] = padded.checked_sub(extent)? / stride[axis] + 1;
    }
    let window = Window {
        size: kernel,
        stride,
        dilation,
        padding,
    };
    Some((window, outputs))
}

fn pads(window: &Window) -> [(usize, usize); 2] {
    match window.padding {
        Padding::Explicit {
            top,
            left,
            bottom,
            right,
        } => [(top, bottom), (left, right)],
        Padding::Same => unreachable!("drawn explicitly"),
    }
}

impl Case {
    fn new(seed: u64) -> Self {
        let random = &mut Random::new(seed);
        let (batch, mut channels) = (random.size(3), random.size(21));
        let mut size = [random.size(9), random.size(9)];
        let is_tracked = random.often();
        let x = Operand::random(random, [batch, channels, size[0], size[1]], is_tracked);
        let vector = |channels: usize, random: &mut Random| {
            let is_tracked = random.often();
            Operand::random(random, [channels], is_tracked)
        };
        let norm = random
            .often()
            .then(|| [vector(channels, random), vector(channels, random)]);
        let given = (norm.is_some() && random.yes()).then(|| {
            let mean = random.values(channels);
            let variance = random.values(channels).into_iter().map(f32::abs).collect();
            [
                Operand::new(mean, [channels], false),
                Operand::new(variance, [channels], false),
            ]
        });
        let relu = random.yes();
        let conv = |outputs: usize, channels: usize, groups: usize, size: &mut [usize; 2], random: &mut Random| {
            let (window, outputs_size) = window(random, *size)?;
            *size = outputs_size;
            let shape = [outputs, channels / groups, window.size[0], window.size[1]];
            let is_tracked = random.often();
            Some(Conv {
                weights: Operand::random(random, shape, is_tracked),
                bias: random.yes().then(|| vector(outputs, random)),
                window,
                groups,
            })
        };
        let depthwise = random
            .yes()
            .then(|| conv(channels, channels, channels, &mut size, random))
            .flatten();
        let outputs = random.size(21);
        let convolution = random
            .yes()
            .then(|| conv(outputs, channels, 1, &mut size, random))
            .flatten();
        if convolution.is_some() {
            channels = outputs;
        }
        let mut max_pool = None;
        if random.yes()
            && let Some((window, outputs)) = window(random, size)
            && window.dilation == [1; 2]
        {
            (max_pool, size) = (Some(window), outputs);
        }
        let average = max_pool.is_none() && random.next().is_multiple_of(4);
        if average {
            size = [1; 2];
        }
        let shape = [batch, channels, size[0], size[1]];
        let residual = random.yes().then(|| {
            let is_tracked = random.often();
            Operand::random(random, shape, is_tracked)
        });
        Self {
            x,
            norm,
            given,
            relu,
            depthwise,
            convolution,
            max_pool,
            average,
            residual,
            factors: Operand::random(random, shape, false),
        }
    }

    fn unit(&self) -> Unit {
        let conv = |conv: &Conv| UnitConvolution {
            weights: conv.weights.own.clone(),
            bias: conv.bias.as_ref().map(|bias| bias.own.clone()),
            window: conv.window,
        };
        Unit {
            norm: self.norm.as_ref().map(|[gamma, beta]| Norm {
                gamma: gamma.own.clone(),
                beta: beta.own.clone(),
                epsilon: 1e-3,
                statistics: match &self.given {
                    None => NormStatistics::Batch,
                    Some([mean, variance]) => NormStatistics::Given {
                        mean: mean.own.clone(),
                        variance: variance.own.clone(),
                    },
                },
            }),
            relu: self.relu,
            depthwise: self.depthwise.as_ref().map(conv),
            convolution: self.convolution.as_ref().map(conv),
            pool: match self.max_pool {
                Some(window) => Some(UnitPool::Max(window)),
                None => self.average.then_some(UnitPool::GlobalAverage),
            },
            residual: self.residual.as_ref().map(|residual| residual.own.clone().into()),
            measure: false,
        }
    }

    /// By Burn's operations, with the batch's mean and variance if it takes them.
    fn exact(&self) -> (Tensor<4>, Option<[Tensor<1>; 2]>) {
        let mut x = self.x.exact.clone();
        let mut statistics = None;
        if let Some([gamma, beta]) = &self.norm {
            let (gamma, beta) = (gamma.exact.clone(), beta.exact.clone());
            x = match &self.given {
                None => {
                    let norm = batch_norm_train(x, gamma, beta, 1e-3);
                    statistics = Some([norm.mean, norm.variance]);
                    norm.output
                }
                Some([mean, variance]) => batch_norm(x, gamma, beta, mean.exact.clone(), variance.exact.clone(), 1e-3),
            };
        }
        if self.relu {
            x = relu(x);
        }
        for conv in [&self.depthwise, &self.convolution].into_iter().flatten() {
            let Window { stride, dilation, .. } = conv.window;
            let options = ConvOptions::new_with_padding(stride, pads(&conv.window), dilation, conv.groups);
            let bias = conv.bias.as_ref().map(|bias| bias.exact.clone());
            x = conv2d(x, conv.weights.exact.clone(), bias, options);
        }
        if let Some(window) = &self.max_pool {
            let options = MaxPoolOptions::new(window.size)
                .with_stride(window.stride)
                .with_dilation(window.dilation)
                .with_padding_pairs(pads(window));
            x = max_pool2d(x, options);
        }
        if self.average {
            x = x.mean_dims(&[2, 3]);
        }
        if let Some(residual) = &self.residual {
            x = x + residual.exact.clone();
        }
        (x, statistics)
    }

    fn check(&self, what: &str) {
        let found = unit(self.x.own.clone().into(), self.unit()).expect("a unit with kernels");
        let (expected, statistics) = self.exact();
        assert_eq!(found.output.dims(), expected.dims(), "{what}");
        close(&format!("{what}: output"), found.output.clone(), expected.clone());
        assert_eq!(found.statistics.is_some(), statistics.is_some(), "{what}");
        if let (Some([mean, variance]), Some([exact_mean, exact_variance])) = (found.statistics, statistics) {
            close(&format!("{what}: mean"), mean, exact_mean);
            close(&format!("{what}: variance"), variance, exact_variance);
        }
        if !found.output.is_require_grad() && !expected.is_require_grad() {
            let vectors = self.norm.iter().flatten().map(|vector| vector.is_tracked);
            let convs = [&self.depthwise, &self.convolution].into_iter().flatten();
            let convs = convs.map(|conv| conv.weights.is_tracked || conv.bias.iter().any(|bias| bias.is_tracked));
            let residual = self.residual.iter().map(|residual| residual.is_tracked);
            if !vectors
                .chain(convs)
                .chain(residual)
                .chain([self.x.is_tracked])
                .any(|tracked| tracked)
            {
                return;
            }
        }
        let own = (found.output * self.factors.own.clone()).sum().backward();
        let exact = (expected * self.factors.exact.clone()).sum().backward();
        self.x.check(&format!("{what}: x"), &own, &exact);
        for (name, vector) in ["gamma", "beta"].iter().zip(self.norm.iter().flatten()) {
            vector.check(&format!("{what}: {name}"), &own, &exact);
        }
        for (name, conv) in [("depthwise", &self.depthwise), ("convolution", &self.convolution)] {
            if let Some(conv) = conv {
                conv.weights.check(&format!("{what}: {name}"), &own, &exact);
                if let Some(bias) = &conv.bias {
                    bias.check(&format!("{what}: bias of {name}"), &own, &exact);
                }
            }
        }
        if let Some(residual) = &self.residual {
            residual.check(&format!("{what}: residual"), &own, &exact);
        }
    }
}

impl<const D: usize> Operand<D> {
    /// A tracked operand `by` times a direction further: without its `f32` value.
    fn moved(&self, directions: &mut Random, by: f64) -> Self {
        let direction = self.direction(directions);
        Self {
            own: self.own.clone(),
            exact: self.exact.clone() + direction * by,
            is_tracked: self.is_tracked,
        }
    }

    /// Zero for an operand that is not tracked.
    fn direction(&self, directions: &mut Random) -> Tensor<D> {
        let shape = self.exact.dims();
        let values = directions.values(shape.iter().product()).into_iter().map(f64::from);
        let direction = TensorData::new(values.collect::<Vec<f64>>(), shape);
        let direction = Tensor::<D>::from_data(direction, (&device(), DType::F64));
        if self.is_tracked { direction } else { direction * 0.0 }
    }

    /// The gradient times the direction, and the product of their norms.
    fn slope(&self, directions: &mut Random, gradients: &Gradients) -> [f64; 2] {
        let direction = numbers(self.direction(directions));
        let Some(gradient) = self.own.grad(gradients).map(numbers) else {
            return [0.0; 2];
        };
        let norm = |values: &[f64]| values.iter().map(|value| value * value).sum::<f64>().sqrt();
        let product = gradient.iter().zip(&direction).map(|(a, b)| a * b).sum();
        [product, norm(&gradient) * norm(&direction)]
    }
}

impl Case {
    /// The sum of the outputs times their factors, all tracked operands `by` times their directions further.
    fn moved_sum(&self, by: f64) -> f64 {
        let random = &mut Random::new(1);
        let conv = |conv: &Conv, random: &mut Random| Conv {
            weights: conv.weights.moved(random, by),
            bias: conv.bias.as_ref().map(|bias| bias.moved(random, by)),
            window: conv.window,
            groups: conv.groups,
        };
        let fixed =
            |operands: &[Operand<1>; 2], random: &mut Random| operands.each_ref().map(|own| own.moved(random, by));
        let moved = Self {
            x: self.x.moved(random, by),
            norm: self.norm.as_ref().map(|norm| fixed(norm, random)),
            depthwise: self.depthwise.as_ref().map(|own| conv(own, random)),
            convolution: self.convolution.as_ref().map(|own| conv(own, random)),
            residual: self.residual.as_ref().map(|residual| residual.moved(random, by)),
            given: self.given.as_ref().map(|given| fixed(given, random)),
            factors: self.factors.moved(random, by),
            ..*self
        };
        (moved.exact().0 * moved.factors.exact).sum().into_scalar()
    }

    /// The sum's slope by the gradients of the kernels, and a bound of it.
    fn slope(&self) -> [f64; 2] {
        let output = unit(self.x.own.clone().into(), self.unit()).unwrap().output;
        let gradients = (output * self.factors.own.clone()).sum().backward();
        let random = &mut Random::new(1);
        let mut slopes = vec![self.x.slope(random, &gradients)];
        slopes.extend(
            self.norm
                .iter()
                .flatten()
                .map(|vector| vector.slope(random, &gradients)),
        );
        for conv in [&self.depthwise, &self.convolution].into_iter().flatten() {
            slopes.push(conv.weights.slope(random, &gradients));
            slopes.extend(conv.bias.iter().map(|bias| bias.slope(random, &gradients)));
        }
        slopes.extend(self.residual.iter().map(|residual| residual.slope(random, &gradients)));
        [0, 1].map(|number| slopes.iter().map(|slope| slope[number]).sum())
    }
}

/// Burn's gradients are left out: the sum is computed twice in `f64`, a little before the operands and a little behind.
#[test]
fn gradients_are_finite_differences() {
    const STEP: f64 = 1e-7;
    let mut checked = 0;
    for seed in 0..ROUNDS {
        let case = Case::new(seed);
        if !case.x.is_tracked {
            continue;
        }
        let expected = (case.moved_sum(STEP) - case.moved_sum(-STEP)) / (2.0 * STEP);
        let [found, most] = case.slope();
        assert!(
            (found - expected).abs() <= BOUND * most.max(0.1),
            "unit {seed}: {found} {expected} of {most}"
        );
        checked += 1;
    }
    assert!(checked > ROUNDS / 2);
}

#[test]
fn units_and_their_gradients_are_those_of_burn() {
    for seed in 0..ROUNDS {
        Case::new(seed).check(&format!("unit {seed}"));
    }
}

/// Values that are large beside their deviation: sums of squares would lose them.
#[test]
fn a_norm_far_from_zero_keeps_its_digits() {
    let random = &mut Random::new(7);
    let values: Vec<f32> = random.values(2 * 5 * 31 * 29).into_iter().map(|x| 1000.0 + x).collect();
    let case = Case {
        x: Operand::new(values, [2, 5, 31, 29], true),
        norm: Some([Operand::random(random, [5], true), Operand::random(random, [5], true)]),
        given: None,
        relu: true,
        depthwise: None,
        convolution: None,
        max_pool: None,
        average: false,
        residual: None,
        factors: Operand::random(random, [2, 5, 31, 29], false),
    };
    let found = unit(case.x.own.clone().into(), case.unit()).unwrap();
    let (expected, statistics) = case.exact();
    let [mean, variance] = found.statistics.unwrap();
    let [exact_mean, exact_variance] = statistics.unwrap();
    close("mean", mean, exact_mean);
    close("variance", variance, exact_variance);
    // The mean itself is rounded to 2^-15.
    let far: f64 = (found.output.cast(DType::F64) - expected).abs().max().into_scalar();
    assert!(far < 2e-4, "{far}");
}

/// A unit of one part for `x` of 2 x 2 pixels and one channel.
fn small(values: [f32; 4], unit_of: impl Fn() -> Unit, exact: impl Fn(Tensor<4>) -> Tensor<4>) {
    let x = Operand::new(values.to_vec(), [1, 1, 2, 2], true);
    let found = unit(x.own.clone().into(), unit_of()).unwrap().output;
    let expected = exact(x.exact.clone());
    close("output", found.clone(), expected.clone());
    x.check("x", &found.sum().backward(), &expected.sum().backward());
}

#[test]
fn nan_infinity_and_ties_are_those_of_burn() {
    let all = Window {
        size: [2; 2],
        stride: [1; 2],
        dilation: [1; 2],
        padding: Padding::VALID,
    };
    let pool = || Unit {
        pool: Some(UnitPool::Max(all)),
        ..Unit::default()
    };
    let rectified = || Unit {
        relu: true,
        ..Unit::default()
    };
    let (nan, infinity) = (f32::NAN, f32::INFINITY);
    for values in [
        [1.0, 2.0, 2.0, 0.0],
        [0.0, -0.0, 0.0, -0.0],
        [nan, 1.0, nan, 2.0],
        [-infinity; 4],
        [infinity, nan, infinity, 0.0],
        [-1.0, 0.0, infinity, -infinity],
    ] {
        small(values, pool, |x| {
            max_pool2d(x, MaxPoolOptions::new([2; 2]).with_stride([1; 2]))
        });
        small(values, rectified, relu);
    }
}

/// Gradients of one tensor that several units and an operation of Burn read.
#[test]
fn gradients_of_a_shared_tensor_are_added() {
    let random = &mut Random::new(3);
    let x = Operand::random(random, [2, 5, 4, 3], true);
    let weights = Operand::random(random, [5, 5, 1, 1], true);
    let pixel = Window {
        size: [1; 2],
        stride: [1; 2],
        dilation: [1; 2],
        padding: Padding::VALID,
    };
    let options = ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
    for is_leaf in [false, true] {
        for by_burn in [0, 1, 2] {
            let own = if is_leaf { x.own.clone() } else { x.own.clone() * 2.0 };
            let exact = if is_leaf {
                x.exact.clone()
            } else {
                x.exact.clone() * 2.0
            };
            let shared = SharedGradient::default();
            let input = || UnitInput {
                tensor: own.clone(),
                shared: Some(shared.clone()),
                measured: None,
            };
            // x reaches the sum by a ReLU, a convolution, as a residual, and by Burn's operations before or after.
            let early = (by_burn == 1).then(|| own.clone().exp());
            let convolution = Unit {
                convolution: Some(UnitConvolution {
                    weights: weights.own.clone(),
                    bias: None,
                    window: pixel,
                }),
                residual: Some(input()),
                ..Unit::default()
            };
            let rectified = unit(
                input(),
                Unit {
                    relu: true,
                    ..Unit::default()
                },
            );
            let rectified = rectified.unwrap().output;
            let convolved = unit(input(), convolution).unwrap().output;
            let mut sum = rectified * convolved.clone() + convolved;
            let late = (by_burn == 2).then(|| own.clone().exp());
            for more in [early, late].into_iter().flatten() {
                sum = sum + more;
            }
            let convolved = conv2d(exact.clone(), weights.exact.clone(), None, options.clone()) + exact.clone();
            let mut expected = relu(exact.clone()) * convolved.clone() + convolved;
            if by_burn > 0 {
                expected = expected + exact.exp();
            }
            let (own, exact) = (sum.sum().backward(), expected.sum().backward());
            x.check("x", &own, &exact);
            weights.check("weights", &own, &exact);
        }
    }
}

#[test]
fn burn_computes_where_it_is_asked_to() {
    let x = Tensor::<4>::ones([1, 1, 2, 2], &device());
    assert!(has_training_kernels(&x));
    assert!(!with_burn_operations(|| has_training_kernels(&x)));
    assert!(has_training_kernels(&x));
    assert!(!has_training_kernels(&x.clone().inner()));
    assert!(!has_training_kernels(&x.cast(DType::F64)));
}

/// The promise of `docs/training.md`.
#[test]
fn results_have_the_same_bits_for_any_number_of_threads() {
    let bits = |threads: usize| {
        let pool = rayon::ThreadPoolBuilder::new().num_threads(threads).build().unwrap();
        pool.install(|| {
            let mut bits = Vec::new();
            for seed in 0..20 {
                let case = Case::new(seed);
                let found = unit(case.x.own.clone().into(), case.unit()).unwrap().output;
                let tracked = case.x.is_tracked;
                bits.extend(numbers(found.clone()).into_iter().map(f64::to_bits));
                if tracked {
                    let gradients = (found * case.factors.own.clone()).sum().backward();
                    bits.extend(
                        numbers(case.x.own.grad(&gradients).unwrap())
                            .into_iter()
                            .map(f64::to_bits),
                    );
                }
            }
            bits
        })
    };
    let one = bits(1);
    for threads in [2, 3, 5] {
        assert!(one == bits(threads), "{threads} threads");
    }
}
