//! Xception (Chollet 2017, arXiv 1610.02357): `keras/src/applications/xception.py`, timm's `legacy_xception` and
//! Cadene's.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use burn::config::Config;
use graph::{Activation, BatchNorm, Builder, Conv, Graph, Level, NewLayer, NodeId, Op, Padding, Pool};
use serde::{Deserialize, Serialize};

use super::design::{Design, Family, KerasWeights, Published, Torch, head_options, variant_option};
use super::head::{Backbone, Head, HeadNames, Pooling};
use super::limits::Limits;
use super::names::Tensors;
use super::variant::Variant;
use crate::error::ConfigError;
use crate::input::Scaling;

/// Smallest height and width, in pixels (`min_size` in `keras/src/applications/xception.py`).
pub const MIN_INPUT: usize = 71;

/// The activation between the depthwise and the pointwise convolution (paper, section 4.7 and Figure 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntermediateActivation {
    /// No activation: the paper's choice, which trained fastest and ended best.
    None,
    /// Rectified linear unit.
    Relu,
    /// Exponential linear unit, alpha 1.
    Elu,
}

/// The order of the two halves of a separable convolution.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeparableOrder {
    /// 3 x 3 depthwise, then 1 x 1 pointwise: Xception, and what "separable convolution" means in Keras.
    DepthwiseFirst,
    /// 1 x 1 pointwise, then 3 x 3 on every output channel: the "extreme" Inception module (paper, Figure 4).
    PointwiseFirst,
}

/// Pixels of the input between two neighbouring places of the last feature map.
///
/// Below 32 the late poolings keep their resolution and everything after them is dilated instead (DeepLab v3+, arXiv
/// 1802.02611, section 3; rule of `stack_blocks_dense` in its `xception.py`), so that trained weights see the same
/// neighbourhoods.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum OutputStride {
    /// The paper's network.
    #[serde(rename = "32")]
    S32,
    /// The last pooling keeps its resolution.
    #[serde(rename = "16")]
    S16,
    /// The last two poolings keep their resolution.
    #[serde(rename = "8")]
    S8,
}

impl OutputStride {
    /// The stride in pixels.
    pub const fn pixels(self) -> usize {
        match self {
            Self::S32 => 32,
            Self::S16 => 16,
            Self::S8 => 8,
        }
    }
}

/// Channels of the convolutions; the defaults are the paper's Figure 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// The two convolutions of block 1.
    pub stem: [usize; 2],
    /// Blocks 2, 3 and 4; the last is also the width of the middle flow.
    pub entry: [usize; 3],
    /// The second convolution of block 13 and the two of block 14; the last is the length of the embedding. If the last
    /// layers are left out ([`Architecture::without_last_layers`](crate::Architecture::without_last_layers)), the list
    /// is shorter.
    pub exit: Vec<usize>,
}

impl Default for Widths {
    fn default() -> Self {
        Self {
            stem: [32, 64],
            entry: [128, 256, 728],
            exit: [1024, 1536, 2048].into(),
        }
    }
}

impl Widths {
    /// The most entries of [`exit`](Self::exit).
    const EXIT: usize = 3;
}

/// Added to the variance before its square root.
const fn epsilon(variant: Variant) -> f64 {
    match variant {
        Variant::Keras | Variant::Keras2 => 1e-3,
        Variant::Torch => 1e-5,
    }
}

/// Weight of a new batch in the running statistics, Burn's and PyTorch's sense: 1 minus Keras's momentum.
const fn momentum(variant: Variant) -> f64 {
    match variant {
        Variant::Keras | Variant::Keras2 => 0.01,
        Variant::Torch => 0.1,
    }
}

