//! The order and the names that Keras gives to layers.

use alloc::collections::BTreeMap;
use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{Graph, LayerId, Naming};
use crate::op::{Activation, Op, PoolKind};

impl Graph {
    /// For each layer, the layers that it reads, in the order of its arguments.
    pub fn layer_inputs(&self) -> Vec<Vec<LayerId>> {
        let mut inputs = vec![Vec::new(); self.layers.len()];
        for node in &self.nodes {
            for input in &node.inputs {
                let from = self.node(*input).layer;
                if from != node.layer {
                    inputs[node.layer.0].push(from);
                }
            }
        }
        inputs
    }

    /// The layers in the order of Keras's `model.layers`, which Keras files follow: by depth from the output; within a
    /// depth, in the order of a depth-first search from the output (`keras/src/ops/function.py`, `map_graph`).
    pub fn keras_order(&self) -> Vec<LayerId> {
        let inputs: Vec<Vec<usize>> = self
            .layer_inputs()
            .into_iter()
            .map(|inputs| inputs.into_iter().map(|layer| layer.0).collect())
            .collect();
        let output = self.node(self.output()).layer;
        keras_order(&inputs, output.0).into_iter().map(LayerId).collect()
    }

    /// The name of every layer in a fresh Keras process: its given name, or its class with a number.
    pub fn keras_names(&self) -> Vec<String> {
        let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
        let name = |(index, layer): (usize, &crate::graph::Layer)| match layer.naming {
            Naming::Given => layer.name.clone(),
            Naming::Automatic => {
                let class = snake_case(self.keras_class(LayerId(index)));
                let count = counts.entry(class).or_default();
                let name = match *count {
                    0 => String::from(class),
                    number => format!("{class}_{number}"),
                };
                *count += 1;
                name
            }
        };
        self.layers.iter().enumerate().map(name).collect()
    }

    /// The Keras class of a layer.
    pub fn keras_class(&self, layer: LayerId) -> &'static str {
        let mut nodes = self.nodes.iter().filter(|node| node.layer == layer);
        let Some(first) = nodes.next() else {
            return "Layer";
        };
        match &first.op {
            Op::Input { .. } => "InputLayer",
            Op::Conv(_) if nodes.any(|node| matches!(node.op, Op::Conv(_))) => "SeparableConv2D",
            // The first convolution of a one-channel picture has one group too, and is not depthwise.
            Op::Conv(conv) if conv.groups > 1 && conv.is_depthwise() => "DepthwiseConv2D",
            Op::Conv(_) => "Conv2D",
            Op::BatchNorm(_) => "BatchNormalization",
            Op::Activation(Activation::Relu6 | Activation::Clip { min: 0.0, .. }) => "ReLU",
            Op::Activation(Activation::LeakyRelu { .. }) => "LeakyReLU",
            Op::Activation(_) => "Activation",
            Op::Pool(pool) => match pool.kind {
                PoolKind::Average => "AveragePooling2D",
                PoolKind::Max => "MaxPooling2D",
            },
            Op::GlobalPool(pool) => match pool.kind {
                PoolKind::Average => "GlobalAveragePooling2D",
                PoolKind::Max => "GlobalMaxPooling2D",
            },
            Op::Dense(_) => "Dense",
            Op::Flatten { .. } => "Flatten",
            Op::ToMap => "Reshape",
            Op::Pad { .. } => "ZeroPadding2D",
            Op::Crop { .. } => "Cropping2D",
            Op::LayerNorm { .. } => "LayerNormalization",
            Op::GroupNorm { .. } => "GroupNormalization",
            Op::Resize { .. } => "Resizing",
            Op::Add => "Add",
            Op::Multiply => "Multiply",
            Op::Concat => "Concatenate",
            Op::Take { .. } => "Take",
            Op::ScaleShift(constants) if constants.scale.len() == 1 && constants.shift.len() == 1 => "Rescaling",
            Op::ScaleShift(_) => "Normalization",
            Op::Dropout { .. } => "Dropout",
        }
    }
}

/// The order of Keras's `model.layers` for the layers that `output` depends on; see [`Graph::keras_order`]. `inputs`
/// holds, for each layer, the layers that it reads, in the order of its arguments.
pub fn keras_order(inputs: &[Vec<usize>], output: usize) -> Vec<usize> {
    // Iterative, because a graph from a file may be as deep as it is long.
    let mut index = vec![None; inputs.len()];
    let mut met = 0;
    let mut finished = Vec::with_capacity(inputs.len());
    let mut open = vec![(output, 0)];
    while let Some((layer, next)) = open.pop() {
        if next == 0 {
            if index[layer].is_some() {
                continue;
            }
            index[layer] = Some(met);
            met += 1;
        }
        match inputs[layer].get(next) {
            Some(&input) => {
                open.push((layer, next + 1));
                if index[input].is_none() {
                    open.push((input, 0));
                }
            }
            None => finished.push(layer),
        }
    }
    let mut depth = vec![0_usize; inputs.len()];
    for &layer in finished.iter().rev() {
        for &input in &inputs[layer] {
            depth[input] = depth[input].max(depth[layer] + 1);
        }
    }
    finished.sort_by_key(|layer| (core::cmp::Reverse(depth[*layer]), index[*layer]));
    finished
}

/// Keras's automatic name for a layer of this class (`to_snake_case` in `keras/src/utils/naming.py`).
pub fn snake_case(class: &'static str) -> &'static str {
    match class {
        "InputLayer" => "input_layer",
        "SeparableConv2D" => "separable_conv2d",
        "DepthwiseConv2D" => "depthwise_conv2d",
        "Conv2D" => "conv2d",
        "BatchNormalization" => "batch_normalization",
        "ReLU" => "re_lu",
        "LeakyReLU" => "leaky_re_lu",
        "Activation" => "activation",
        "AveragePooling2D" => "average_pooling2d",
        "MaxPooling2D" => "max_pooling2d",
        "GlobalAveragePooling2D" => "global_average_pooling2d",
        "GlobalMaxPooling2D" => "global_max_pooling2d",
        "Dense" => "dense",
        "Flatten" => "flatten",
        "Reshape" => "reshape",
        "ZeroPadding2D" => "zero_padding2d",
        "Add" => "add",
        "Multiply" => "multiply",
        "Concatenate" => "concatenate",
        "Take" => "take",
        "Rescaling" => "rescaling",
        "Normalization" => "normalization",
        "Dropout" => "dropout",
        _ => "layer",
    }
}
