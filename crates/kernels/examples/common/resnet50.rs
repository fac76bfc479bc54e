//! ResNet-50 (arXiv 1512.03385, table 1; strides in the 3 x 3 convolutions, as in torchvision) with made-up weights.

use kernels::{Activation, Convolution, Error, MaxPool, Network, Padding, Value};

use super::head::with_head;

/// The network, the names of its layers, and its logits. Every layer takes its weights from the first of `numbers`, of
/// which there are at least `512 * 512 * 9`.
pub fn resnet50(mut network: Network, numbers: &[f32]) -> Result<(Network, Vec<String>, Value), Error> {
    let some = |count: usize| &numbers[..count];
    let mut names = vec!["channels last".to_owned()];
    let stem = network.convolution(Convolution {
        bias: Some(some(64)),
        stride: [2; 2],
        padding: Padding::symmetric(3),
        activation: Activation::Relu,
        ..Convolution::new(network.input(), some(64 * 3 * 49), 64, [7; 2])
    })?;
    let mut x = network.max_pool(MaxPool {
        stride: [2; 2],
        padding: Padding::symmetric(1),
        ..MaxPool::new(stem, [3; 2])
    })?;
    names.extend(["conv1", "pool1"].map(str::to_owned));
    let mut channels = 64;
    for (stage, (blocks, width)) in [(3, 64), (4, 128), (6, 256), (3, 512)].into_iter().enumerate() {
        for block in 0..blocks {
            let stride = [if block == 0 && stage > 0 { 2 } else { 1 }; 2];
            let name = |layer: &str| format!("conv{}_{}_{layer}", stage + 2, block + 1);
            let narrow = network.convolution(Convolution {
                bias: Some(some(width)),
                activation: Activation::Relu,
                ..Convolution::new(x, some(width * channels), width, [1; 2])
            })?;
            names.push(name("1x1"));
            let wide = network.convolution(Convolution {
                bias: Some(some(width)),
                stride,
                padding: Padding::symmetric(1),
                activation: Activation::Relu,
                ..Convolution::new(narrow, some(width * width * 9), width, [3; 2])
            })?;
            names.push(name("3x3"));
            let shortcut = if block == 0 {
                names.push(name("shortcut"));
                network.convolution(Convolution {
                    bias: Some(some(4 * width)),
                    stride,
                    ..Convolution::new(x, some(4 * width * channels), 4 * width, [1; 2])
                })?
            } else {
                x
            };
            x = network.convolution(Convolution {
                bias: Some(some(4 * width)),
                residual: Some(shortcut),
                activation: Activation::Relu,
                ..Convolution::new(wide, some(4 * width * width), 4 * width, [1; 2])
            })?;
            names.push(name("expand"));
            channels = 4 * width;
        }
    }
    with_head((network, names), (x, 2048), numbers)
}
