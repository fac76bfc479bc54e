//! Xception made ready for prediction: every batch norm folded into its convolution.

use alloc::boxed::Box;
use alloc::vec::Vec;

use burn::module::Module;
use burn::nn::BatchNorm;
use burn::nn::conv::Conv2d;
use burn::tensor::activation::{elu, relu, softmax};
use burn::tensor::module::conv2d;
use burn::tensor::ops::ConvOptions;
use burn::tensor::{DType, Device, Tensor, TensorData};

use crate::block::{Block, max_pool};
use crate::config::{
    IntermediateActivation, LayerKind, Pooling, Relu, SeparableOrder, Shortcut, Stage, XceptionConfig,
};
use crate::error::InputError;
use crate::head::Head;
use crate::separable::{ConvNorm, SeparableConvNorm};
use crate::xception::{Xception, check};

#[cfg(feature = "flex")]
mod packed;

/// An [`Xception`] for prediction alone. Made by [`Xception::fuse`].
///
/// Takes and gives the same tensors, within 1e-5 in norm; weights can't be changed any more. On Burn's `Flex` device the
/// whole network runs on the kernels of the crate `kernels` with weights packed once; elsewhere it is the same folded network
/// on Burn's operations. Networks with an ELU between the halves of a separable convolution, or with the pointwise half
/// first, use Burn's operations on every device.
///
/// The kernels run on the threads of the current rayon pool: `pool.install(|| model.forward(images))` chooses another.
#[derive(Debug)]
pub struct InferenceXception {
    config: XceptionConfig,
    engine: Engine,
}

#[derive(Debug)]
enum Engine {
    #[cfg(feature = "flex")]
    Packed(Box<packed::Packed>),
    Folded(Box<Folded>),
}

impl Xception {
    /// The same network for prediction alone, several times as fast on a CPU.
    ///
    /// Batch norms are folded into the convolutions in f64 and rounded once. The result is a copy: this network can go on
    /// training. Kernels that Burn has left in the record's file until they are used are read from there, and this network
    /// goes on without them: it takes no memory beside the other, and reads the file when it is used itself.
    pub fn fuse(&self) -> InferenceXception {
        let model = self.valid().materialize();
        let config = model.config().clone();
        #[cfg(feature = "flex")]
        if let Some(packed) = packed::Packed::new(&model) {
            let engine = Engine::Packed(Box::new(packed));
            return InferenceXception { config, engine };
        }
        let engine = Engine::Folded(Box::new(Folded::new(&model)));
        InferenceXception { config, engine }
    }
}

impl InferenceXception {
    /// The configuration of the network it was made from.
    pub fn config(&self) -> &XceptionConfig {
        &self.config
    }

    /// The instructions of the CPU kernels, such as `AVX2+FMA`; `None` where the network runs on Burn's operations.
    pub fn kernels(&self) -> Option<&'static str> {
        match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Packed(packed) => Some(packed.instructions()),
            Engine::Folded(_) => None,
        }
    }

    /// One logit a class, as [`Xception::forward`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for an empty batch, wrong channels, a picture below 71 x 71, or a network without classifier.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        if !self.config.include_top {
            return Err(InputError::NoTop);
        }
        check(&self.config, &images)?;
        Ok(match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Packed(packed) => packed.logits(images),
            Engine::Folded(folded) => folded.logits(images),
        })
    }

    /// One probability a class: the softmax of [`forward`](Self::forward).
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`, rows sum to 1
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn predict(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        Ok(softmax(self.forward(images)?, 1))
    }

    /// The pooled features, as [`Xception::embed`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, 2048]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input, or a network without pooling.
    pub fn embed(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        if self.config.pooling == Pooling::None {
            return Err(InputError::NoPooling);
        }
        check(&self.config, &images)?;
        Ok(match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Packed(packed) => packed.embedding(images),
            Engine::Folded(folded) => folded.embedding(images),
        })
    }

    /// The last feature map, as [`Xception::feature_map`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, 2048, height', width']`, 10 x 10 for 299 x 299
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn feature_map(&self, images: Tensor<4>) -> Result<Tensor<4>, InputError> {
        check(&self.config, &images)?;
        Ok(match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Packed(packed) => packed.features(images),
            Engine::Folded(folded) => folded.features(images),
        })
    }
}

