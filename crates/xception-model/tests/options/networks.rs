//! Networks and pictures that several tests use.

use std::collections::{BTreeSet, HashMap};

use burn::nn::loss::CrossEntropyLossConfig;
use burn::optim::{GradientsParams, SgdConfig};
use burn::tensor::{Device, Int, Tensor};
use xception_model::graph::LayerId;
use xception_model::{
    IntermediateActivation, OutputStride, Pooling, SeparableOrder, Variant, Xception, XceptionConfig,
};

use crate::common;
use crate::common::{device, parameters, toy};

pub fn images(batch: usize, height: usize, width: usize) -> Tensor<4> {
    common::input([batch, height, width, 3], &device())
}

/// Networks that differ in all options that add or remove a layer.
pub fn assorted() -> Vec<XceptionConfig> {
    vec![
        toy(),
        toy().with_residual(false),
        toy().with_middle_blocks(0),
        toy().with_middle_blocks(2),
        toy().with_hidden_layers(vec![12, 8]),
        toy().with_pooling(Pooling::Max),
        toy().with_include_top(false),
        toy().with_include_top(false).with_pooling(Pooling::None),
        toy().with_output_stride(OutputStride::S16),
        toy().with_output_stride(OutputStride::S8),
        toy().with_order(SeparableOrder::PointwiseFirst),
        toy().with_intermediate_activation(IntermediateActivation::Elu),
        toy().with_variant(Variant::Torch),
        toy().with_in_channels(5),
        shorter(1),
        shorter(2).with_residual(false),
    ]
}

/// The toy without its last layers.
pub fn shorter(count: usize) -> XceptionConfig {
    let mut config = toy();
    config.widths.exit.truncate(3 - count);
    config
}

/// Module paths and names of a network's layers.
pub fn layers(config: &XceptionConfig) -> HashMap<String, String> {
    let layers = config.graph().layers.into_iter();
    layers.map(|layer| (layer.path, layer.name)).collect()
}

/// Names and Keras classes of a network's layers.
pub fn classes(config: &XceptionConfig) -> Vec<(String, &'static str)> {
    let graph = config.graph();
    let layers = graph.layers.iter().enumerate();
    layers
        .map(|(index, layer)| (layer.name.clone(), graph.keras_class(LayerId(index))))
        .collect()
}

/// Mean cross-entropy of a training pass over two pictures.
pub fn loss(model: &Xception, channels: usize, device: &Device) -> Tensor<1> {
    let logits = model
        .forward(common::input([2, 71, 71, channels], device))
        .expect("a valid input");
    let labels = Tensor::<1, Int>::from_ints([0, 1], device);
    CrossEntropyLossConfig::new().init(device).forward(logits, labels)
}

/// Paths of the parameters that get a gradient in a training pass, without running statistics.
pub fn trained_paths(model: &Xception, channels: usize) -> BTreeSet<String> {
    let device = device().autodiff();
    let before: HashMap<_, _> = parameters(model)
        .into_iter()
        .map(|(path, _, values)| (path, values))
        .collect();
    let gradients = GradientsParams::from_grads(loss(model, channels, &device).backward(), model);
    let stepped = SgdConfig::new().init().step(0.1, model.clone(), gradients);
    parameters(&stepped)
        .into_iter()
        .filter(|(path, _, values)| !path.contains("running_") && before[path] != *values)
        .map(|(path, ..)| path)
        .collect()
}

/// `adapt_input_conv` of timm's `models/_manipulate.py`, for a kernel `[out, old, 3, 3]` of 3 channels.
pub fn adapt_input_conv(kernel: &[f32], outputs: usize, channels: usize) -> Vec<f32> {
    let tap = |output: usize, channel: usize, place: usize| kernel[(output * 3 + channel) * 9 + place];
    let mut adapted = Vec::new();
    for output in 0..outputs {
        for channel in 0..channels {
            for place in 0..9 {
                adapted.push(if channels == 1 {
                    (0..3).map(|channel| tap(output, channel, place)).sum()
                } else {
                    tap(output, channel % 3, place) * (3.0 / channels as f32)
                });
            }
        }
    }
    adapted
}
