//! ResNet, first version (He 2015, arXiv 1512.03385): `keras/src/applications/resnet.py`, and torchvision's and timm's
//! `resnet.py`.
//!
//! In Keras the first 1 x 1 convolution of a block has the stride, every convolution has a bias, and the paddings are
//! layers of their own. In PyTorch ("v1.5") the 3 x 3 convolution has the stride, and no convolution has a bias.
//!
//! Keras 2.0 to 2.2 built another ResNet-50 (`resnet50.py` of fchollet/deep-learning-models and of `keras_applications`
//! up to 1.0.7): another epsilon, other names, and no padding before the first pool until `pool1_pad` came in 2.2.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use burn::config::Config;
use graph::{Activation, BatchNorm, Builder, Conv, Graph, Level, NewLayer, NodeId, Op, Padding, Pool};

use super::design::{Design, Family, KerasWeights, Published, Torch, head_options, variant_option};
use super::head::{Backbone, Head, HeadNames, Pooling};
use super::limits::Limits;
use super::names::Tensors;
use super::variant::Variant;
use crate::error::ConfigError;
use crate::input::Scaling;

/// Smallest height and width, in pixels (`min_size` in `resnet.py`).
const MIN_INPUT: usize = 32;
/// Epsilon and momentum of the batch norms: `layers.BatchNormalization(epsilon=1.001e-5)` in Keras, whose momentum of
/// 0.99 is 0.01 here; `nn.BatchNorm2d`'s defaults in PyTorch.
const fn norm_constants(variant: Variant) -> (f64, f64) {
    match variant {
        Variant::Keras => (1.001e-5, 0.01),
        Variant::Keras2 => (1e-3, 0.01),
        Variant::Torch => (1e-5, 0.1),
    }
}
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
    /// Keras's network, that of Keras 2.0 to 2.2, or PyTorch's with the stride in the 3 x 3 convolutions.
    #[config(default = "Variant::Keras")]
    pub variant: Variant,
    /// Whether the map is padded before the first pool, as in all but the first networks of Keras 2.
    #[config(default = true)]
    pub pads_pool: bool,
}

impl ResNetConfig {
    /// Length of the embedding: the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        EXPANSION * self.widths[3]
    }

    /// Keras's network, without a head, that this graph may be; guessed from the graph's convolutions.
    fn from_operations(graph: &Graph) -> Option<Self> {
        let conv_before = |mut id: NodeId| {
            loop {
                let node = graph.node(id);
                match &node.op {
                    Op::Conv(conv) => return Some(conv),
                    Op::BatchNorm(_) | Op::Activation(_) | Op::Pad { .. } => id = *node.inputs.first()?,
                    _ => return None,
                }
            }
        };
        let mut stem = None;
        // For each block, the channels that it reads and the channels of its middle.
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

    /// The network, without a head, of blocks that read and have in their middle these numbers of channels.
    fn of_blocks(in_channels: usize, stem: usize, blocks: &[[usize; 2]]) -> Option<Self> {
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
}

impl Design for ResNetConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        Limits::widths("stem", &[self.stem])?;
        Limits::widths("widths", &self.widths)?;
        Limits::widths("in_channels", &[self.in_channels])?;
        for blocks in self.blocks {
            Limits::widths("blocks", &[blocks])?;
            Limits::blocks("blocks", blocks)?;
        }
        self.head().validate()
    }

    /// The network (paper, Table 1 and Figure 5).
    fn graph(&self) -> Graph {
        let (net, picture) = Builder::new(self.title(), self.in_channels);
        let mut draft = Draft {
            net,
            variant: self.variant,
        };
        let mut levels = Vec::new();
        let mut level = |name: &str, stride, node| {
            levels.push(Level {
                name: name.into(),
                stride,
                node,
            });
        };

        draft.net.block("conv1");
        let (x, padding) = draft.pad("conv1_pad", 3, picture);
        let conv = Conv::new([self.in_channels, self.stem], [7; 2], padding).with_stride(2);
        let names = match self.variant {
            Variant::Keras2 => ["conv1".to_owned(), "bn_conv1".to_owned()],
            Variant::Keras | Variant::Torch => ["conv1_conv".to_owned(), "conv1_bn".to_owned()],
        };
        let x = draft.conv_norm(&names, "conv1", ["conv1", "bn1"], conv, x);
        let x = draft.relu("conv1_relu", x);
        level("stride_2", 2, x);
        let (x, padding) = if self.pads_pool {
            draft.pad("pool1_pad", 1, x)
        } else {
            (x, Padding::Valid)
        };
        let pool = Op::Pool(Pool::max(3, 2, padding));
        let layer = match self.variant {
            Variant::Keras2 => NewLayer::automatic("pool1_pool"),
            Variant::Keras | Variant::Torch => NewLayer::new("pool1_pool"),
        };
        let mut x = draft.net.layer(layer, pool, &[x]);

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

        let backbone = Backbone {
            net: draft.net,
            feature_map: x,
            channels: self.embedding_len(),
            levels,
            min_input: MIN_INPUT,
        };
        backbone.with_head(&self.head(), &HeadNames::FC)
    }

    head_options!();
    variant_option!(Keras | Keras2 | Torch);
}

