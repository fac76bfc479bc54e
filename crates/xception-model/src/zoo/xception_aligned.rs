//! The aligned Xception of DeepLab (Chen 2018, arXiv 1802.02611, section 4) as timm's `xception_aligned.py` builds it:
//! strided convolutions instead of pools, paddings equal on every side, and a batch norm between the two halves of a
//! separable convolution.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use burn::config::Config;
use graph::{Activation, BatchNorm, Builder, Conv, Graph, Level, NewLayer, NodeId, Op, Padding};

use super::design::{Design, Family, Published, Torch, head_options};
use super::head::{Backbone, Head, HeadNames, Pooling};
use super::limits::Limits;
use super::names::Tensors;
use crate::error::ConfigError;
use crate::input::Scaling;

/// Smallest height and width, in pixels: the last feature map has one.
const MIN_INPUT: usize = 32;
/// `nn.BatchNorm2d`'s default.
const MOMENTUM: f64 = 0.1;
/// Channels of the last feature map.
const FEATURES: usize = 2048;
/// Divisors of all widths.
const DIVISORS: [usize; 4] = [1, 2, 4, 8];

/// The network's options. `XceptionAlignedConfig::new()` is timm's `xception41`.
///
/// ```
/// use xception_model::XceptionAlignedConfig;
///
/// let xception65 = XceptionAlignedConfig::new().with_middle_blocks(16);
/// assert_eq!(xception65.embedding_len(), 2048);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct XceptionAlignedConfig {
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
    /// Repetitions of the middle flow's block: 8 in `xception41`, 16 in the others.
    #[config(default = 8)]
    pub middle_blocks: usize,
    /// Whether the entry flow has five blocks instead of three (`xception71`).
    #[config(default = false)]
    pub long_entry: bool,
    /// Whether norm and ReLU stand before the convolutions (`xception41p` and `xception65p`).
    #[config(default = false)]
    pub pre_activation: bool,
    /// Added to the variance before its square root: 1e-5 in `xception41p`, 1e-3 in the others.
    #[config(default = 1e-3)]
    pub epsilon: f64,
    /// Divides the channels of every convolution: 1, 2, 4 or 8.
    #[config(default = 1)]
    pub width_divisor: usize,
}

/// A block: output channels of its three separable convolutions, and its stride.
struct Block {
    channels: [usize; 3],
    stride: usize,
}

impl XceptionAlignedConfig {
    /// Length of the embedding: the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        FEATURES / self.width_divisor
    }

    fn title(&self) -> &'static str {
        match (self.middle_blocks, self.long_entry, self.pre_activation) {
            (8, false, false) => "Xception-41",
            (16, false, false) => "Xception-65",
            (16, true, false) => "Xception-71",
            (8, false, true) => "Xception-41p",
            (16, false, true) => "Xception-65p",
            _ => "Aligned Xception",
        }
    }

    /// The blocks in order (`xception41` to `xception71` in `xception_aligned.py`).
    fn blocks(&self) -> Vec<Block> {
        let block = |channels: [usize; 3], stride| Block {
            channels: channels.map(|channels| channels / self.width_divisor),
            stride,
        };
        let entry: &[(usize, usize)] = if self.long_entry {
            &[(128, 2), (256, 1), (256, 2), (728, 1), (728, 2)]
        } else {
            &[(128, 2), (256, 2), (728, 2)]
        };
        let entry = entry.iter().map(|(channels, stride)| block([*channels; 3], *stride));
        let middle = (0..self.middle_blocks).map(|_| block([728; 3], 1));
        let exit = [block([728, 1024, 1024], 2), block([1536, 1536, 2048], 1)];
        entry.chain(middle).chain(exit).collect()
    }

    /// The network with this number of blocks; other options are defaults.
    fn of_count(blocks: usize, pre_activation: bool) -> Result<Self, String> {
        let is_it = |published: &Published<Self>| {
            published.network.pre_activation == pre_activation && published.network.blocks().len() == blocks
        };
        let found = Self::published().into_iter().find(is_it);
        found
            .map(|published| published.network)
            .ok_or_else(|| format!("it has {blocks} blocks, and timm's aligned Xceptions have 13, 21 or 23"))
    }

    /// The network without a head that may have made this graph, guessed from its depthwise convolutions.
    fn from_operations(graph: &Graph) -> Option<Vec<Self>> {
        let convs = || {
            graph.nodes.iter().filter_map(|node| match &node.op {
                Op::Conv(conv) => Some(conv),
                _ => None,
            })
        };
        let first = convs().next()?;
        let divisor = DIVISORS.into_iter().find(|divisor| 32 / divisor == first.channels[1])?;
        let depthwise = convs().filter(|conv| conv.is_depthwise()).count();
        let epsilon = graph.nodes.iter().find_map(|node| match &node.op {
            Op::BatchNorm(norm) => Some(norm.epsilon),
            _ => None,
        });
        let networks = Self::published().into_iter().filter_map(|published| {
            let network = published.network;
            (3 * network.blocks().len() == depthwise).then(|| {
                let epsilon = epsilon.unwrap_or(network.epsilon);
                network
                    .with_in_channels(first.channels[0])
                    .with_width_divisor(divisor)
                    .with_epsilon(epsilon)
                    .with_include_top(false)
                    .with_pooling(Pooling::None)
            })
        });
        Some(networks.collect())
    }
}