/// The network's options. `XceptionConfig::new()` is `keras.applications.Xception`.
///
/// ```
/// use xception_model::{Pooling, XceptionConfig};
///
/// let config = XceptionConfig::new().with_num_classes(6).with_hidden_layers(vec![100]);
/// assert_eq!(config.pooling, Pooling::Average);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct XceptionConfig {
    /// Classes of the classifier (`classes` in Keras).
    #[config(default = 1000)]
    pub num_classes: usize,
    /// Channels of the input picture.
    #[config(default = 3)]
    pub in_channels: usize,
    /// Whether the network ends in a classifier (`include_top` in Keras).
    #[config(default = true)]
    pub include_top: bool,
    /// How the last feature map becomes one vector.
    #[config(default = "Pooling::Average")]
    pub pooling: Pooling,
    /// Widths of fully-connected ReLU layers between pooling and classifier (paper, section 4.2: two of 4,096 in the
    /// JFT runs).
    #[config(default = "Vec::new()")]
    pub hidden_layers: Vec<usize>,
    /// Probability of dropping a feature before the classifier in training (paper, section 4.3: 0.5 for ImageNet; none
    /// in Keras).
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Repetitions of the middle flow's block (paper, Figure 5: 8).
    #[config(default = 8)]
    pub middle_blocks: usize,
    /// Channels of the convolutions.
    #[config(default = "Widths::default()")]
    pub widths: Widths,
    /// Whether the blocks have residual connections (paper, section 4.6 and Figure 9).
    #[config(default = true)]
    pub residual: bool,
    /// The activation between depthwise and pointwise convolution.
    #[config(default = "IntermediateActivation::None")]
    pub intermediate_activation: IntermediateActivation,
    /// The order of the two halves of a separable convolution.
    #[config(default = "SeparableOrder::DepthwiseFirst")]
    pub order: SeparableOrder,
    /// Resolution of the last feature map.
    #[config(default = "OutputStride::S32")]
    pub output_stride: OutputStride,
    /// The library whose batch-norm constants and pool padding are used.
    #[config(default = "Variant::Keras")]
    pub variant: Variant,
}

impl XceptionConfig {
    /// Length of the embedding: the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        let Widths { entry, exit, .. } = &self.widths;
        exit.last().copied().unwrap_or(entry[2])
    }

    fn from_operations(graph: &Graph) -> Option<Vec<Self>> {
        let convs = || {
            graph.iter().filter_map(|(id, node)| match &node.op {
                Op::Conv(conv) => Some((id, conv)),
                _ => None,
            })
        };
        let mut stem = convs().filter(|(_, conv)| !conv.is_depthwise() && conv.kernel == [3; 2]);
        let ((_, first), (stem_end, second)) = (stem.next()?, stem.next()?);
        let depthwise: Vec<(NodeId, usize)> = convs()
            .filter(|(_, conv)| conv.is_depthwise())
            .map(|(id, conv)| (id, conv.channels[0]))
            .collect();
        let readers = |id: NodeId| graph.iter().filter(move |(_, node)| node.inputs.contains(&id));
        let activation = |node: &graph::Node| match node.op {
            Op::Activation(activation) => Some(activation),
            _ => None,
        };

        // Which half of block 2's first separable convolution reads the output of block 1.
        let mut end = stem_end;
        while let Some((next, node)) = readers(end).next()
            && matches!(node.op, Op::BatchNorm(_) | Op::Activation(_))
        {
            end = next;
        }
        let reads_depthwise = readers(end).any(|(_, node)| matches!(&node.op, Op::Conv(conv) if conv.is_depthwise()));
        let (order, between) = if reads_depthwise {
            let (_, next) = readers(depthwise.first()?.0).next()?;
            (SeparableOrder::DepthwiseFirst, activation(next))
        } else {
            let before = *graph.node(depthwise.first()?.0).inputs.first()?;
            (SeparableOrder::PointwiseFirst, activation(graph.node(before)))
        };
        let intermediate_activation = match between {
            None => IntermediateActivation::None,
            Some(Activation::Relu) => IntermediateActivation::Relu,
            Some(Activation::Elu { .. }) => IntermediateActivation::Elu,
            Some(_) => return None,
        };

        let last = graph.features(graph.roles.feature_map?)?;
        let widths: Vec<usize> = depthwise.iter().map(|(_, channels)| *channels).collect();
        let separables = match order {
            SeparableOrder::DepthwiseFirst => {
                let outputs = widths.iter().skip(1).copied().chain([last]);
                widths
                    .iter()
                    .copied()
                    .zip(outputs)
                    .map(|(input, output)| [input, output])
                    .collect()
            }
            SeparableOrder::PointwiseFirst => {
                let inputs = [second.channels[1]].into_iter().chain(widths.iter().copied());
                inputs
                    .zip(widths.iter().copied())
                    .map(|(input, output)| [input, output])
                    .collect()
            }
        };
        let halving = graph
            .nodes
            .iter()
            .filter(|node| matches!(&node.op, Op::Pool(pool) if pool.stride == [2; 2]))
            .count();
        let output_stride = match halving {
            4 => OutputStride::S32,
            3 => OutputStride::S16,
            2 => OutputStride::S8,
            _ => return None,
        };
        let shapes = Shapes {
            in_channels: first.channels[0],
            stem: [first.channels[1], second.channels[1]],
            separables,
            residual: graph.nodes.iter().any(|node| matches!(node.op, Op::Add)),
        };
        let config = Self {
            include_top: false,
            pooling: Pooling::None,
            order,
            intermediate_activation,
            output_stride,
            ..shapes.config().ok()?
        };
        let found = graph.nodes.iter().find_map(|node| match &node.op {
            Op::BatchNorm(norm) => Some(norm.epsilon),
            _ => None,
        });
        let is_possible =
            |variant: &Variant| found.is_none_or(|found| (found - epsilon(*variant)).abs() < 1e-3 * epsilon(*variant));
        let variants = [Variant::Keras, Variant::Torch].into_iter().filter(is_possible);
        Some(variants.map(|variant| config.clone().with_variant(variant)).collect())
    }
}

