use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::module::max_pool2d;
use burn::tensor::ops::MaxPoolOptions;
use burn::tensor::{Device, Tensor};

use crate::config::{LayerKind, Pool, Relu, Shortcut, Stage, Variant, XceptionConfig};
use crate::separable::{ConvNorm, SeparableConvNorm};
use crate::watch::Watch;

/// Blocks 2 to 14: two or three separable convolutions, a pooling in some, a shortcut around most.
#[derive(Module, Debug)]
pub struct Block {
    /// `blockN_sepconv1`.
    pub sepconv1: SeparableConvNorm,
    /// `blockN_sepconv2`.
    pub sepconv2: SeparableConvNorm,
    /// `blockN_sepconv3`, in the middle flow.
    pub sepconv3: Option<SeparableConvNorm>,
    /// The projecting shortcut of blocks 2, 3, 4 and 13. Keras gives its convolution and norm automatic names
    /// (`conv2d_2`, `batch_normalization_4`); here they are `blockN_residual` and `blockN_residual_bn`.
    pub residual: Option<ConvNorm>,
    #[module(skip)]
    stage: Stage,
    #[module(skip)]
    variant: Variant,
}

impl Block {
    pub(crate) fn new(stage: &Stage, config: &XceptionConfig, device: &Device) -> Self {
        let sepconv = |index: usize| {
            stage.layers.get(index).map(|layer| {
                let LayerKind::Separable { dilation } = layer.kind else {
                    unreachable!("the table's rows from block 2 on hold separable convolutions")
                };
                SeparableConvNorm::new(layer.channels, dilation, config, device)
            })
        };
        let (Some(sepconv1), Some(sepconv2)) = (sepconv(0), sepconv(1)) else {
            unreachable!("the table's rows hold two or three convolutions")
        };
        Self {
            sepconv1,
            sepconv2,
            sepconv3: sepconv(2),
            residual: match stage.shortcut {
                Shortcut::Projection { stride } => Some(ConvNorm::new(
                    [stage.in_channels(), stage.out_channels()],
                    1,
                    stride,
                    config.variant,
                    device,
                )),
                Shortcut::Identity | Shortcut::Absent => None,
            },
            stage: stage.clone(),
            variant: config.variant,
        }
    }

    /// The row of the architecture's table that this block was made from.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(crate) fn forward(&self, input: Tensor<4>, watch: &mut Watch<'_>) -> Tensor<4> {
        let name = &self.stage.name;
        let shortcut = match self.stage.shortcut {
            Shortcut::Absent => None,
            Shortcut::Identity => Some(input.clone()),
            Shortcut::Projection { .. } => self
                .residual
                .as_ref()
                .map(|residual| residual.forward(input.clone(), format_args!("{name}_residual"), watch)),
        };

        let convs = [Some(&self.sepconv1), Some(&self.sepconv2), self.sepconv3.as_ref()];
        let mut x = input;
        for (conv, layer) in convs.into_iter().flatten().zip(&self.stage.layers) {
            if layer.relu == Relu::Before {
                x = relu(x);
                watch.see(format_args!("{}_act", layer.name), &mut x);
            }
            x = conv.forward(x, format_args!("{}", layer.name), watch);
            if layer.relu == Relu::After {
                x = relu(x);
                watch.see(format_args!("{}_act", layer.name), &mut x);
            }
        }
        if let Some(pool) = self.stage.pool {
            x = max_pool(x, pool, self.variant);
            watch.see(format_args!("{name}_pool"), &mut x);
        }
        if let Some(shortcut) = shortcut {
            x = x + shortcut;
        }
        watch.see(format_args!("{name}"), &mut x);
        x
    }
}

/// 3 x 3 max pooling; what is padded never wins.
pub(crate) fn max_pool(x: Tensor<4>, pool: Pool, variant: Variant) -> Tensor<4> {
    let [_, _, height, width] = x.dims();
    max_pool2d(
        x,
        MaxPoolOptions::new([3, 3])
            .with_stride([pool.stride; 2])
            .with_dilation([pool.dilation; 2])
            .with_padding_pairs([pool_padding(height, pool, variant), pool_padding(width, pool, variant)]),
    )
}

/// Padding before and after along one side.
///
/// Keras's `same` wants `ceil(size / stride)` outputs and puts the odd pixel at the end
/// (`tensorflow/core/framework/kernel_shape_util.cc`, `GetWindowedOutputSizeVerbose`).
fn pool_padding(size: usize, pool: Pool, variant: Variant) -> (usize, usize) {
    let Pool { stride, dilation } = pool;
    match variant {
        Variant::Torch => (dilation, dilation),
        Variant::Keras => {
            let reach = 2 * dilation + 1;
            let needed = (size.div_ceil(stride) - 1) * stride + reach;
            let total = needed.saturating_sub(size);
            (total / 2, total - total / 2)
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keras_puts_the_odd_pixel_at_the_end() {
        let pool = Pool { stride: 2, dilation: 1 };
        assert_eq!(pool_padding(74, pool, Variant::Keras), (0, 1));
        assert_eq!(pool_padding(37, pool, Variant::Keras), (1, 1));
        assert_eq!(pool_padding(74, pool, Variant::Torch), (1, 1));
    }

    #[test]
    fn a_pool_that_keeps_the_resolution_pads_on_both_sides() {
        for dilation in [1, 2] {
            let pool = Pool { stride: 1, dilation };
            assert_eq!(pool_padding(19, pool, Variant::Keras), (dilation, dilation));
            assert_eq!(pool_padding(20, pool, Variant::Torch), (dilation, dilation));
        }
    }
}