impl Family for ResNetConfig {
    const NAME: &'static str = "resnet";
    const LATER: &'static [&'static str] = &["variant", "pads_pool"];

    fn published() -> Vec<Published<Self>> {
        let networks = [
            ("resnet50", "He 2015, 50 layers", "ResNet50", [3, 4, 6, 3]),
            ("resnet101", "He 2015, 101 layers", "ResNet101", [3, 4, 23, 3]),
            ("resnet152", "He 2015, 152 layers", "ResNet152", [3, 8, 36, 3]),
        ];
        let published = networks.map(|(name, paper, keras, blocks)| Published {
            name,
            paper,
            keras: Some(keras),
            network: Self::new().with_blocks(blocks),
            size: 224,
            scaling: Scaling::Caffe,
        });
        published.into()
    }

    fn candidates(graph: &Graph) -> Vec<Self> {
        let variants = [
            (Variant::Keras, true),
            (Variant::Torch, true),
            (Variant::Keras2, false),
            (Variant::Keras2, true),
        ];
        let found = Self::from_operations(graph);
        let networks = found
            .into_iter()
            .flat_map(|found| variants.map(|(variant, pads)| found.clone().with_variant(variant).with_pads_pool(pads)));
        networks.collect()
    }

    fn of_tensors(tensors: &Tensors<'_>) -> Option<Result<Self, String>> {
        if !tensors.contains("conv2.block1.conv1.conv.weight") {
            return None;
        }
        let found = || {
            let [in_channels, stem] = tensors.channels("conv1.conv")?;
            let mut blocks = Vec::new();
            for stack in 2_usize.. {
                let path = |block: usize, conv: usize| format!("conv{stack}.block{block}.conv{conv}.conv");
                let is_there = |block: &usize| tensors.contains(&format!("{}.weight", path(*block, 1)));
                let before = blocks.len();
                for block in (1..).take_while(is_there) {
                    blocks.push([
                        tensors.channels(&path(block, 1))?[0],
                        tensors.channels(&path(block, 2))?[1],
                    ]);
                }
                if blocks.len() == before {
                    break;
                }
            }
            Self::of_blocks(in_channels, stem, &blocks)
                .map(|found| found.with_pooling(Pooling::Average))
                .ok_or_else(|| not_four_stacks(blocks.len()))
        };
        Some(found())
    }

    fn torch() -> Option<Torch<Self>> {
        Some(Torch {
            published: Self::new().with_variant(Variant::Torch),
            of_names: of_torch_names,
            renamed: &[],
            unused: &[],
            flattened: false,
        })
    }

    fn of_keras(weights: &KerasWeights<'_>) -> Option<Result<Self, String>> {
        let by_name = |wanted: &str| {
            let mut convs = weights.convs.iter();
            convs.find(|(name, _)| *name == wanted).map(|(_, kernel)| kernel)
        };
        if by_name("res2a_branch2a").is_some() {
            let [.., in_channels, stem] = *by_name("conv1")?;
            return Some(of_keras2(weights, by_name, [in_channels, stem]));
        }
        let [.., in_channels, stem] = *by_name("conv1_conv")?;
        let mut blocks = Vec::new();
        for stack in 2..=5 {
            for block in 1.. {
                let conv = |number: usize| by_name(&format!("conv{stack}_block{block}_{number}_conv"));
                let (Some(reduce), Some(middle)) = (conv(1), conv(2)) else {
                    break;
                };
                blocks.push([reduce[2], middle[3]]);
            }
        }
        let found = Self::of_blocks(in_channels, stem, &blocks)?;
        Some(Ok(found.with_pooling(Pooling::Average)))
    }
}