impl Design for XceptionConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        let Widths { stem, entry, exit } = &self.widths;

        Limits::widths("widths.stem", stem)?;
        Limits::widths("widths.entry", entry)?;
        Limits::widths("widths.exit", exit)?;
        Limits::length("widths.exit", exit.len(), Widths::EXIT)?;
        Limits::widths("in_channels", &[self.in_channels])?;
        Limits::blocks("middle_blocks", self.middle_blocks)?;
        self.head().validate()
    }

    /// The network (paper, Figure 5).
    fn graph(&self) -> Graph {
        let Widths { stem, entry, exit } = &self.widths;
        let (net, picture) = Builder::new("Xception", self.in_channels);
        let mut draft = Draft {
            config: self,
            net,
            block: 0,
            stride: 2,
            dilation: 1,
            levels: Vec::new(),
        };

        // Entry flow
        let x = draft.stem(picture, [self.in_channels, stem[0], stem[1]]);
        draft.level("stride_2", x);
        let x = draft.halving_block(x, "entry", [stem[1], entry[0], entry[0]], ReluAt::BeforeAllButFirst);
        draft.level("stride_4", x);
        let x = draft.halving_block(x, "entry", [entry[0], entry[1], entry[1]], ReluAt::Before);
        draft.level("stride_8", x);
        let mut x = draft.halving_block(x, "entry", [entry[1], entry[2], entry[2]], ReluAt::Before);

        // Middle flow
        for _ in 0..self.middle_blocks {
            x = draft.middle_block(x, entry[2]);
        }
        draft.level("stride_16", x);

        // Exit flow
        if let Some(&width) = exit.first() {
            x = draft.halving_block(x, "exit", [entry[2], entry[2], width], ReluAt::Before);
            x = draft.last_block(x, exit);
            draft.level("stride_32", x);
        }

        let backbone = Backbone {
            net: draft.net,
            feature_map: x,
            channels: self.embedding_len(),
            levels: draft.levels,
            min_input: MIN_INPUT,
        };
        backbone.with_head(&self.head(), &HeadNames::FC)
    }

    /// The last layers are the two separable convolutions of block 14.
    fn leave_out(&mut self, count: usize) -> Result<(), ConfigError> {
        Limits::at_most("leave_out", count, Widths::EXIT - 1)?;
        self.widths.exit.truncate(Widths::EXIT - count);
        Ok(())
    }

    head_options!();
    variant_option!(Keras | Torch);
}

impl Family for XceptionConfig {
    const NAME: &'static str = "xception";

    fn published() -> Vec<Published<Self>> {
        alloc::vec![Published {
            name: "xception",
            paper: "Chollet 2017",
            keras: Some("Xception"),
            network: Self::new(),
            size: 299,
            scaling: Scaling::Tf,
        }]
    }

    /// Widths and constants are read from the graph's operations; if no batch norm is left, the variant is unknown.
    fn candidates(graph: &Graph) -> Vec<Self> {
        Self::from_operations(graph).unwrap_or_default()
    }

