//! The operation on Burn's tensors against Burn's own operations one after the other, over random shapes, on every
//! backend of the processor, with their gradients.

mod common;

use burn::tensor::activation::relu;
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor, TensorData};
use common::reference::Random;
use kernels::{SeparableError, SeparableOptions, SeparableRelu, separable_conv2d};

/// Shapes drawn a backend.
const ROUNDS: u64 = 40;

fn tensor<const D: usize>(random: &mut Random, shape: [usize; D], device: &Device) -> Tensor<D> {
    let values = random.values(shape.iter().product());
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// A separable convolution drawn at random.
struct Case {
    x: Tensor<4>,
    depthwise: Tensor<4>,
    pointwise: Tensor<4>,
    bias: Option<Tensor<1>>,
    residual: Option<Tensor<4>>,
    options: SeparableOptions,
}

impl Case {
    fn new(seed: u64, device: &Device) -> Self {
        let random = &mut Random::new(seed);
        let (channels, outputs) = (random.size(40), random.size(40));
        let (batch, height, width) = (random.size(3), random.size(15), random.size(15));
        Self {
            x: tensor(random, [batch, channels, height, width], device),
            depthwise: tensor(random, [channels, 1, 3, 3], device),
            pointwise: tensor(random, [outputs, channels, 1, 1], device),
            bias: random.yes().then(|| tensor(random, [outputs], device)),
            residual: random
                .yes()
                .then(|| tensor(random, [batch, outputs, height, width], device)),
            options: SeparableOptions {
                dilation: random.size(3),
                relu: SeparableRelu {
                    before: random.yes(),
                    between: random.yes(),
                    after: random.yes(),
                },
            },
        }
    }

    /// The same tensors with gradient tracking.
    fn tracked(self) -> Self {
        Self {
            x: self.x.require_grad(),
            depthwise: self.depthwise.require_grad(),
            pointwise: self.pointwise.require_grad(),
            bias: self.bias.map(Tensor::require_grad),
            residual: self.residual.map(Tensor::require_grad),
            options: self.options,
        }
    }

    fn fused(&self) -> Tensor<4> {
        separable_conv2d(
            self.x.clone(),
            self.depthwise.clone(),
            self.pointwise.clone(),
            self.bias.clone(),
            self.residual.clone(),
            self.options,
        )
        .expect("shapes that fit together")
    }

    fn plain(&self) -> Tensor<4> {
        let SeparableOptions {
            dilation,
            relu: SeparableRelu { before, between, after },
        } = self.options;
        let relu_if = |x, yes| if yes { relu(x) } else { x };
        let [_, channels, ..] = self.x.dims();
        let x = relu_if(self.x.clone(), before);
        let wide = ConvOptions::new([1; 2], [dilation; 2], [dilation; 2], channels);
        let x = relu_if(conv2d(x, self.depthwise.clone(), None, wide), between);
        let point = ConvOptions::new([1; 2], [0; 2], [1; 2], 1);
        let x = conv2d(x, self.pointwise.clone(), self.bias.clone(), point);
        let x = match &self.residual {
            Some(residual) => x + residual.clone(),
            None => x,
        };
        relu_if(x, after)
    }

    fn describe(&self) -> String {
        format!(
            "{:?} by {:?}, {:?}, bias {}, residual {}",
            self.x.dims(),
            self.pointwise.dims(),
            self.options,
            self.bias.is_some(),
            self.residual.is_some()
        )
    }
}

fn devices() -> Vec<(&'static str, Device)> {
    vec![
        ("flex", Device::flex()),
        #[cfg(feature = "ndarray")]
        ("ndarray", {
            #[expect(deprecated, reason = "kept for comparison while Burn has it")]
            Device::ndarray()
        }),
    ]
}

/// Largest difference relative to the largest value; NaNs must be at the same places.
fn assert_close<const D: usize>(ours: &Tensor<D>, theirs: &Tensor<D>, what: &str) {
    assert_eq!(ours.dims(), theirs.dims(), "{what}");
    let values = |tensor: &Tensor<D>| -> Vec<f32> { tensor.to_data().iter::<f32>().collect() };
    let (ours, theirs) = (values(ours), values(theirs));
    let scale = theirs
        .iter()
        .filter(|value| value.is_finite())
        .fold(1.0_f32, |a, b| a.max(b.abs()));
    for (index, (a, b)) in ours.iter().zip(&theirs).enumerate() {
        // Infinities have no difference.
        let same = a.to_bits() == b.to_bits() || (a.is_nan() && b.is_nan()) || (a - b).abs() <= 5e-6 * scale;
        assert!(same, "{what}: value {index} is {a}, not {b}");
    }
}

#[test]
fn it_is_burns_operations_one_after_the_other() {
    for (backend, device) in devices() {
        for seed in 0..ROUNDS {
            let case = Case::new(seed, &device);
            let what = format!("{backend}, seed {seed}: {}", case.describe());
            assert_close(&case.fused(), &case.plain(), &what);
        }
    }
}

#[test]
fn gradients_are_those_of_burns_operations() {
    for (backend, device) in devices() {
        for seed in 0..ROUNDS {
            let [ours, theirs] = [0, 1].map(|_| Case::new(seed, &device.clone().autodiff()).tracked());
            let what = format!("{backend}, seed {seed}: {}", ours.describe());
            let (fused, plain) = (ours.fused(), theirs.plain());
            assert_close(&fused.clone().inner(), &plain.clone().inner(), &what);

            // A weighted sum: the gradient of a plain sum is the same everywhere.
            let weights = tensor(&mut Random::new(!seed), fused.dims(), &device.clone().autodiff());
            let our_grads = (fused * weights.clone()).sum().backward();
            let their_grads = (plain * weights).sum().backward();
            let check = |name: &str, a: &Tensor<4>, b: &Tensor<4>| {
                let (a, b) = (a.grad(&our_grads), b.grad(&their_grads));
                let a = a.unwrap_or_else(|| panic!("{what}: no gradient of {name}"));
                assert_close(&a, &b.expect("a gradient"), &format!("{what}: gradient of {name}"));
            };
            check("x", &ours.x, &theirs.x);
            check("depthwise", &ours.depthwise, &theirs.depthwise);
            check("pointwise", &ours.pointwise, &theirs.pointwise);
            if let (Some(a), Some(b)) = (&ours.residual, &theirs.residual) {
                check("residual", a, b);
            }
            if let (Some(a), Some(b)) = (&ours.bias, &theirs.bias) {
                let (a, b) = (a.grad(&our_grads), b.grad(&their_grads));
                assert_close(
                    &a.unwrap_or_else(|| panic!("{what}: no gradient of bias")),
                    &b.expect("a gradient"),
                    &what,
                );
            }
        }
    }
}

/// Only some of the tensors are trained: a frozen layer below a new one, or the other way round.
#[test]
fn what_is_frozen_has_no_gradient() {
    let device = Device::flex().autodiff();
    let mut case = Case::new(3, &device);
    case.pointwise = case.pointwise.require_grad();
    let gradients = case.fused().sum().backward();
    assert!(case.pointwise.grad(&gradients).is_some());
    assert!(case.x.grad(&gradients).is_none());
    assert!(case.depthwise.grad(&gradients).is_none());
}

#[test]
fn odd_numbers_pass_as_in_burns_operations() {
    for (backend, device) in devices() {
        for odd in [f32::NAN, f32::INFINITY, f32::NEG_INFINITY, f32::MAX, 1e-40, -0.0] {
            for relu in [
                SeparableRelu::default(),
                SeparableRelu {
                    before: true,
                    between: true,
                    after: true,
                },
            ] {
                let mut case = Case::new(1, &device);
                // Positive weights: an infinity never meets one of the other sign, whatever the order of the sums.
                case.depthwise = case.depthwise.abs() + 0.125;
                case.pointwise = case.pointwise.abs() + 0.125;
                case.options.relu = relu;
                let shape = case.x.dims();
                let mut values: Vec<f32> = case.x.to_data().iter::<f32>().collect();
                let middle = values.len() / 2;
                values[middle] = odd;
                case.x = Tensor::from_data(TensorData::new(values, shape), &device);
                assert_close(&case.fused(), &case.plain(), &format!("{backend}: {odd}, {relu:?}"));
            }
        }
    }
}

/// Views of larger tensors, and types other than `f32`, which the kernels leave to Burn.
#[test]
fn permuted_tensors_and_double_precision() {
    let device = Device::flex();
    let mut case = Case::new(5, &device);
    let turned = case.x.clone().permute([0, 1, 3, 2]);
    let [batch, channels, height, width] = turned.dims();
    case.residual = None;
    let expected = {
        let copy = Tensor::from_data(turned.to_data(), &device);
        separable_conv2d(
            copy,
            case.depthwise.clone(),
            case.pointwise.clone(),
            case.bias.clone(),
            None,
            case.options,
        )
        .expect("shapes that fit together")
    };
    case.x = turned;
    assert_eq!(
        case.fused().to_data(),
        expected.to_data(),
        "{batch} x {channels} x {height} x {width}"
    );

    let wide = |tensor: Tensor<4>| tensor.cast(DType::F64);
    let double = separable_conv2d(
        wide(case.x.clone()),
        wide(case.depthwise.clone()),
        wide(case.pointwise.clone()),
        case.bias.clone().map(|bias| bias.cast(DType::F64)),
        None,
        case.options,
    )
    .expect("shapes that fit together");
    assert_eq!(double.dtype(), DType::F64);
    assert_close(&double.cast(DType::F32), &expected, "double precision");
}

#[test]
fn shapes_that_do_not_fit_are_named() {
    let device = Device::flex();
    let zeros = |shape: [usize; 4]| Tensor::<4>::zeros(shape, &device);
    let run = |depthwise, pointwise, bias: Option<usize>, residual: Option<[usize; 4]>, dilation| {
        let options = SeparableOptions {
            dilation,
            ..SeparableOptions::default()
        };
        separable_conv2d(
            zeros([1, 4, 5, 6]),
            zeros(depthwise),
            zeros(pointwise),
            bias.map(|outputs| Tensor::zeros([outputs], &device)),
            residual.map(zeros),
            options,
        )
    };
    let (depthwise, pointwise) = ([4, 1, 3, 3], [2, 4, 1, 1]);
    assert!(run(depthwise, pointwise, Some(2), Some([1, 2, 5, 6]), 1).is_ok());
    let refused = |result: Result<Tensor<4>, SeparableError>, name: &str| match result {
        Err(SeparableError::Shape { tensor, .. }) => assert_eq!(tensor, name),
        other => panic!("{name}: {other:?}"),
    };
    refused(run([4, 1, 5, 5], pointwise, None, None, 1), "depthwise");
    refused(run([3, 1, 3, 3], pointwise, None, None, 1), "depthwise");
    refused(run(depthwise, [2, 3, 1, 1], None, None, 1), "pointwise");
    refused(run(depthwise, [2, 4, 1, 3], None, None, 1), "pointwise");
    refused(run(depthwise, pointwise, Some(3), None, 1), "bias");
    refused(run(depthwise, pointwise, None, Some([1, 4, 5, 6]), 1), "residual");
    assert_eq!(
        run(depthwise, pointwise, None, None, 0).unwrap_err(),
        SeparableError::Dilation
    );
    let error = run(depthwise, pointwise, Some(3), None, 1).unwrap_err();
    assert_eq!(
        error.to_string(),
        "bias of a separable convolution: expected the shape [2], found [3]"
    );
}
