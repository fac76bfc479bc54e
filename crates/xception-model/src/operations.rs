//! Each operation of a graph by Burn's operations.

use alloc::vec::Vec;

use burn::tensor::activation::{
    elu, gelu, gelu_approximate, hard_sigmoid, hard_swish, leaky_relu, log_softmax, mish, relu, selu, sigmoid, silu,
    softmax, softplus, softsign, tanh,
};
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Int, Tensor, TensorData};
use graph::{Activation, ChannelOrder, Conv, Filter, GlobalPool, Op, Padding, Pool, PoolKind, ScaleShift};

use crate::feature::Feature;
use crate::parameters::Parameters;

/// Computes one operation.
///
/// # Panics
///
/// For inputs that do not fit the operation; the graph's shapes were checked before.
pub(crate) fn apply(op: &Op, parameters: &Parameters, inputs: Vec<Feature>) -> Feature {
    let mut inputs = inputs.into_iter();
    let mut next = || inputs.next().expect("a validated graph has all inputs");
    match (op, parameters) {
        (Op::Conv(conv), Parameters::Conv(module)) => {
            let weight = module.weight.val();
            let bias = module.bias.as_ref().map(burn::module::Param::val);
            Feature::Map(convolve(next().into_map(), conv, weight, bias))
        }
        (Op::BatchNorm(_), Parameters::Norm(module)) => match next() {
            Feature::Map(map) => Feature::Map(module.norm.forward(map)),
            Feature::Vector(vector) => Feature::Vector(module.norm.forward(vector)),
        },
        (Op::Dense(_), Parameters::Dense(module)) => Feature::Vector(module.forward(next().into_vector())),
        (Op::Dropout { .. }, Parameters::Dropout(module)) => match next() {
            Feature::Map(map) => Feature::Map(module.forward(map)),
            Feature::Vector(vector) => Feature::Vector(module.forward(vector)),
        },
        (Op::Activation(activation), _) => match next() {
            Feature::Map(map) => Feature::Map(activate(map, *activation)),
            Feature::Vector(vector) => Feature::Vector(activate(vector, *activation)),
        },
        (Op::Pool(pool), _) => Feature::Map(windows(next().into_map(), pool)),
        (Op::GlobalPool(pool), _) => global(next().into_map(), *pool),
        (Op::Flatten { order }, _) => {
            let map = next().into_map();
            Feature::Vector(match order {
                ChannelOrder::ChannelsFirst => map.flatten(1, 3),
                ChannelOrder::ChannelsLast => map.permute([0, 2, 3, 1]).flatten(1, 3),
            })
        }
        (Op::ToMap, _) => Feature::Map(next().into_map()),
        (
            Op::Pad {
                pads: [top, left, bottom, right],
            },
            _,
        ) => {
            let map = next().into_map();
            Feature::Map(map.pad([(*top, *bottom), (*left, *right)], PadMode::Constant(0.0)))
        }
        (
            Op::Crop {
                crops: [top, left, bottom, right],
            },
            _,
        ) => {
            let map = next().into_map();
            let [batch, channels, height, width] = map.dims();
            let kept = [0..batch, 0..channels, *top..height - bottom, *left..width - right];
            Feature::Map(map.slice(kept))
        }
        (Op::Add, _) => {
            let first = next();
            inputs.fold(first, |sum, input| match (sum, input) {
                (Feature::Map(sum), Feature::Map(input)) => Feature::Map(sum + input),
                (sum, input) => Feature::Vector(sum.into_vector() + input.into_vector()),
            })
        }
        (Op::Multiply, _) => match (next(), next()) {
            (Feature::Vector(one), Feature::Vector(two)) => Feature::Vector(one * two),
            (one, two) => Feature::Map(one.into_map() * two.into_map()),
        },
        (Op::Concat, _) => match next() {
            Feature::Map(first) => {
                let maps = core::iter::once(first).chain(inputs.map(Feature::into_map));
                Feature::Map(Tensor::cat(maps.collect(), 1))
            }
            Feature::Vector(first) => {
                let vectors = core::iter::once(first).chain(inputs.map(Feature::into_vector));
                Feature::Vector(Tensor::cat(vectors.collect(), 1))
            }
        },
        (Op::Take { channels }, _) => match next() {
            Feature::Map(map) => Feature::Map(take(map, channels)),
            Feature::Vector(vector) => Feature::Vector(take(vector, channels)),
        },
        (Op::ScaleShift(constants), _) => match next() {
            Feature::Map(map) => Feature::Map(scale_and_shift(map, constants)),
            Feature::Vector(vector) => Feature::Vector(scale_and_shift(vector, constants)),
        },
        (Op::LayerNorm { epsilon }, _) => match next() {
            Feature::Map(map) => Feature::Map(layer_norm(map, *epsilon)),
            Feature::Vector(vector) => Feature::Vector(layer_norm(vector, *epsilon)),
        },
        (Op::GroupNorm { groups, epsilon }, _) => match next() {
            Feature::Map(map) => Feature::Map(group_norm(map, *groups, *epsilon)),
            Feature::Vector(vector) => Feature::Vector(group_norm(vector, *groups, *epsilon)),
        },
        (Op::Resize { size, filter }, _) => Feature::Map(resize(next().into_map(), *size, *filter)),
        (op, _) => unreachable!("a {} without its parameters", op.name()),
    }
}

fn convolve(x: Tensor<4>, conv: &Conv, weight: Tensor<4>, bias: Option<Tensor<1>>) -> Tensor<4> {
    let padding = pads(&x, conv.padding, conv.kernel, conv.stride, conv.dilation);
    let options = ConvOptions::new_with_padding(conv.stride, padding, conv.dilation, conv.groups);
    conv2d(x, weight, bias, options)
}