impl Design for XceptionAlignedConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        Limits::widths("in_channels", &[self.in_channels])?;
        Limits::blocks("middle_blocks", self.middle_blocks)?;
        if !DIVISORS.contains(&self.width_divisor) {
            return Err(ConfigError::Divisor(self.width_divisor, &DIVISORS));
        }
        if !(self.epsilon > 0.0 && self.epsilon < 1.0) {
            return Err(ConfigError::Epsilon(self.epsilon));
        }
        self.head().validate()
    }

    /// The network (`XceptionAligned` in `xception_aligned.py`).
    fn graph(&self) -> Graph {
        let (net, picture) = Builder::new(self.title(), self.in_channels);
        let mut draft = Draft {
            net,
            epsilon: self.epsilon,
        };
        let mut levels = Vec::new();
        let mut level = |stride: usize, node| {
            levels.push(Level {
                name: format!("stride_{stride}"),
                stride,
                node,
            });
        };

        let [first, mut channels] = [32, 64].map(|width| width / self.width_divisor);
        draft.net.block("stem");
        let x = draft.conv(
            "stem_conv1",
            "stem.0.conv",
            [self.in_channels, first],
            ([3; 2], 2),
            picture,
        );
        let x = draft.norm("stem_conv1_bn", "stem.0.bn", first, x);
        let x = draft.relu("stem_conv1_relu", x);
        let torch = if self.pre_activation { "stem.1" } else { "stem.1.conv" };
        let mut x = draft.conv("stem_conv2", torch, [first, channels], ([3; 2], 1), x);
        if !self.pre_activation {
            x = draft.norm("stem_conv2_bn", "stem.1.bn", channels, x);
            x = draft.relu("stem_conv2_relu", x);
        }

        let blocks = self.blocks();
        let mut stride = 2;
        for (index, block) in blocks.iter().enumerate() {
            if block.stride > 1 {
                level(stride, x);
                stride *= block.stride;
            }
            let is_last = index + 1 == blocks.len();
            x = if self.pre_activation {
                draft.pre_activated_block(index, is_last, channels, block, x)
            } else {
                draft.block(index, is_last, channels, block, x)
            };
            channels = block.channels[2];
        }
        if self.pre_activation {
            x = draft.relu("last_relu", x);
        }
        level(stride, x);

        let names = HeadNames {
            torch: |index, hidden| {
                if index == hidden {
                    "head.fc".into()
                } else {
                    String::new()
                }
            },
            ..HeadNames::OWN
        };
        let backbone = Backbone {
            net: draft.net,
            feature_map: x,
            channels,
            levels,
            min_input: MIN_INPUT,
        };
        backbone.with_head(&self.head(), &names)
    }

    head_options!();
}

impl Family for XceptionAlignedConfig {
    const NAME: &'static str = "xception-aligned";