/// A kernel `[channels_out, channels_in, height, width]` and a bias in place of a convolution and its batch norm.
struct Fold {
    shape: [usize; 4],
    weight: Vec<f32>,
    bias: Vec<f32>,
}

impl Fold {
    fn new(conv: &Conv2d, bn: &BatchNorm) -> Self {
        let weight = conv.weight.val();
        Self::of_kernel(weight.dims(), host(&weight), bn)
    }

    /// `bn(conv(x))` is `gamma / sqrt(variance + epsilon) * (conv(x) - mean) + beta`; the factor goes into the kernel.
    fn of_kernel(shape: [usize; 4], mut weight: Vec<f32>, bn: &BatchNorm) -> Self {
        let [gamma, beta, mean, variance] = [
            bn.gamma.val(),
            bn.beta.val(),
            bn.running_mean.value(),
            bn.running_var.value(),
        ]
        .map(|tensor| host(&tensor));

        let per_output = (weight.len() / shape[0]).max(1);
        let mut bias = Vec::with_capacity(shape[0]);
        for (output, kernel) in weight.chunks_exact_mut(per_output).enumerate() {
            let scale = f64::from(gamma[output]) / (f64::from(variance[output]) + bn.epsilon).sqrt();
            for value in kernel {
                *value = (f64::from(*value) * scale) as f32;
            }
            bias.push((f64::from(beta[output]) - f64::from(mean[output]) * scale) as f32);
        }
        Self { shape, weight, bias }
    }

    fn of(layer: &ConvNorm) -> Self {
        Self::new(&layer.conv, &layer.bn)
    }

    /// As a convolution on Burn's operations.
    fn on(self, device: &Device, dtype: DType, options: ConvOptions<2>) -> Conv {
        let outputs = [self.bias.len()];
        Conv {
            weight: Tensor::from_data(TensorData::new(self.weight, self.shape), (device, dtype)),
            bias: Some(Tensor::from_data(TensorData::new(self.bias, outputs), (device, dtype))),
            options,
        }
    }
}

/// A tensor's values in C order.
fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    let data = tensor.to_data().convert::<f32>();
    data.try_into_vec().expect("converted to f32 the line before")
}

/// The folded network on Burn's operations.
#[derive(Debug)]
struct Folded {
    config: XceptionConfig,
    stem: Vec<Conv>,
    blocks: Vec<FoldedBlock>,
    head: Option<Head>,
}

#[derive(Debug)]
struct Conv {
    weight: Tensor<4>,
    bias: Option<Tensor<1>>,
    options: ConvOptions<2>,
}

impl Conv {
    fn forward(&self, x: Tensor<4>) -> Tensor<4> {
        conv2d(x, self.weight.clone(), self.bias.clone(), self.options.clone())
    }
}

#[derive(Debug)]
struct FoldedBlock {
    stage: Stage,
    /// The halves of every separable convolution, in the order of computation.
    layers: Vec<[Conv; 2]>,
    shortcut: Option<Conv>,
}

fn pointwise_options(stride: usize) -> ConvOptions<2> {
    ConvOptions::new([stride; 2], [0; 2], [1; 2], 1)
}

