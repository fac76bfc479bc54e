//! `MobileNet` (arXiv 1704.04861, table 1; `ReLU6` as in Keras) with made-up weights.

use kernels::{Activation, Convolution, Error, Network, Padding, Separable, Value};

use super::head::with_head;

/// The network, the names of its layers, and its logits. Every layer takes its weights from the first of `numbers`, of
/// which there are at least `1024 * 1024`.
pub fn mobilenet(mut network: Network, numbers: &[f32]) -> Result<(Network, Vec<String>, Value), Error> {
    let some = |count: usize| &numbers[..count];
    let mut names = vec!["channels last".to_owned(), "conv1".to_owned()];
    let activation = Activation::Relu6;
    let mut x = network.convolution(Convolution {
        bias: Some(some(32)),
        stride: [2; 2],
        padding: Padding::Same,
        activation,
        ..Convolution::new(network.input(), some(32 * 27), 32, [3; 2])
    })?;
    let mut channels = 32;
    let rows = [
        (64, 1),
        (128, 2),
        (128, 1),
        (256, 2),
        (256, 1),
        (512, 2),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (512, 1),
        (1024, 2),
        (1024, 1),
    ];
    for (index, (width, stride)) in rows.into_iter().enumerate() {
        if stride == 1 {
            x = network.separable(Separable {
                depthwise_bias: Some(some(channels)),
                bias: Some(some(width)),
                between: activation,
                after: activation,
                ..Separable::new(x, some(9 * channels), some(channels * width), width)
            })?;
            names.push(format!("separable_{}", index + 1));
        } else {
            let narrow = network.convolution(Convolution {
                bias: Some(some(channels)),
                stride: [2; 2],
                padding: Padding::Same,
                groups: channels,
                activation,
                ..Convolution::new(x, some(9 * channels), channels, [3; 2])
            })?;
            x = network.convolution(Convolution {
                bias: Some(some(width)),
                activation,
                ..Convolution::new(narrow, some(channels * width), width, [1; 2])
            })?;
            names.extend([format!("depthwise_{}", index + 1), format!("pointwise_{}", index + 1)]);
        }
        channels = width;
    }
    with_head((network, names), (x, 1024), numbers)
}
