//! Short forms of the builder's calls, which panic with the error's message.
#![allow(clippy::too_many_arguments, reason = "a test names every number in one line")]
#![allow(dead_code, missing_docs, reason = "every test is a crate of its own and uses a part")]

pub mod reference;

use std::time::Duration;

use kernels::{
    Activation, Convolution, Dense, Error, GlobalPool, GlobalPoolKind, Isa, MaxPool as Pool, Network, Padding,
    Projection, Separable, SeparableConv, SeparableWeights, Value,
};

/// A value, weights and bias of a projection.
pub type Shortcut<'a> = (Value, &'a [f32], Option<&'a [f32]>);

fn checked<T>(result: Result<T, Error>) -> T {
    result.unwrap_or_else(|error| panic!("{error}"))
}

/// A 3 x 3 max pooling.
#[derive(Clone, Copy, Debug)]
pub struct MaxPool {
    pub stride: usize,
    pub dilation: usize,
    pub symmetric: bool,
}

/// The places of `ReLU` in a separable convolution.
#[derive(Clone, Copy, Debug, Default)]
pub struct SeparableRelu {
    pub before: bool,
    pub between: bool,
    pub after: bool,
}

pub fn relu(yes: bool) -> Activation {
    if yes { Activation::Relu } else { Activation::None }
}

pub fn new_network(channels: usize, isa: Isa) -> Network {
    checked(Network::new(channels, isa))
}

pub fn single_separable(
    depthwise: &[f32],
    dilation: usize,
    pointwise: &[f32],
    bias: Option<&[f32]>,
    outputs: usize,
    at: SeparableRelu,
    isa: Isa,
) -> SeparableConv {
    let weights = SeparableWeights {
        dilation,
        bias,
        before: relu(at.before),
        between: relu(at.between),
        after: relu(at.after),
        ..SeparableWeights::new(depthwise, pointwise, outputs)
    };
    checked(SeparableConv::new(&weights, isa))
}

pub trait Build {
    fn conv(
        &mut self,
        input: Value,
        weights: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        kernel: usize,
        stride: usize,
        after: bool,
    ) -> Value;
    fn sep(
        &mut self,
        input: Value,
        depthwise: &[f32],
        dilation: usize,
        pointwise: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        residual: Option<Value>,
        at: SeparableRelu,
    ) -> Value;
    fn pool3(&mut self, input: Value, pool: MaxPool, projection: Option<Shortcut<'_>>) -> Value;
    fn pool_all(&mut self, input: Value, kind: GlobalPoolKind) -> Value;
    fn fully(&mut self, input: Value, weights: &[f32], bias: Option<&[f32]>, outputs: usize, after: bool) -> Value;
    fn go(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]);
    fn times(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]) -> Vec<Duration>;
    fn side(&self, value: Value, size: [usize; 2]) -> [usize; 2];
    fn counts(&self, size: [usize; 2]) -> Vec<usize>;
}

impl Build for Network {
    fn conv(
        &mut self,
        input: Value,
        weights: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        kernel: usize,
        stride: usize,
        after: bool,
    ) -> Value {
        checked(self.convolution(Convolution {
            bias,
            stride: [stride; 2],
            activation: relu(after),
            ..Convolution::new(input, weights, outputs, [kernel; 2])
        }))
    }

    fn sep(
        &mut self,
        input: Value,
        depthwise: &[f32],
        dilation: usize,
        pointwise: &[f32],
        bias: Option<&[f32]>,
        outputs: usize,
        residual: Option<Value>,
        at: SeparableRelu,
    ) -> Value {
        checked(self.separable(Separable {
            dilation,
            bias,
            residual,
            before: relu(at.before),
            between: relu(at.between),
            after: relu(at.after),
            ..Separable::new(input, depthwise, pointwise, outputs)
        }))
    }

    fn pool3(&mut self, input: Value, pool: MaxPool, projection: Option<Shortcut<'_>>) -> Value {
        checked(self.max_pool(Pool {
            stride: [pool.stride; 2],
            dilation: [pool.dilation; 2],
            padding: if pool.symmetric {
                Padding::symmetric(pool.dilation)
            } else {
                Padding::Same
            },
            projection: projection.map(|(input, weights, bias)| Projection { input, weights, bias }),
            ..Pool::new(input, [3; 2])
        }))
    }

    fn pool_all(&mut self, input: Value, kind: GlobalPoolKind) -> Value {
        checked(self.global_pool(GlobalPool { input, kind }))
    }

    fn fully(&mut self, input: Value, weights: &[f32], bias: Option<&[f32]>, outputs: usize, after: bool) -> Value {
        checked(self.dense(Dense {
            bias,
            activation: relu(after),
            ..Dense::new(input, weights, outputs)
        }))
    }

    fn go(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]) {
        checked(self.run(pictures, shape, outputs));
    }

    fn times(&self, pictures: &[f32], shape: [usize; 3], outputs: &mut [(Value, &mut [f32])]) -> Vec<Duration> {
        checked(self.profile(pictures, shape, outputs))
    }

    fn side(&self, value: Value, size: [usize; 2]) -> [usize; 2] {
        checked(self.size(value, size))
    }

    fn counts(&self, size: [usize; 2]) -> Vec<usize> {
        checked(self.multiplications(size))
    }
}
