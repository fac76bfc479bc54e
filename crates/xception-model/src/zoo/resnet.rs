//! ResNet, first version (He 2015, arXiv 1512.03385), as `keras/src/applications/resnet.py` builds it: the first 1 x 1
//! convolution of a block has the stride, every convolution has a bias, and the paddings are layers of their own.

use alloc::format;
use alloc::vec::Vec;

use burn::config::Config;
use graph::{Activation, BatchNorm, Builder, Conv, Graph, Level, NewLayer, NodeId, Op, Padding, Pool, Taps};

use super::head::{Head, Pooling};
use super::limits::Limits;
use crate::error::ConfigError;

/// Smallest height and width, in pixels (`min_size` in `resnet.py`).
const MIN_INPUT: usize = 32;
/// `layers.BatchNormalization(epsilon=1.001e-5)` in `resnet.py`.
const EPSILON: f64 = 1.001e-5;
/// 1 minus Keras's momentum of 0.99.
const MOMENTUM: f64 = 0.01;
/// The ratio of a block's output channels to its middle channels (paper, Table 1).
const EXPANSION: usize = 4;

/// The network's options. `ResNetConfig::new()` is `keras.applications.ResNet50`.
///
/// ```
/// use xception_model::ResNetConfig;
///
/// let resnet101 = ResNetConfig::new().with_blocks([3, 4, 23, 3]);
/// assert_eq!(resnet101.graph().num_params(), 44_707_176);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct ResNetConfig {
    /// Classes of the classifier.
    #[config(default = 1000)]
    pub num_classes: usize,
    /// Channels of the input picture.
    #[config(default = 3)]
    pub in_channels: usize,
    /// Whether the network ends in a classifier.
    #[config(default = true)]
    pub include_top: bool,
    /// How the last feature map becomes one vector.
    #[config(default = "Pooling::Average")]
    pub pooling: Pooling,
    /// Widths of fully-connected ReLU layers between pooling and classifier.
    #[config(default = "Vec::new()")]
    pub hidden_layers: Vec<usize>,
    /// Probability of dropping a feature before the classifier in training.
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Blocks of the four stacks (paper, Table 1): 3, 4, 6, 3 in ResNet-50; 3, 4, 23, 3 in 101; 3, 8, 36, 3 in 152.
    #[config(default = "[3, 4, 6, 3]")]
    pub blocks: [usize; 4],
    /// Channels of the first convolution.
    #[config(default = 64)]
    pub stem: usize,
    /// Channels of the middle of each stack's blocks; a block's output has four times as many.
    #[config(default = "[64, 128, 256, 512]")]
    pub widths: [usize; 4],
}

impl Default for ResNetConfig {
    fn default() -> Self {
        Self::new()
    }
}

impl ResNetConfig {
    /// Checks that the options describe a network.
    ///
    /// # Errors
    ///
    /// Names the first option that is wrong.
    pub fn validate(&self) -> Result<(), ConfigError> {
        Limits::widths("stem", &[self.stem])?;
        Limits::widths("widths", &self.widths)?;
        Limits::widths("in_channels", &[self.in_channels])?;
        for blocks in self.blocks {
            Limits::widths("blocks", &[blocks])?;
            Limits::blocks("blocks", blocks)?;
        }
        self.head().validate()
    }