    fn published() -> Vec<Published<Self>> {
        let published = |name, paper, network| Published {
            name,
            paper,
            keras: None,
            network,
            size: 299,
            scaling: Scaling::Tf,
        };
        let plain = Self::new();
        let pre = plain.clone().with_pre_activation(true);
        Vec::from([
            published("xception41", "Chen 2018, timm", plain.clone()),
            published("xception65", "Chen 2018, timm", plain.clone().with_middle_blocks(16)),
            published(
                "xception71",
                "Chen 2018, timm",
                plain.with_middle_blocks(16).with_long_entry(true),
            ),
            published(
                "xception41p",
                "timm, activation before the convolutions",
                pre.clone().with_epsilon(1e-5),
            ),
            published(
                "xception65p",
                "timm, activation before the convolutions",
                pre.with_middle_blocks(16),
            ),
        ])
    }

    fn candidates(graph: &Graph) -> Vec<Self> {
        Self::from_operations(graph).unwrap_or_default()
    }

    fn of_tensors(tensors: &Tensors<'_>) -> Option<Result<Self, String>> {
        if !tensors.contains("stem.conv1.weight") {
            return None;
        }
        let found = || {
            let depthwise = |block: &usize| tensors.contains(&format!("block{block}.sepconv1.depthwise.weight"));
            let blocks = (1..=Limits::BLOCKS).take_while(depthwise).count();
            let [in_channels, stem] = tensors.channels("stem.conv1")?;
            let divisor = DIVISORS.into_iter().find(|divisor| 32 / divisor == stem);
            let divisor =
                divisor.ok_or_else(|| format!("no aligned Xception has {stem} channels in its first layer"))?;
            let pre_activation = !tensors.contains("stem.conv2_bn.gamma");
            Ok(Self::of_count(blocks, pre_activation)?
                .with_in_channels(in_channels)
                .with_width_divisor(divisor))
        };
        Some(found())
    }

    fn torch() -> Option<Torch<Self>> {
        Some(Torch {
            published: Self::new(),
            of_names: of_torch_names,
            renamed: &[],
            unused: &[],
            flattened: false,
        })
    }
}

/// The network with as many blocks as these names of timm's have.
fn of_torch_names(names: &[&str]) -> Result<XceptionAlignedConfig, String> {
    let number = |name: &&str| name.strip_prefix("blocks.")?.split('.').next()?.parse::<usize>().ok();
    let last = names.iter().filter_map(number).max();
    XceptionAlignedConfig::of_count(
        last.map_or(0, |last| last.saturating_add(1)),
        names.contains(&"stem.1.weight"),
    )
}

/// A network under construction.
struct Draft {
    net: Builder,
    epsilon: f64,
}

impl Draft {
    /// Three separable convolutions, each half with its norm, added to the block's input.
    fn block(&mut self, index: usize, is_last: bool, channels: usize, block: &Block, input: NodeId) -> NodeId {
        let (name, torch) = (format!("block{}", index + 1), format!("blocks.{index}"));
        self.net.block(&name);
        let (mut x, mut inputs) = (input, channels);
        for (number, &outputs) in (1..).zip(&block.channels) {
            let stride = if number == 3 { block.stride } else { 1 };
            let (part, torch) = (format!("{name}_sepconv{number}"), format!("{torch}.stack.conv{number}"));
            // The last block has its ReLUs after the norms.
            if !is_last {
                x = self.relu(&format!("{part}_relu"), x);
            }
            x = self.depthwise(
                &format!("{part}_depthwise"),
                &format!("{torch}.conv_dw"),
                inputs,
                stride,
                x,
            );
            x = self.norm(&format!("{part}_depthwise_bn"), &format!("{torch}.bn_dw"), inputs, x);
            if is_last {
                x = self.relu(&format!("{part}_depthwise_relu"), x);
            }
            let conv_pw = format!("{torch}.conv_pw");
            x = self.conv(
                &format!("{part}_pointwise"),
                &conv_pw,
                [inputs, outputs],
                ([1; 2], 1),
                x,
            );
            x = self.norm(&format!("{part}_pointwise_bn"), &format!("{torch}.bn_pw"), outputs, x);
            if is_last {
                x = self.relu(&format!("{part}_pointwise_relu"), x);
            }
            inputs = outputs;
        }
        if is_last {
            return x;
        }
        let mut shortcut = input;
        if block.stride > 1 || channels != inputs {
            let part = format!("{name}_shortcut");
            let conv = format!("{torch}.shortcut.conv");
            shortcut = self.conv(&part, &conv, [channels, inputs], ([1; 2], block.stride), shortcut);
            let bn = format!("{torch}.shortcut.bn");
            shortcut = self.norm(&format!("{part}_bn"), &bn, inputs, shortcut);
        }
        self.net
            .layer(NewLayer::new(&format!("{name}_add")), Op::Add, &[x, shortcut])
    }