/// The network of Keras 2.0 to 2.2 with as many blocks as these names show.
fn of_keras2<'a>(
    weights: &KerasWeights<'_>,
    by_name: impl Fn(&str) -> Option<&'a [usize; 4]>,
    [in_channels, stem]: [usize; 2],
) -> Result<ResNetConfig, String> {
    let mut blocks = Vec::new();
    for stack in 2..=5 {
        let conv = |block, part: &str| by_name(&format!("res{stack}{}_branch{part}", letter(block)));
        let found = (1..=Limits::BLOCKS).map_while(|block| conv(block, "2a").zip(conv(block, "2b")));
        blocks.extend(found.map(|(reduce, middle)| [reduce[2], middle[3]]));
    }
    // The two networks have the same weights.
    if weights.plain.is_empty() {
        return Err(
            "its names are those of the ResNet-50 of Keras 2.0 to 2.2, of which there are two, with and without \
                    a padding before the first pool, and the file does not list its layers without weights; save the \
                    whole model (model.save), whose config says it"
                .into(),
        );
    }
    let count = blocks.len();
    let found = ResNetConfig::of_blocks(in_channels, stem, &blocks).ok_or_else(|| not_four_stacks(count))?;
    Ok(found
        .with_variant(Variant::Keras2)
        .with_pads_pool(weights.plain.contains(&"pool1_pad"))
        .with_pooling(Pooling::Average))
}

/// The name that Keras 2.0 to 2.2 give a block, from the block's number, which starts at 1: `a`, `b`, and after `z` a
/// number, as in Caffe's ResNet-152.
fn letter(block: usize) -> String {
    match u8::try_from(block) {
        Ok(block @ 1..=26) => char::from(b'a' + block - 1).into(),
        _ => format!("b{}", block - 1),
    }
}

fn not_four_stacks(blocks: usize) -> String {
    format!("expected the four stacks of a ResNet, found {blocks} blocks of other widths")
}

/// The network with as many blocks as these torchvision names show; other options are defaults.
fn of_torch_names(names: &[&str]) -> Result<ResNetConfig, String> {
    let has = |stack: usize, block: usize, conv: usize| {
        names.contains(&format!("layer{stack}.{block}.conv{conv}.weight").as_str())
    };
    if !names.contains(&"conv1.weight") {
        return Err(
            "it has no conv1.weight: a ResNet that begins with several convolutions (ResNet-C, -D, -S) is not known"
                .into(),
        );
    }
    if !has(1, 0, 3) {
        return Err(
            "its blocks have no third convolution (layer1.0.conv3), as ResNet-50 and deeper have: ResNet-18 and \
             ResNet-34 are not known"
                .into(),
        );
    }
    let count = |stack| (0..Limits::BLOCKS).take_while(|block| has(stack, *block, 1)).count();
    let blocks = [1, 2, 3, 4].map(count);
    if blocks.contains(&0) {
        return Err(not_four_stacks(blocks.iter().sum()));
    }
    Ok(ResNetConfig::new().with_variant(Variant::Torch).with_blocks(blocks))
}