    /// Length of the embedding: the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        EXPANSION * self.widths[3]
    }

    pub(super) fn head(&self) -> Head<'_> {
        Head {
            pooling: self.pooling,
            include_top: self.include_top,
            hidden_layers: &self.hidden_layers,
            dropout: self.dropout,
            num_classes: self.num_classes,
        }
    }

    /// A network without a head that may have made this graph, guessed from its convolutions.
    pub(super) fn candidates(graph: &Graph) -> Option<Self> {
        let conv_before = |mut id: NodeId| {
            loop {
                let node = graph.node(id);
                match &node.op {
                    Op::Conv(conv) => return Some(conv),
                    Op::BatchNorm(_) | Op::Activation(_) => id = *node.inputs.first()?,
                    _ => return None,
                }
            }
        };
        let mut stem = None;
        // For each block, the channels that it reads and those of its middle.
        let mut blocks = Vec::new();
        for node in &graph.nodes {
            match &node.op {
                Op::Conv(conv) if conv.kernel == [7; 2] && stem.is_none() => stem = Some(conv.channels),
                Op::Conv(conv) if conv.kernel == [3; 2] && conv.groups == 1 => {
                    let reduce = conv_before(*node.inputs.first()?)?;
                    blocks.push([reduce.channels[0], conv.channels[0]]);
                }
                _ => {}
            }
        }
        let [in_channels, stem] = stem?;
        Self::of_blocks(in_channels, stem, &blocks)
    }

    /// The network with these numbers of channels read and in the middle of each block, without a head.
    pub(crate) fn of_blocks(in_channels: usize, stem: usize, blocks: &[[usize; 2]]) -> Option<Self> {
        let mut stacks: Vec<(usize, usize)> = Vec::new();
        for &[input, width] in blocks {
            match stacks.last_mut() {
                Some((last, count)) if *last == width && input == EXPANSION * width => *count += 1,
                _ => stacks.push((width, 1)),
            }
        }
        let stacks: [(usize, usize); 4] = stacks.try_into().ok()?;
        Some(
            Self::new()
                .with_in_channels(in_channels)
                .with_stem(stem)
                .with_blocks(stacks.map(|(_, count)| count))
                .with_widths(stacks.map(|(width, _)| width))
                .with_include_top(false)
                .with_pooling(Pooling::None),
        )
    }

    /// The name for these numbers of blocks: `ResNet-50` for 3, 4, 6 and 3.
    fn title(&self) -> &'static str {
        match self.blocks {
            [3, 4, 6, 3] => "ResNet-50",
            [3, 4, 23, 3] => "ResNet-101",
            [3, 8, 36, 3] => "ResNet-152",
            _ => "ResNet",
        }
    }

    /// The network (paper, Table 1 and Figure 5).
    pub fn graph(&self) -> Graph {
        let (net, picture) = Builder::new(self.title(), self.in_channels);
        let mut draft = Draft { net };
        let mut levels = Vec::new();
        let mut level = |name: &str, stride, node| {
            levels.push(Level {
                name: name.into(),
                stride,
                node,
            });
        };

        draft.net.block("conv1");
        let x = draft.pad("conv1_pad", 3, picture);
        let conv = Conv::new([self.in_channels, self.stem], [7; 2], Padding::Valid).with_stride(2);
        let x = draft.conv_norm("conv1", "conv1", conv, x);
        let x = draft.relu("conv1_relu", x);
        level("stride_2", 2, x);
        let x = draft.pad("pool1_pad", 1, x);
        let pool = Op::Pool(Pool::max(3, 2, Padding::Valid));
        let mut x = draft.net.layer(NewLayer::new("pool1_pool"), pool, &[x]);

        let mut channels = self.stem;
        for (stack, (&blocks, &width)) in (2..).zip(self.blocks.iter().zip(&self.widths)) {
            for block in 1..=blocks {
                let stride = if block == 1 && stack > 2 { 2 } else { 1 };
                x = draft.block(stack, block, x, [channels, width], stride);
                channels = EXPANSION * width;
            }
            let stride = 1 << stack;
            level(&format!("stride_{stride}"), stride, x);
        }

        let Draft { mut net } = draft;
        let (embedding, logits) = self.head().build(&mut net, x, self.embedding_len(), "fc");
        let taps = Taps {
            feature_map: Some(x),
            embedding,
            logits,
            levels,
        };
        net.finish(taps, MIN_INPUT)
    }
}

/// A network under construction.
struct Draft {
    net: Builder,
}

impl Draft {
    /// A bottleneck block (paper, Figure 5): 1 x 1, 3 x 3 and 1 x 1 convolutions, added to the input or to a 1 x 1
    /// convolution of the input.
    fn block(
        &mut self,
        stack: usize,
        block: usize,
        input: NodeId,
        [channels, width]: [usize; 2],
        stride: usize,
    ) -> NodeId {
        let name = format!("conv{stack}_block{block}");
        let path = format!("conv{stack}.block{block}");
        self.net.block(&name);
        let output = EXPANSION * width;
        let pointwise = |channels| Conv::new(channels, [1; 2], Padding::Valid);
        let shortcut = match block {
            1 => {
                let conv = pointwise([channels, output]).with_stride(stride);
                self.conv_norm(&format!("{name}_0"), &format!("{path}.residual"), conv, input)
            }
            _ => input,
        };
        let convs = [
            pointwise([channels, width]).with_stride(stride),
            Conv::new([width; 2], [3; 2], Padding::Same),
            pointwise([width, output]),
        ];
        let mut x = input;
        for (number, conv) in (1..).zip(convs) {
            x = self.conv_norm(&format!("{name}_{number}"), &format!("{path}.conv{number}"), conv, x);
            if number < 3 {
                x = self.relu(&format!("{name}_{number}_relu"), x);
            }
        }
        let sum = self
            .net
            .layer(NewLayer::new(&format!("{name}_add")), Op::Add, &[shortcut, x]);
        self.relu(&format!("{name}_out"), sum)
    }

    /// A convolution with a bias, followed by its batch norm.
    fn conv_norm(&mut self, name: &str, path: &str, conv: Conv, x: NodeId) -> NodeId {
        let norm = BatchNorm {
            channels: conv.channels[1],
            epsilon: EPSILON,
            momentum: MOMENTUM,
            scale: true,
            center: true,
        };
        let layers = [("conv", Op::Conv(conv.with_bias(true))), ("bn", Op::BatchNorm(norm))];
        layers.into_iter().fold(x, |x, (part, op)| {
            let (name, path) = (format!("{name}_{part}"), format!("{path}.{part}"));
            self.net.layer(NewLayer::new(&name).at(&path), op, &[x])
        })
    }

    fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        self.net
            .layer(NewLayer::new(name), Op::Activation(Activation::Relu), &[x])
    }

    fn pad(&mut self, name: &str, pixels: usize, x: NodeId) -> NodeId {
        self.net.layer(NewLayer::new(name), Op::Pad { pads: [pixels; 4] }, &[x])
    }
}
