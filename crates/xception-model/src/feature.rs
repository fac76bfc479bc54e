//! The outputs of a graph's nodes.

use burn::tensor::Tensor;

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
