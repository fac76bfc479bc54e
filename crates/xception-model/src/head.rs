use alloc::vec::Vec;

use burn::module::Module;
use burn::nn::{Dropout, DropoutConfig, Initializer, Linear, LinearConfig};
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::config::XceptionConfig;
use crate::watch::Watch;

/// The classifier on the pooled features: fully-connected ReLU layers if there are any, dropout, then one logit a class.
#[derive(Module, Debug)]
pub struct Head {
    /// Fully-connected layers with ReLU, weights `[features_in, features_out]`.
    pub hidden: Vec<Linear>,
    /// Dropout before the last layer; it acts only while training.
    pub dropout: Dropout,
    /// The last layer (`predictions` in Keras), weights `[features_in, num_classes]`.
    pub predictions: Linear,
}

impl Head {
    pub(crate) fn new(config: &XceptionConfig, device: &Device) -> Self {
        let mut features = config.embedding_len();
        let hidden = config
            .hidden_layers
            .iter()
            .map(|&width| linear(core::mem::replace(&mut features, width), width, device))
            .collect();
        Self {
            hidden,
            dropout: DropoutConfig::new(config.dropout).init(),
            predictions: linear(features, config.num_classes, device),
        }
    }

    /// The same classifier with another number of classes: a new last layer.
    pub(crate) fn with_num_classes(mut self, num_classes: usize, device: &Device) -> Self {
        let [features, _] = self.predictions.weight.shape().dims();
        self.predictions = linear(features, num_classes, device);
        self
    }

    /// The logits of embeddings, such as [`Xception::embed`](crate::Xception::embed) gives.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[batch, embedding]`
    /// - output: `[batch, num_classes]`
    pub fn logits(&self, embeddings: Tensor<2>) -> Tensor<2> {
        self.forward(embeddings, &mut Watch::Nobody)
    }

    /// # Shapes
    ///
    /// - `x`: `[batch, embedding]`
    /// - output: `[batch, num_classes]`
    pub(crate) fn forward(&self, mut x: Tensor<2>, watch: &mut Watch<'_>) -> Tensor<2> {
        for (index, layer) in self.hidden.iter().enumerate() {
            x = relu(layer.forward(x));
            watch.see_vector(format_args!("hidden_{index}"), &mut x);
        }
        let mut x = self.predictions.forward(self.dropout.forward(x));
        watch.see_vector(format_args!("predictions"), &mut x);
        x
    }
}

/// A fully-connected layer as Keras starts it: Glorot-uniform kernel, zero bias.
fn linear(features_in: usize, features_out: usize, device: &Device) -> Linear {
    let mut linear = LinearConfig::new(features_in, features_out)
        .with_initializer(Initializer::XavierUniform { gain: 1.0 })
        .init(device);
    linear.bias = Some(Initializer::Zeros.init([features_out], device));
    linear
}
