//! VGG-16 (arXiv 1409.1556, table 1, column D) up to the last pooling, and its fully-connected layers on the mean of
//! the last map: a network of the engine has no flattening. Made-up weights.

use kernels::{Activation, Convolution, Error, MaxPool, Network, Padding, Value};

use super::head::with_head;

/// Convolutions and channels of every block.
const BLOCKS: [(usize, usize); 5] = [(2, 64), (2, 128), (3, 256), (3, 512), (3, 512)];

/// The network, the names of its layers, and its logits. Every layer takes its weights from the first of `numbers`, of
/// which there are at least `512 * 512 * 9`.
pub fn vgg16(mut network: Network, numbers: &[f32]) -> Result<(Network, Vec<String>, Value), Error> {
    let some = |count: usize| &numbers[..count];
    let mut names = vec!["channels last".to_owned()];
    let (mut x, mut channels) = (network.input(), 3);
    for (block, (layers, width)) in (1..).zip(BLOCKS) {
        for layer in 1..=layers {
            x = network.convolution(Convolution {
                bias: Some(some(width)),
                padding: Padding::Same,
                activation: Activation::Relu,
                ..Convolution::new(x, some(width * channels * 9), width, [3; 2])
            })?;
            names.push(format!("block{block}_conv{layer}"));
            channels = width;
        }
        x = network.max_pool(MaxPool::new(x, [2; 2]))?;
        names.push(format!("block{block}_pool"));
    }
    with_head((network, names), (x, 512), numbers)
}
