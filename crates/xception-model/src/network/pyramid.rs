//! The feature pyramid.

use alloc::string::String;
use alloc::vec::Vec;

use burn::tensor::Tensor;
use graph::Graph;

/// Feature maps of falling resolution, for detection and segmentation.
#[derive(Clone, Debug)]
pub struct Pyramid {
    /// The levels, finest first: `stride_2`, `stride_4`, `stride_8`, `stride_16`, `stride_32`.
    pub levels: Vec<PyramidLevel>,
}

/// One level of a [`Pyramid`].
#[derive(Clone, Debug)]
pub struct PyramidLevel {
    /// `stride_2` to `stride_32`, as in a network of output stride 32.
    pub name: String,
    /// The name of the block that outputs the level.
    pub stage: String,
    /// Input pixels between two neighbouring places of the map: the number in the name, or less with a smaller
    /// [`OutputStride`](crate::OutputStride).
    pub stride: usize,
    /// `[batch, channels, height, width]`: the block's output, in Xception after its residual sum and before the next
    /// ReLU.
    pub features: Tensor<4>,
}

impl Pyramid {
    /// The levels marked in a graph, with their feature maps.
    pub(crate) fn of(graph: &Graph, maps: impl Iterator<Item = Tensor<4>>) -> Self {
        let level = |(level, features): (&graph::Level, Tensor<4>)| PyramidLevel {
            name: level.name.clone(),
            stage: graph.layer_of(level.node).block.clone(),
            stride: level.stride,
            features,
        };
        Self {
            levels: graph.roles.levels.iter().zip(maps).map(level).collect(),
        }
    }

    /// The level of this name.
    pub fn level(&self, name: &str) -> Option<&PyramidLevel> {
        self.levels.iter().find(|level| level.name == name)
    }
}