/// Padding before and after, down and right, for a map of this size.
fn pads(
    x: &Tensor<4>,
    padding: Padding,
    kernel: [usize; 2],
    stride: [usize; 2],
    dilation: [usize; 2],
) -> [(usize, usize); 2] {
    let [_, _, height, width] = x.dims();
    let [top, left, bottom, right] = padding
        .pads([height, width], kernel, stride, dilation)
        .expect("sizes that were checked do not overflow");
    [(top, bottom), (left, right)]
}

fn take<const D: usize>(x: Tensor<D>, channels: &[usize]) -> Tensor<D> {
    let channels: Vec<i64> = channels.iter().map(|channel| *channel as i64).collect();
    let indices = Tensor::<1, Int>::from_data(TensorData::new(channels.clone(), [channels.len()]), &x.device());
    x.select(1, indices)
}

fn windows(x: Tensor<4>, pool: &Pool) -> Tensor<4> {
    let padding = pads(&x, pool.padding, pool.window, pool.stride, pool.dilation);
    match pool.kind {
        PoolKind::Max => max_pool2d(
            x,
            MaxPoolOptions::new(pool.window)
                .with_stride(pool.stride)
                .with_dilation(pool.dilation)
                .with_padding_pairs(padding),
        ),
        PoolKind::Average => avg_pool2d(
            x,
            AvgPoolOptions::new(pool.window)
                .with_stride(pool.stride)
                .with_padding_pairs(padding)
                .with_count_include_pad(pool.count_padding),
        ),
    }
}

fn global(x: Tensor<4>, pool: GlobalPool) -> Feature {
    let pooled = match pool.kind {
        PoolKind::Average => x.mean_dims(&[2, 3]),
        PoolKind::Max => x.max_dims(&[2, 3]),
    };
    if pool.keep_dims {
        Feature::Map(pooled)
    } else {
        Feature::Vector(pooled.flatten(1, 3))
    }
}

fn activate<const D: usize>(x: Tensor<D>, activation: Activation) -> Tensor<D> {
    match activation {
        Activation::Relu => relu(x),
        Activation::Relu6 => x.clamp(0.0, 6.0),
        Activation::LeakyRelu { slope } => leaky_relu(x, slope),
        Activation::Elu { alpha } => elu(x, alpha),
        Activation::Selu => selu(x),
        Activation::Swish => silu(x),
        Activation::HardSwish => hard_swish(x),
        Activation::Sigmoid => sigmoid(x),
        Activation::HardSigmoid { slope } => hard_sigmoid(x, slope, 0.5),
        Activation::Tanh => tanh(x),
        Activation::Gelu { approximate: false } => gelu(x),
        Activation::Gelu { approximate: true } => gelu_approximate(x),
        Activation::Softplus => softplus(x, 1.0),
        Activation::Softsign => softsign(x),
        Activation::Mish => mish(x),
        Activation::Exponential => x.exp(),
        Activation::Power { exponent } => x.powf_scalar(exponent),
        Activation::Clip { min, max } => x.clamp(min, max),
        Activation::Softmax => softmax(x, 1),
        Activation::LogSoftmax => log_softmax(x, 1),
    }
}

/// Over axis 1, the channels.
fn layer_norm<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + epsilon).sqrt()
}

/// Over the channels of each group and all places.
fn group_norm<const D: usize>(x: Tensor<D>, groups: usize, epsilon: f64) -> Tensor<D> {
    let shape = x.dims();
    let values = shape[1..].iter().product::<usize>() / groups;
    let grouped: Tensor<3> = x.reshape([shape[0], groups, values]);
    let centred = grouped.clone() - grouped.mean_dim(2);
    let variance = (centred.clone() * centred.clone()).mean_dim(2);
    (centred / (variance + epsilon).sqrt()).reshape(shape)
}

/// First the rows, then the columns.
fn resize(x: Tensor<4>, size: [usize; 2], filter: Filter) -> Tensor<4> {
    [2, 3].into_iter().zip(size).fold(x, |x, (axis, to)| {
        let taps = filter.taps(x.dims()[axis], to);
        let device = x.device();
        let chosen = |indices: Vec<i64>| {
            let indices = Tensor::<1, Int>::from_data(TensorData::new(indices, [to]), &device);
            x.clone().select(axis, indices)
        };
        let first = chosen(taps.iter().map(|(first, _, _)| *first as i64).collect());
        if taps.iter().all(|(_, _, weight)| *weight == 0.0) {
            return first;
        }
        let last = chosen(taps.iter().map(|(_, last, _)| *last as i64).collect());
        let mut shape = [1; 4];
        shape[axis] = to;
        let weights: Vec<f32> = taps.iter().map(|(_, _, weight)| *weight as f32).collect();
        let weights = Tensor::<4>::from_data(TensorData::new(weights, shape), &device);
        first.clone() + (last - first) * weights
    })
}

fn scale_and_shift<const D: usize>(x: Tensor<D>, ScaleShift { scale, shift }: &ScaleShift) -> Tensor<D> {
    let device = x.device();
    let constants = |values: &[f64]| {
        let mut shape = [1; D];
        shape[1] = values.len();
        let values: Vec<f32> = values.iter().map(|value| *value as f32).collect();
        Tensor::<D>::from_data(TensorData::new(values, shape), &device)
    };
    let scaled = match scale.as_slice() {
        [one] => x * *one,
        many => x * constants(many),
    };
    match shift.as_slice() {
        [one] => scaled + *one,
        many => scaled + constants(many),
    }
}
