//! Xception (arXiv 1610.02357, figure 5) with made-up weights.

use kernels::{Activation, Convolution, Error, MaxPool, Network, Padding, Projection, Separable, Value};

use super::head::with_head;

/// The network, the names of its layers, and its logits. Every layer takes its weights from the first of `numbers`, of
/// which there are at least `2048 * 1536`.
pub fn xception(mut network: Network, numbers: &[f32]) -> Result<(Network, Vec<String>, Value), Error> {
    let some = |count: usize| &numbers[..count];
    let relu = |yes| if yes { Activation::Relu } else { Activation::None };
    let mut names = vec!["channels last".to_owned()];

    let mut x = network.input();
    let mut channels = 3;
    for (name, outputs, stride) in [("block1_conv1", 32, 2), ("block1_conv2", 64, 1)] {
        x = network.convolution(Convolution {
            bias: Some(some(outputs)),
            stride: [stride; 2],
            activation: Activation::Relu,
            ..Convolution::new(x, some(outputs * channels * 9), outputs, [3; 2])
        })?;
        names.push(name.to_owned());
        channels = outputs;
    }

    let blocks: [&[usize]; 13] = [
        &[128, 128],
        &[256, 256],
        &[728, 728],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728, 1024],
        &[1536, 2048],
    ];
    for (index, widths) in blocks.into_iter().enumerate() {
        let number = index + 2;
        let (input, inputs) = (x, channels);
        let pooled = matches!(number, 2..=4 | 13);
        for (layer, &width) in widths.iter().enumerate() {
            x = network.separable(Separable {
                bias: Some(some(width)),
                residual: (layer == 2).then_some(input),
                before: relu(layer == 0 && (3..14).contains(&number)),
                after: relu(number == 14 || layer + 1 < widths.len()),
                ..Separable::new(x, some(9 * channels), some(channels * width), width)
            })?;
            names.push(format!("block{number}_sepconv{}", layer + 1));
            channels = width;
        }
        if pooled {
            x = network.max_pool(MaxPool {
                stride: [2; 2],
                padding: Padding::Same,
                projection: Some(Projection {
                    input,
                    weights: some(inputs * channels),
                    bias: Some(some(channels)),
                }),
                ..MaxPool::new(x, [3; 2])
            })?;
            names.push(format!("block{number}_pool"));
        }
    }
    with_head((network, names), (x, 2048), numbers)
}
