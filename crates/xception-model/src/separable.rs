use core::fmt::Arguments;

use burn::module::Module;
use burn::nn::conv::{Conv2d, Conv2dConfig};
use burn::nn::{BatchNorm, BatchNormConfig, Initializer, PaddingConfig2d};
use burn::tensor::activation::{elu, relu};
use burn::tensor::{Device, Tensor};

use crate::config::{IntermediateActivation, SeparableOrder, Variant, XceptionConfig};
use crate::watch::Watch;

fn batch_norm(channels: usize, variant: Variant, device: &Device) -> BatchNorm {
    BatchNormConfig::new(channels)
        .with_epsilon(variant.epsilon())
        .with_momentum(variant.momentum())
        .init(device)
}

/// Keras's default kernel initializer.
fn glorot_uniform() -> Initializer {
    Initializer::XavierUniform { gain: 1.0 }
}

/// A convolution without bias or padding, and its batch norm.
#[derive(Module, Debug)]
pub struct ConvNorm {
    /// The convolution, kernel `[channels_out, channels_in, height, width]`.
    pub conv: Conv2d,
    /// Its batch norm.
    pub bn: BatchNorm,
}

impl ConvNorm {
    pub(crate) fn new(channels: [usize; 2], kernel: usize, stride: usize, variant: Variant, device: &Device) -> Self {
        Self {
            conv: Conv2dConfig::new(channels, [kernel; 2])
                .with_stride([stride; 2])
                .with_bias(false)
                .with_initializer(glorot_uniform())
                .init(device),
            bn: batch_norm(channels[1], variant, device),
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>, name: Arguments<'_>, watch: &mut Watch<'_>) -> Tensor<4> {
        let mut x = self.conv.forward(x);
        watch.see(format_args!("{name}"), &mut x);
        let mut x = self.bn.forward(x);
        watch.see(format_args!("{name}_bn"), &mut x);
        x
    }
}

/// A 3 x 3 depthwise separable convolution without bias that keeps height and width, and its batch norm (paper,
/// section 2: "a depthwise convolution followed by a pointwise convolution").
#[derive(Module, Debug)]
pub struct SeparableConvNorm {
    /// One 3 x 3 kernel a channel, `[channels, 1, 3, 3]`.
    pub depthwise: Conv2d,
    /// The 1 x 1 convolution, `[channels_out, channels_in, 1, 1]`.
    pub pointwise: Conv2d,
    /// The batch norm on the output.
    pub bn: BatchNorm,
    #[module(skip)]
    activation: IntermediateActivation,
    #[module(skip)]
    order: SeparableOrder,
}

impl SeparableConvNorm {
    pub(crate) fn new(channels: [usize; 2], dilation: usize, config: &XceptionConfig, device: &Device) -> Self {
        let depthwise_channels = match config.order {
            SeparableOrder::DepthwiseFirst => channels[0],
            SeparableOrder::PointwiseFirst => channels[1],
        };
        let mut depthwise = Conv2dConfig::new([depthwise_channels; 2], [3, 3])
            .with_groups(depthwise_channels)
            .with_dilation([dilation; 2])
            .with_padding(PaddingConfig2d::Explicit(dilation, dilation, dilation, dilation))
            .with_bias(false)
            .init(device);
        // Keras takes a depthwise kernel `[3, 3, channels, 1]` for one from `channels` to 1 (`compute_fans` in
        // `keras/src/initializers/random_initializers.py`), Burn for one from 1 to 1.
        depthwise.weight = glorot_uniform().init_with(
            [depthwise_channels, 1, 3, 3],
            Some(9 * depthwise_channels),
            Some(9),
            device,
        );
        Self {
            depthwise,
            pointwise: Conv2dConfig::new(channels, [1, 1])
                .with_bias(false)
                .with_initializer(glorot_uniform())
                .init(device),
            bn: batch_norm(channels[1], config.variant, device),
            activation: config.intermediate_activation,
            order: config.order,
        }
    }

    pub(crate) fn forward(&self, x: Tensor<4>, name: Arguments<'_>, watch: &mut Watch<'_>) -> Tensor<4> {
        let (first, second) = match self.order {
            SeparableOrder::DepthwiseFirst => (&self.depthwise, &self.pointwise),
            SeparableOrder::PointwiseFirst => (&self.pointwise, &self.depthwise),
        };
        let x = first.forward(x);
        let x = match self.activation {
            IntermediateActivation::None => x,
            IntermediateActivation::Relu => relu(x),
            IntermediateActivation::Elu => elu(x, 1.0),
        };
        let mut x = second.forward(x);
        watch.see(format_args!("{name}"), &mut x);
        let mut x = self.bn.forward(x);
        watch.see(format_args!("{name}_bn"), &mut x);
        x
    }
}