    fn of_tensors(tensors: &Tensors<'_>) -> Option<Result<Self, String>> {
        let shapes = || {
            let [in_channels, first] = tensors.channels("block1.conv1.conv")?;
            let [_, second] = tensors.channels("block1.conv2.conv")?;
            let separables = separables(tensors);
            let separables = separables.iter().map(|path| separable(tensors, path));
            Shapes {
                in_channels,
                stem: [first, second],
                separables: separables.collect::<Result<_, _>>()?,
                residual: tensors.contains("entry.block2.residual.conv.weight"),
            }
            .config()
        };
        Some(shapes())
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

    fn of_keras(weights: &KerasWeights<'_>) -> Option<Result<Self, String>> {
        let (Some((_, conv1)), Some((_, conv2))) = (weights.convs.first(), weights.convs.get(1)) else {
            return Some(Err(format!(
                "expected the 2 convolutions of Xception's block 1, found {}; {OTHER_WEIGHTS}",
                weights.convs.len()
            )));
        };
        if weights.separables.len() < LEAST_SEPARABLES {
            return Some(Err(format!(
                "expected Xception's 34 separable convolutions, found {}; {OTHER_WEIGHTS}",
                weights.separables.len()
            )));
        }
        let shapes = Shapes {
            in_channels: conv1[2],
            stem: [conv1[3], conv2[3]],
            separables: weights.separables.clone(),
            residual: weights.convs.len() > 2,
        };
        Some(shapes.config())
    }
}

/// The way out for Keras weights without a config.
const OTHER_WEIGHTS: &str = "weights alone are known of the networks that `xception summary --architecture` lists, \
     where the file has the names of their layers; of other networks, and without names, the whole model (model.save) \
     is read";

/// A network with the number of blocks in these names of timm or Cadene; other options are defaults. Their `block1` is
/// our block 2, and they do not number the last block.
fn of_torch_names(names: &[&str]) -> Result<XceptionConfig, String> {
    let number = |name: &&str| {
        let block = name.strip_prefix("block")?;
        block.split_once('.')?.0.parse::<usize>().ok()
    };
    // Three of the entry flow and one of the exit flow beside those of the middle flow.
    let middle = names
        .iter()
        .filter_map(number)
        .max()
        .and_then(|last| last.checked_sub(4));
    match middle {
        Some(middle) => Ok(XceptionConfig::new().with_middle_blocks(middle.min(Limits::BLOCKS))),
        None => Err("it has no block4 or later, which every Xception of timm has".into()),
    }
}

/// The paths of all separable convolutions, such as `entry.block2.sepconv1`, in order.
fn separables<'a>(tensors: &Tensors<'a>) -> Vec<&'a str> {
    let number = |part: &str, stem: &str| part.strip_prefix(stem)?.parse::<usize>().ok();
    let found = tensors.names().filter_map(|name| {
        let mut parts = name.split('.');
        let (flow, block, layer) = (parts.next()?, parts.next()?, parts.next()?);
        let place = (number(block, "block")?, number(layer, "sepconv")?);
        Some((place, &name[..flow.len() + block.len() + layer.len() + 2]))
    });
    let found: BTreeSet<((usize, usize), &str)> = found.collect();
    found.into_iter().map(|(_, path)| path).collect()
}

/// Input and output channels of a separable convolution. If its kernel is missing, the output channels come from its
/// norm.
fn separable(tensors: &Tensors<'_>, path: &str) -> Result<[usize; 2], String> {
    tensors.channels(&format!("{path}.pointwise")).or_else(|problem| {
        match tensors.side(&format!("{path}.bn.gamma"), 0) {
            Ok(output) => Ok([0, output]),
            Err(_) => Err(problem),
        }
    })
}

/// Separable convolutions of an Xception without a middle flow and without its last block.
const LEAST_SEPARABLES: usize = 8;

/// What the shapes of a network's tensors show, in whatever file they are.
struct Shapes {
    in_channels: usize,
    /// Output channels of the two convolutions of block 1.
    stem: [usize; 2],
    /// Input and output channels of all separable convolutions, in order.
    separables: Vec<[usize; 2]>,
    residual: bool,
}

impl Shapes {
    /// The network with these shapes and the default head.
    fn config(&self) -> Result<XceptionConfig, String> {
        let count = self.separables.len();
        // Blocks 2 to 4 and 13 have two each, each block of the middle flow has three, and block 14 has at most two.
        let Some(others) = count.checked_sub(LEAST_SEPARABLES) else {
            return Err(format!(
                "expected Xception's 34 separable convolutions (10 and three in each middle block), found {count}"
            ));
        };
        let middle_blocks = others / 3;
        let width = |index: usize| self.separables[index][1];
        Ok(XceptionConfig::new()
            .with_in_channels(self.in_channels)
            .with_middle_blocks(middle_blocks)
            .with_residual(self.residual)
            .with_widths(Widths {
                stem: self.stem,
                entry: [width(1), width(3), width(5)],
                exit: (7 + 3 * middle_blocks..count).map(width).collect(),
            }))
    }
}

