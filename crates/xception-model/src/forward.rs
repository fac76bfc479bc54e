//! Computes a graph with Burn's operations.

use alloc::vec;
use alloc::vec::Vec;

use burn::tensor::activation::{
    elu, gelu, gelu_approximate, hard_sigmoid, hard_swish, leaky_relu, mish, relu, selu, sigmoid, silu, softmax,
    softplus, softsign, tanh,
};
use burn::tensor::module::{avg_pool2d, conv2d, max_pool2d};
use burn::tensor::ops::{AvgPoolOptions, ConvOptions, MaxPoolOptions, PadMode};
use burn::tensor::{Tensor, TensorData};
use graph::{Activation, ChannelOrder, Conv, GlobalPool, Graph, NodeId, Op, Padding, Pool, PoolKind, ScaleShift};

use crate::parameters::Parameters;
#[cfg(feature = "flex")]
use crate::units::{self, Held};

/// A node's output.
#[derive(Clone, Debug)]
pub(crate) enum Feature {
    /// `[batch, channels, height, width]`.
    Map(Tensor<4>),
    /// `[batch, features]`.
    Vector(Tensor<2>),
}

impl Feature {
    /// The output as a map; a vector becomes a map of 1 x 1.
    pub fn into_map(self) -> Tensor<4> {
        match self {
            Self::Map(map) => map,
            Self::Vector(vector) => {
                let [batch, features] = vector.dims();
                vector.reshape([batch, features, 1, 1])
            }
        }
    }

    /// The output as a vector; a map must have one pixel.
    pub fn into_vector(self) -> Tensor<2> {
        match self {
            Self::Map(map) => map.flatten(1, 3),
            Self::Vector(vector) => vector,
        }
    }

    /// Lets `change` replace the output, seen as a map.
    pub fn change(&mut self, change: impl FnOnce(&mut Tensor<4>)) {
        match self {
            Self::Map(map) => change(map),
            Self::Vector(vector) => {
                let mut map = Self::Vector(vector.clone()).into_map();
                change(&mut map);
                *vector = map.flatten(1, 3);
            }
        }
    }
}

/// Receives the nodes' outputs during a forward pass.
pub(crate) enum Watch<'a> {
    /// Nothing receives them.
    Off,
    /// A function that sees every node's output and may change it.
    Node(&'a mut dyn FnMut(NodeId, &mut Feature)),
}

/// A graph with its parameters.
pub(crate) struct Run<'a> {
    graph: &'a Graph,
    parameters: &'a [Parameters],
}

impl<'a> Run<'a> {
    pub fn new(graph: &'a Graph, parameters: &'a [Parameters]) -> Self {
        Self { graph, parameters }
    }

    /// Computes `output` from `value`, the output of `start`. Every node that `output` needs must be computable from
    /// `start`. An output is freed after its last use.
    ///
    /// # Panics
    ///
    /// If `output` needs a node before `start` in another way. The taps of this crate's graphs never do.
    pub fn from(&self, start: NodeId, value: Feature, output: NodeId, watch: &mut Watch<'_>) -> Feature {
        #[cfg(feature = "flex")]
        if units::are_for(&value) {
            return self.walk(
                start,
                value,
                output,
                watch,
                |value, is_shared| Held::new(value, is_shared),
                Held::apply,
                Held::into_feature,
            );
        }
        self.walk(start, value, output, watch, |value, _| value, apply, |feature| feature)
    }

    /// The walk of [`from`](Self::from). `H` is a feature, or what makes it: `hold` puts a feature there, `apply` computes an
    /// operation, and `feature` gives what the caller sees, and what several operations read.
    #[allow(clippy::too_many_arguments, reason = "three functions between two types")]
    fn walk<H: Clone>(
        &self,
        start: NodeId,
        value: Feature,
        output: NodeId,
        watch: &mut Watch<'_>,
        hold: impl Fn(Feature, bool) -> H,
        apply: impl Fn(&'a Op, &'a Parameters, Vec<H>) -> H,
        feature: impl Fn(H) -> Feature,
    ) -> Feature {
        let graph = self.graph;
        let mut uses = vec![0_usize; graph.nodes.len()];
        uses[output.0] = 1;
        for index in (start.0 + 1..=output.0).rev() {
            if uses[index] > 0 {
                for input in &graph.nodes[index].inputs {
                    uses[input.0] += 1;
                }
            }
        }
        let mut held: Vec<Option<H>> = vec![None; output.0 + 1];
        held[start.0] = Some(hold(value, uses[start.0] > 1));
        for index in start.0 + 1..=output.0 {
            if uses[index] == 0 {
                continue;
            }
            let node = &graph.nodes[index];
            let is_shared = uses[index] > 1;
            let inputs = node.inputs.iter().map(|input| {
                uses[input.0] -= 1;
                let slot = &mut held[input.0];
                let input = if uses[input.0] == 0 { slot.take() } else { slot.clone() };
                input.expect("nodes stand behind what they read, and outputs are kept until their last use")
            });
            let mut own = apply(&node.op, &self.parameters[index], inputs.collect());
            if let Watch::Node(see) = watch {
                let mut shown = feature(own);
                see(NodeId(index), &mut shown);
                own = hold(shown, is_shared);
            } else if is_shared {
                own = hold(feature(own), true);
            }
            held[index] = Some(own);
        }
        feature(held[output.0].take().expect("the last node was computed"))
    }
}

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
        (Op::ScaleShift(constants), _) => match next() {
            Feature::Map(map) => Feature::Map(scale_and_shift(map, constants)),
            Feature::Vector(vector) => Feature::Vector(scale_and_shift(vector, constants)),
        },
        (Op::LayerNorm { epsilon }, _) => match next() {
            Feature::Map(map) => Feature::Map(layer_norm(map, *epsilon)),
            Feature::Vector(vector) => Feature::Vector(layer_norm(vector, *epsilon)),
        },
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
        Activation::Softmax => softmax(x, 1),
    }
}

/// Over axis 1, the channels.
fn layer_norm<const D: usize>(x: Tensor<D>, epsilon: f64) -> Tensor<D> {
    let centred = x.clone() - x.mean_dim(1);
    let variance = (centred.clone() * centred.clone()).mean_dim(1);
    centred / (variance + epsilon).sqrt()
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