impl Folded {
    fn new(model: &Xception) -> Self {
        let config = model.config().clone();
        let weight = model.block1.conv1.conv.weight.val();
        let (device, dtype) = (weight.device(), weight.dtype());

        let stem = [&model.block1.conv1, &model.block1.conv2]
            .into_iter()
            .zip(&model.block1.stage().layers)
            .map(|(layer, row)| Fold::of(layer).on(&device, dtype, pointwise_options(stride(row.kind))))
            .collect();
        let blocks = blocks(model)
            .map(|block| FoldedBlock {
                stage: block.stage().clone(),
                layers: layers(block)
                    .map(|(layer, dilation)| {
                        let channels = layer.depthwise.weight.val().dims()[0];
                        let wide = ConvOptions::new([1; 2], [dilation; 2], [dilation; 2], channels);
                        let (first, second, options) = match config.order {
                            SeparableOrder::DepthwiseFirst => {
                                (&layer.depthwise, &layer.pointwise, [wide, pointwise_options(1)])
                            }
                            SeparableOrder::PointwiseFirst => {
                                (&layer.pointwise, &layer.depthwise, [pointwise_options(1), wide])
                            }
                        };
                        let [first_options, second_options] = options;
                        let first = Conv {
                            weight: first.weight.val(),
                            bias: None,
                            options: first_options,
                        };
                        [first, Fold::new(second, &layer.bn).on(&device, dtype, second_options)]
                    })
                    .collect(),
                shortcut: block
                    .residual
                    .as_ref()
                    .zip(projection(block.stage()))
                    .map(|(layer, stride)| Fold::of(layer).on(&device, dtype, pointwise_options(stride))),
            })
            .collect();
        Self {
            config,
            stem,
            blocks,
            head: model.head.clone(),
        }
    }

    fn features(&self, images: Tensor<4>) -> Tensor<4> {
        let x = self.stem.iter().fold(images.inner(), |x, conv| relu(conv.forward(x)));
        self.blocks.iter().fold(x, |x, block| self.block(block, x))
    }

    fn block(&self, block: &FoldedBlock, input: Tensor<4>) -> Tensor<4> {
        let stage = &block.stage;
        let shortcut = match stage.shortcut {
            Shortcut::Absent => None,
            Shortcut::Identity => Some(input.clone()),
            Shortcut::Projection { .. } => block.shortcut.as_ref().map(|conv| conv.forward(input.clone())),
        };
        let mut x = input;
        for ([first, second], row) in block.layers.iter().zip(&stage.layers) {
            if row.relu == Relu::Before {
                x = relu(x);
            }
            x = first.forward(x);
            x = match self.config.intermediate_activation {
                IntermediateActivation::None => x,
                IntermediateActivation::Relu => relu(x),
                IntermediateActivation::Elu => elu(x, 1.0),
            };
            x = second.forward(x);
            if row.relu == Relu::After {
                x = relu(x);
            }
        }
        if let Some(pool) = stage.pool {
            x = max_pool(x, pool, self.config.variant);
        }
        match shortcut {
            Some(shortcut) => x + shortcut,
            None => x,
        }
    }

    fn embedding(&self, images: Tensor<4>) -> Tensor<2> {
        let x = self.features(images);
        let x = match self.config.pooling {
            Pooling::Max => x.max_dims(&[2, 3]),
            Pooling::Average | Pooling::None => x.mean_dims(&[2, 3]),
        };
        x.flatten(1, 3)
    }

    fn logits(&self, images: Tensor<4>) -> Tensor<2> {
        let embedding = self.embedding(images);
        match &self.head {
            Some(head) => head.logits(embedding),
            None => embedding,
        }
    }
}

/// Blocks 2 to 14.
fn blocks(model: &Xception) -> impl Iterator<Item = &Block> {
    [&model.entry, &model.middle, &model.exit]
        .into_iter()
        .flat_map(crate::flow::Flow::blocks)
}

/// The separable convolutions of a block with their dilations.
fn layers(block: &Block) -> impl Iterator<Item = (&SeparableConvNorm, usize)> {
    [Some(&block.sepconv1), Some(&block.sepconv2), block.sepconv3.as_ref()]
        .into_iter()
        .flatten()
        .zip(&block.stage().layers)
        .map(|(layer, row)| match row.kind {
            LayerKind::Separable { dilation } => (layer, dilation),
            LayerKind::Conv { .. } => (layer, 1),
        })
}

fn stride(kind: LayerKind) -> usize {
    match kind {
        LayerKind::Conv { stride } => stride,
        LayerKind::Separable { .. } => 1,
    }
}

/// The stride of a block's projecting shortcut, if it has one.
fn projection(stage: &Stage) -> Option<usize> {
    match stage.shortcut {
        Shortcut::Projection { stride } => Some(stride),
        Shortcut::Absent | Shortcut::Identity => None,
    }
}
