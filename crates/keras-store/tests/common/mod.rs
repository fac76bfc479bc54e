//! The toy network of `scripts/fixtures/keras_fixtures.py` in Burn, and what Keras says about it.
#![allow(dead_code, reason = "each test file uses its part")]

use std::path::PathBuf;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Linear, LinearConfig, PaddingConfig2d};
use burn::tensor::{Device, Tensor, TensorData, activation::relu};
use keras_store::KerasStore;
use serde_json::Value;

pub fn fixture(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
        .join("tests/fixtures")
        .join(name)
}

pub fn store(name: &str) -> KerasStore {
    KerasStore::from_file(fixture(name))
}

pub fn expected(name: &str) -> Value {
    serde_json::from_slice(&std::fs::read(fixture(name)).unwrap()).unwrap()
}

pub fn shape(tensor: &Value) -> Vec<usize> {
    serde_json::from_value(tensor["shape"].clone()).unwrap()
}

pub fn values(tensor: &Value) -> Vec<f32> {
    serde_json::from_value(tensor["values"].clone()).unwrap()
}

/// An input or output of the JSON as a tensor of rank `D`.
pub fn tensor<const D: usize>(json: &Value) -> Tensor<D> {
    Tensor::from_data(TensorData::new(values(json), shape(json)), &Device::flex())
}

pub fn names(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs
        .iter()
        .map(|(from, to)| (from.to_string(), to.to_string()))
        .collect()
}

#[derive(Module, Debug)]
pub struct Separable {
    depthwise: Conv2d,
    pointwise: Conv2d,
}

impl Separable {
    fn new(
        [input, output]: [usize; 2],
        kernel: [usize; 2],
        multiplier: usize,
        bias: bool,
        padding: PaddingConfig2d,
    ) -> Self {
        let device = Device::flex();
        let middle = input * multiplier;
        Self {
            depthwise: Conv2dConfig::new([input, middle], kernel)
                .with_groups(input)
                .with_bias(false)
                .with_padding(padding)
                .init(&device),
            pointwise: Conv2dConfig::new([middle, output], [1, 1])
                .with_bias(bias)
                .init(&device),
        }
    }

    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        self.pointwise.forward(self.depthwise.forward(x))
    }
}

#[derive(Module, Debug)]
pub struct Backbone {
    stem: Conv2d,
    stem_bn: BatchNorm,
    sep: Separable,
    sep_one: Separable,
    residual: Conv2d,
    residual_bn: BatchNorm,
}

#[derive(Module, Debug)]
pub struct Network {
    backbone: Backbone,
    pub dense: Linear,
    scores: Linear,
}

impl Network {
    pub fn new() -> Self {
        Self::with_classes(3)
    }

    pub fn with_classes(classes: usize) -> Self {
        let device = Device::flex();
        // Keras's epsilon.
        let norm = |n| BatchNormConfig::new(n).with_epsilon(1e-3).init(&device);
        let conv = |channels, kernel| Conv2dConfig::new(channels, kernel).with_bias(false).init(&device);
        Self {
            backbone: Backbone {
                stem: conv([3, 4], [3, 3]),
                stem_bn: norm(4),
                sep: Separable::new([4, 5], [3, 2], 2, true, PaddingConfig2d::Valid),
                sep_one: Separable::new([5, 6], [3, 3], 1, false, PaddingConfig2d::Same),
                residual: conv([6, 6], [1, 1]),
                residual_bn: norm(6),
            },
            dense: LinearConfig::new(6, 5).init(&device),
            scores: LinearConfig::new(5, classes).init(&device),
        }
    }

    /// Pictures as Keras has them, `[batch, height, width, channels]`, to scores.
    pub fn forward(&self, pictures: Tensor<4>) -> Tensor<2> {
        let b = &self.backbone;
        let x = pictures.permute([0, 3, 1, 2]);
        let x = relu(b.stem_bn.forward(b.stem.forward(x)));
        let x = b.sep_one.forward(b.sep.forward(x));
        let x = x.clone() + b.residual_bn.forward(b.residual.forward(x));
        let x = x.mean_dim(3).mean_dim(2).flatten(1, 3);
        self.scores.forward(relu(self.dense.forward(x)))
    }
}

/// The layers without a name of their own, by the names Keras gave them.
pub const RESIDUAL: [(&str, &str); 2] = [
    ("backbone/conv2d_1", "backbone.residual"),
    ("backbone/batch_normalization_1", "backbone.residual_bn"),
];

pub fn assert_close(found: &TensorData, expected: &[f32]) {
    let found = found.as_slice::<f32>().unwrap();
    assert_eq!(found.len(), expected.len());
    for (i, (f, e)) in found.iter().zip(expected).enumerate() {
        // Sums of at most 27 products in another order.
        assert!((f - e).abs() <= 1e-5 * e.abs().max(1.0), "{i}: {f} is not {e}");
    }
}