/// The place of the `ReLU`s of a block's separable convolutions.
#[derive(Clone, Copy, PartialEq, Eq)]
enum ReluAt {
    /// Before each convolution except the first (block 2).
    BeforeAllButFirst,
    /// Before each convolution (blocks 3 to 13).
    Before,
    /// After each norm (block 14).
    After,
}

/// A network under construction.
struct Draft<'a> {
    config: &'a XceptionConfig,
    net: Builder,
    /// The number of the last block.
    block: usize,
    /// Pixels of the picture between two neighbouring places of the last output.
    stride: usize,
    /// Dilation of the separable convolutions that follow.
    dilation: usize,
    levels: Vec<Level>,
}

/// A module's path in our records, and its name in timm and Cadene.
struct Names {
    layer: String,
    path: String,
    conv: String,
    bn: String,
}

impl Draft<'_> {
    fn next_block(&mut self) -> String {
        self.block += 1;
        let name = format!("block{}", self.block);
        self.net.block(&name);
        name
    }

    fn level(&mut self, name: &str, node: NodeId) {
        self.levels.push(Level {
            name: name.into(),
            stride: self.stride,
            node,
        });
    }

    fn relu(&mut self, layer: &str, x: NodeId) -> NodeId {
        let name = format!("{layer}_act");
        self.net
            .layer(NewLayer::new(&name), Op::Activation(Activation::Relu), &[x])
    }

    fn norm(&mut self, new: NewLayer<'_>, channels: usize, x: NodeId) -> NodeId {
        let norm = BatchNorm {
            channels,
            epsilon: epsilon(self.config.variant),
            momentum: momentum(self.config.variant),
            scale: true,
            center: true,
        };
        self.net.layer(new, Op::BatchNorm(norm), &[x])
    }

    /// Block 1: two ordinary 3 x 3 convolutions without padding, the first with stride 2.
    fn stem(&mut self, picture: NodeId, channels: [usize; 3]) -> NodeId {
        let block = self.next_block();
        let mut x = picture;
        for (number, stride) in [(1, 2), (2, 1)] {
            let layer = format!("{block}_conv{number}");
            let path = format!("{block}.conv{number}");
            let conv = Conv::new([channels[number - 1], channels[number]], [3; 2], Padding::Valid).with_stride(stride);
            let (at, torch) = (format!("{path}.conv"), format!("conv{number}"));
            x = self
                .net
                .layer(NewLayer::new(&layer).at(&at).torch(&torch), Op::Conv(conv), &[x]);
            let (name, at, torch) = (format!("{layer}_bn"), format!("{path}.bn"), format!("bn{number}"));
            x = self.norm(NewLayer::new(&name).at(&at).torch(&torch), channels[number], x);
            x = self.relu(&layer, x);
        }
        x
    }

    /// Blocks 2, 3, 4 and 13: two separable convolutions and a max pooling, added to a 1 x 1 convolution of the input.
    fn halving_block(&mut self, input: NodeId, flow: &str, channels: [usize; 3], relu: ReluAt) -> NodeId {
        let block = self.next_block();
        let step = if self.stride < self.config.output_stride.pixels() {
            2
        } else {
            1
        };
        let residual = self
            .config
            .residual
            .then(|| self.projection(input, flow, [channels[0], channels[2]], step));
        let x = self.separables(input, flow, &channels, relu);
        let padding = match self.config.variant {
            Variant::Keras | Variant::Keras2 => Padding::Same,
            Variant::Torch => Padding::symmetric(self.dilation),
        };
        let pool = Pool::max(3, step, padding).with_dilation(self.dilation);
        let x = self
            .net
            .layer(NewLayer::new(&format!("{block}_pool")), Op::Pool(pool), &[x]);
        self.stride *= step;
        if step == 1 {
            self.dilation *= 2;
        }
        self.sum(x, residual)
    }

    /// Blocks 5 to 12: three separable convolutions, added to the block's input.
    fn middle_block(&mut self, input: NodeId, width: usize) -> NodeId {
        self.next_block();
        let x = self.separables(input, "middle", &[width; 4], ReluAt::Before);
        self.sum(x, self.config.residual.then_some(input))
    }

    /// Block 14: at most two separable convolutions without a residual sum.
    fn last_block(&mut self, input: NodeId, channels: &[usize]) -> NodeId {
        self.next_block();
        self.separables(input, "exit", channels, ReluAt::After)
    }

    fn sum(&mut self, x: NodeId, residual: Option<NodeId>) -> NodeId {
        match residual {
            Some(residual) => {
                let name = format!("block{}", self.block);
                self.net.layer(NewLayer::automatic(&name), Op::Add, &[x, residual])
            }
            None => x,
        }
    }

    /// The 1 x 1 convolution of a block's shortcut, to which Keras gives no name.
    fn projection(&mut self, input: NodeId, flow: &str, channels: [usize; 2], stride: usize) -> NodeId {
        let (block, torch) = (self.block, self.block - 1);
        let layer = format!("block{block}_residual");
        let path = format!("{flow}.block{block}.residual");
        let conv = Op::Conv(Conv::new(channels, [1; 2], Padding::Same).with_stride(stride));
        let (at, skip) = (format!("{path}.conv"), format!("block{torch}.skip"));
        let x = self
            .net
            .layer(NewLayer::automatic(&layer).at(&at).torch(&skip), conv, &[input]);
        let (name, at, skip) = (
            format!("{layer}_bn"),
            format!("{path}.bn"),
            format!("block{torch}.skipbn"),
        );
        self.norm(NewLayer::automatic(&name).at(&at).torch(&skip), channels[1], x)
    }

    /// Separable convolutions that keep height and width, each with its norm.
    fn separables(&mut self, mut x: NodeId, flow: &str, channels: &[usize], relu: ReluAt) -> NodeId {
        for (number, widths) in (1..).zip(channels.windows(2)) {
            let names = self.separable_names(flow, number, relu);
            if relu == ReluAt::Before || (relu == ReluAt::BeforeAllButFirst && number > 1) {
                x = self.relu(&names.layer, x);
            }
            x = self.separable(&names, [widths[0], widths[1]], x);
            let (name, at) = (format!("{}_bn", names.layer), format!("{}.bn", names.path));
            x = self.norm(NewLayer::new(&name).at(&at).torch(&names.bn), widths[1], x);
            if relu == ReluAt::After {
                x = self.relu(&names.layer, x);
            }
        }
        x
    }

    fn separable_names(&self, flow: &str, number: usize, relu: ReluAt) -> Names {
        let block = self.block;
        // timm and Cadene call our block 2 `block1`. A block's `rep` is a sequence of ReLU, convolution and norm; their
        // `block1` begins without the ReLU. Their last block is not such a sequence.
        let (conv, bn) = match relu {
            ReluAt::After => (format!("conv{}", number + 2), format!("bn{}", number + 2)),
            ReluAt::Before | ReluAt::BeforeAllButFirst => {
                let first = 3 * (number - 1) + usize::from(relu == ReluAt::Before);
                let rep = format!("block{}.rep", block - 1);
                (format!("{rep}.{first}"), format!("{rep}.{}", first + 1))
            }
        };
        Names {
            layer: format!("block{block}_sepconv{number}"),
            path: format!("{flow}.block{block}.sepconv{number}"),
            conv,
            bn,
        }
    }

    /// A 3 x 3 depthwise and a 1 x 1 convolution without bias (paper, section 2: "a depthwise convolution followed by a
    /// pointwise convolution").
    fn separable(&mut self, names: &Names, channels: [usize; 2], x: NodeId) -> NodeId {
        let wide = match self.config.order {
            SeparableOrder::DepthwiseFirst => channels[0],
            SeparableOrder::PointwiseFirst => channels[1],
        };
        let depthwise = Conv::new([wide; 2], [3; 2], Padding::Same)
            .with_groups(wide)
            .with_dilation(self.dilation);
        let pointwise = Conv::new(channels, [1; 2], Padding::Same);
        let mut halves = [
            ("depthwise", format!("{}.conv1", names.conv), depthwise),
            ("pointwise", format!("{}.pointwise", names.conv), pointwise),
        ];
        if self.config.order == SeparableOrder::PointwiseFirst {
            halves.reverse();
        }
        let [(first, first_torch, first_conv), (second, second_torch, second_conv)] = halves;
        let layer = NewLayer::new(&names.layer).at(&names.path).torch(&first_torch);
        let x = self.net.layer_of_parts(layer, first, Op::Conv(first_conv), &[x]);
        let between = match self.config.intermediate_activation {
            IntermediateActivation::None => None,
            IntermediateActivation::Relu => Some(Activation::Relu),
            IntermediateActivation::Elu => Some(Activation::Elu { alpha: 1.0 }),
        };
        let x = match between {
            Some(activation) => self.net.part("", "", Op::Activation(activation), &[x]),
            None => x,
        };
        self.net.part(second, &second_torch, Op::Conv(second_conv), &[x])
    }
}
