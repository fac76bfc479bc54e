use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Device, Tensor};

use crate::config::{LayerKind, Stage, XceptionConfig};
use crate::separable::ConvNorm;
use crate::watch::Watch;

/// Block 1: two ordinary 3 x 3 convolutions without padding, the first with stride 2.
#[derive(Module, Debug)]
pub struct Stem {
    /// `block1_conv1`.
    pub conv1: ConvNorm,
    /// `block1_conv2`.
    pub conv2: ConvNorm,
    #[module(skip)]
    stage: Stage,
}

impl Stem {
    pub(crate) fn new(stage: &Stage, config: &XceptionConfig, device: &Device) -> Self {
        let conv = |index: usize| {
            let layer = &stage.layers[index];
            let LayerKind::Conv { stride } = layer.kind else {
                unreachable!("the table's first row holds ordinary convolutions")
            };
            ConvNorm::new(layer.channels, 3, stride, config.variant, device)
        };
        Self {
            conv1: conv(0),
            conv2: conv(1),
            stage: stage.clone(),
        }
    }

    /// The row of the architecture's table that it was made from.
    pub fn stage(&self) -> &Stage {
        &self.stage
    }

    pub(crate) fn forward(&self, mut x: Tensor<4>, watch: &mut Watch<'_>) -> Tensor<4> {
        for (conv, layer) in [&self.conv1, &self.conv2].into_iter().zip(&self.stage.layers) {
            x = relu(conv.forward(x, format_args!("{}", layer.name), watch));
            watch.see(format_args!("{}_act", layer.name), &mut x);
        }
        watch.see(format_args!("{}", self.stage.name), &mut x);
        x
    }
}