/// A network under construction.
struct Draft {
    net: Builder,
    variant: Variant,
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
        let torch = format!("layer{}.{}", stack - 1, block - 1);
        self.net.block(&name);
        let output = EXPANSION * width;
        let pointwise = |channels| Conv::new(channels, [1; 2], Padding::Valid);
        let variant = self.variant;
        let names = |number: usize| match variant {
            Variant::Keras2 => {
                let branch = ["1", "2a", "2b", "2c"][number];
                ["res", "bn"].map(|part| format!("{part}{stack}{}_branch{branch}", letter(block)))
            }
            Variant::Keras | Variant::Torch => ["conv", "bn"].map(|part| format!("{name}_{number}_{part}")),
        };
        let shortcut = match block {
            1 => {
                let conv = pointwise([channels, output]).with_stride(stride);
                let path = format!("{path}.residual");
                let torch = [0, 1].map(|part| format!("{torch}.downsample.{part}"));
                self.conv_norm(&names(0), &path, torch.each_ref().map(|n| &**n), conv, input)
            }
            _ => input,
        };
        let middle = match self.variant {
            Variant::Keras | Variant::Keras2 => Conv::new([width; 2], [3; 2], Padding::Same),
            Variant::Torch => Conv::new([width; 2], [3; 2], Padding::symmetric(1)),
        };
        let [first, second] = match self.variant {
            Variant::Keras | Variant::Keras2 => [stride, 1],
            Variant::Torch => [1, stride],
        };
        let convs = [
            pointwise([channels, width]).with_stride(first),
            middle.with_stride(second),
            pointwise([width, output]),
        ];
        let mut x = input;
        for (number, conv) in (1..).zip(convs) {
            let path = format!("{path}.conv{number}");
            let torch = ["conv", "bn"].map(|part| format!("{torch}.{part}{number}"));
            x = self.conv_norm(&names(number), &path, torch.each_ref().map(|n| &**n), conv, x);
            if number < 3 {
                x = self.relu(&format!("{name}_{number}_relu"), x);
            }
        }
        let add = format!("{name}_add");
        let sum = match variant {
            Variant::Keras2 => self.net.layer(NewLayer::automatic(&add), Op::Add, &[x, shortcut]),
            Variant::Keras | Variant::Torch => self.net.layer(NewLayer::new(&add), Op::Add, &[shortcut, x]),
        };
        self.relu(&format!("{name}_out"), sum)
    }

    /// A convolution followed by its batch norm. `names` holds the Keras names of the two layers, and `torch` the names
    /// of the two modules in PyTorch.
    fn conv_norm(&mut self, names: &[String; 2], path: &str, torch: [&str; 2], conv: Conv, x: NodeId) -> NodeId {
        let (epsilon, momentum) = norm_constants(self.variant);
        let norm = BatchNorm {
            channels: conv.channels[1],
            epsilon,
            momentum,
            scale: true,
            center: true,
        };
        let conv = conv.with_bias(self.variant != Variant::Torch);
        let layers = [("conv", Op::Conv(conv)), ("bn", Op::BatchNorm(norm))];
        let layers = layers.into_iter().zip(names).zip(torch);
        layers.fold(x, |x, (((part, op), name), torch)| {
            let path = format!("{path}.{part}");
            self.net.layer(NewLayer::new(name).at(&path).torch(torch), op, &[x])
        })
    }

    fn relu(&mut self, name: &str, x: NodeId) -> NodeId {
        let layer = match self.variant {
            Variant::Keras2 => NewLayer::automatic(name),
            Variant::Keras | Variant::Torch => NewLayer::new(name),
        };
        self.net.layer(layer, Op::Activation(Activation::Relu), &[x])
    }

    /// Pads the map, in a layer of its own in Keras. Returns the map, and the padding that the next layer must apply.
    fn pad(&mut self, name: &str, pixels: usize, x: NodeId) -> (NodeId, Padding) {
        match self.variant {
            Variant::Keras | Variant::Keras2 => {
                let pad = Op::Pad { pads: [pixels; 4] };
                (self.net.layer(NewLayer::new(name), pad, &[x]), Padding::Valid)
            }
            Variant::Torch => (x, Padding::symmetric(pixels)),
        }
    }
}