    /// A norm and a `ReLU`, then three separable convolutions without norms between their halves, added to the output
    /// of that first `ReLU`.
    fn pre_activated_block(
        &mut self,
        index: usize,
        is_last: bool,
        channels: usize,
        block: &Block,
        input: NodeId,
    ) -> NodeId {
        let (name, torch) = (format!("block{}", index + 1), format!("blocks.{index}"));
        self.net.block(&name);
        let x = self.norm(&format!("{name}_bn"), &format!("{torch}.norm"), channels, input);
        let input = self.relu(&format!("{name}_relu"), x);
        let (mut x, mut inputs) = (input, channels);
        for (number, &outputs) in (1..).zip(&block.channels) {
            let stride = if number == 3 { block.stride } else { 1 };
            let (part, torch) = (format!("{name}_sepconv{number}"), format!("{torch}.stack.conv{number}"));
            if number > 1 {
                x = self.norm(&format!("{part}_bn"), &format!("{torch}.norm"), inputs, x);
                x = self.relu(&format!("{part}_relu"), x);
            }
            x = self.depthwise(
                &format!("{part}_depthwise"),
                &format!("{torch}.conv_dw"),
                inputs,
                stride,
                x,
            );
            let conv_pw = format!("{torch}.conv_pw");
            x = self.conv(
                &format!("{part}_pointwise"),
                &conv_pw,
                [inputs, outputs],
                ([1; 2], 1),
                x,
            );
            inputs = outputs;
        }
        if is_last {
            return x;
        }
        let mut shortcut = input;
        if block.stride > 1 || channels != inputs {
            let (part, torch) = (format!("{name}_shortcut"), format!("{torch}.shortcut"));
            shortcut = self.conv(&part, &torch, [channels, inputs], ([1; 2], block.stride), shortcut);
        }
        self.net
            .layer(NewLayer::new(&format!("{name}_add")), Op::Add, &[x, shortcut])
    }

    fn conv(
        &mut self,
        name: &str,
        torch: &str,
        channels: [usize; 2],
        (kernel, stride): ([usize; 2], usize),
        x: NodeId,
    ) -> NodeId {
        let padding = match kernel {
            [1, 1] => Padding::Valid,
            [side, _] => Padding::symmetric(side / 2),
        };
        let conv = Conv::new(channels, kernel, padding).with_stride(stride);
        let path = path(name);
        self.net
            .layer(NewLayer::new(name).at(&path).torch(torch), Op::Conv(conv), &[x])
    }

    fn depthwise(&mut self, name: &str, torch: &str, channels: usize, stride: usize, x: NodeId) -> NodeId {
        let conv = Conv::new([channels; 2], [3; 2], Padding::symmetric(1))
            .with_groups(channels)
            .with_stride(stride);
        let path = path(name);
        self.net
            .layer(NewLayer::new(name).at(&path).torch(torch), Op::Conv(conv), &[x])
    }

    fn norm(&mut self, name: &str, torch: &str, channels: usize, x: NodeId) -> NodeId {
        let norm = BatchNorm {
            channels,
            epsilon: self.epsilon,
            momentum: MOMENTUM,
            scale: true,
            center: true,
        };
        let path = path(name);
        self.net
            .layer(NewLayer::new(name).at(&path).torch(torch), Op::BatchNorm(norm), &[x])
    }

    fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        self.net
            .layer(NewLayer::new(name), Op::Activation(Activation::Relu), &[x])
    }
}

/// The path of a layer's module: `block1.sepconv1.depthwise_bn` for `block1_sepconv1_depthwise_bn`.
fn path(name: &str) -> String {
    let parts = if name.contains("_sepconv") { 2 } else { 1 };
    name.replacen('_', ".", parts)
}
