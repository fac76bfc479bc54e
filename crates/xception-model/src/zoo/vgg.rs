//! VGG (Simonyan 2014, arXiv 1409.1556), networks D and E: `keras/src/applications/vgg16.py` and `vgg19.py`, and
//! torchvision's `vgg.py`.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use burn::config::Config;
use graph::{Activation, Builder, ChannelOrder, Conv, Graph, Level, NewLayer, Op, Padding, Pool, PoolKind};

use super::design::{Design, Family, KerasWeights, Published, Torch, variant_option};
use super::head::{Backbone, Head, HeadNames, Pooling};
use super::limits::Limits;
use super::names::Tensors;
use super::variant::Variant;
use crate::error::ConfigError;
use crate::input::Scaling;

/// Smallest height and width, in pixels (`min_size` in `vgg16.py`).
const MIN_INPUT: usize = 32;

/// The network's options. `VggConfig::new()` is `keras.applications.VGG16`.
///
/// ```
/// use xception_model::VggConfig;
///
/// let vgg19 = VggConfig::new().with_convolutions([2, 2, 4, 4, 4]);
/// assert_eq!(vgg19.graph().num_params(), 143_667_240);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct VggConfig {
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
    #[config(default = "Pooling::Flatten")]
    pub pooling: Pooling,
    /// Widths of fully-connected ReLU layers before the classifier (`fc1` and `fc2` in Keras).
    #[config(default = "[4096, 4096].into()")]
    pub hidden_layers: Vec<usize>,
    /// Probability of dropping a feature before the classifier in training (paper, section 3.1: 0.5; none in Keras).
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Convolutions of the five blocks (paper, Table 1): 2, 2, 3, 3, 3 in VGG-16 (D); 2, 2, 4, 4, 4 in VGG-19 (E).
    #[config(default = "[2, 2, 3, 3, 3]")]
    pub convolutions: [usize; 5],
    /// Channels of the five blocks.
    #[config(default = "[64, 128, 256, 512, 512]")]
    pub widths: [usize; 5],
    /// Height and width of the last feature map, where it is flattened: a 32nd of the picture's.
    #[config(default = "[7, 7]")]
    pub map: [usize; 2],
    /// The order in which the map is flattened: pixel by pixel in Keras, channel by channel in PyTorch.
    #[config(default = "Variant::Keras")]
    pub variant: Variant,
}

impl VggConfig {
    /// Length of the embedding: the values of the flattened map, or the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        match self.pooling {
            Pooling::Flatten => self.widths[4] * self.map[0] * self.map[1],
            _ => self.widths[4],
        }
    }

    /// The name for these numbers of convolutions: `VGG-16` for 2, 2, 3, 3 and 3.
    fn title(&self) -> &'static str {
        match self.convolutions {
            [2, 2, 3, 3, 3] => "VGG-16",
            [2, 2, 4, 4, 4] => "VGG-19",
            _ => "VGG",
        }
    }

    /// The network without a head that may have made this graph, guessed from its convolutions and pools.
    fn from_operations(graph: &Graph) -> Option<Self> {
        let mut blocks = Vec::new();
        let (mut count, mut width) = (0, 0);
        for node in &graph.nodes {
            match &node.op {
                Op::Conv(conv) if conv.kernel == [3; 2] => {
                    count += 1;
                    width = conv.channels[1];
                }
                Op::Pool(pool) if pool.kind == PoolKind::Max && blocks.len() < 5 => {
                    blocks.push((count, width));
                    count = 0;
                }
                _ => {}
            }
        }
        let blocks: [(usize, usize); 5] = blocks.try_into().ok()?;
        let order = graph.nodes.iter().find_map(|node| match node.op {
            Op::Flatten { order } => Some(order),
            _ => None,
        });
        Some(
            Self::new()
                .with_in_channels(graph.in_channels())
                .with_convolutions(blocks.map(|(count, _)| count))
                .with_widths(blocks.map(|(_, width)| width))
                .with_include_top(false)
                .with_pooling(Pooling::None)
                .with_variant(match order {
                    Some(ChannelOrder::ChannelsFirst) => Variant::Torch,
                    _ => Variant::Keras,
                }),
        )
    }

    /// The network of these convolutions, each with its block (1 to 5) and its input and output channels.
    fn of_blocks(convs: &[(usize, [usize; 2])]) -> Result<Self, String> {
        let (mut convolutions, mut widths) = ([0; 5], [0; 5]);
        for (block, [_, width]) in convs {
            convolutions[block - 1] += 1;
            widths[block - 1] = *width;
        }
        match convs.first() {
            Some((_, [in_channels, _])) if !convolutions.contains(&0) => Ok(Self::new()
                .with_in_channels(*in_channels)
                .with_convolutions(convolutions)
                .with_widths(widths)),
            _ => Err(format!(
                "expected the five blocks of a VGG, found {convolutions:?} convolutions"
            )),
        }
    }

    /// The same with the head that the length of the first fully-connected layer's input shows.
    fn with_features(mut self, features: Option<usize>) -> Result<Self, String> {
        let channels = self.widths[4];
        match features {
            None => self.pooling = Pooling::Average,
            Some(features) if features == channels => self.pooling = Pooling::Average,
            Some(features) => {
                let side = (features / channels.max(1)).isqrt();
                if side * side * channels != features {
                    return Err(format!(
                        "its first fully-connected layer reads {features} values, which are no square map of \
                         {channels} channels"
                    ));
                }
                self.map = [side; 2];
            }
        }
        Ok(self)
    }
}

impl Design for VggConfig {
    fn validate(&self) -> Result<(), ConfigError> {
        Limits::widths("widths", &self.widths)?;
        Limits::widths("in_channels", &[self.in_channels])?;
        for count in self.convolutions {
            Limits::widths("convolutions", &[count])?;
            Limits::blocks("convolutions", count)?;
        }
        self.head().validate()
    }

    /// The network (paper, Table 1).
    fn graph(&self) -> Graph {
        let (mut net, mut x) = Builder::new(self.title(), self.in_channels);
        let mut levels = Vec::new();
        let mut channels = self.in_channels;
        // The number of the module in PyTorch's sequence: convolutions, ReLUs and pools are counted.
        let mut module = 0;
        for (block, (&count, &width)) in (1..).zip(self.convolutions.iter().zip(&self.widths)) {
            net.block(&format!("block{block}"));
            for number in 1..=count {
                let conv = Conv::new([channels, width], [3; 2], Padding::Same).with_bias(true);
                let (name, path) = (
                    format!("block{block}_conv{number}"),
                    format!("block{block}.conv{number}"),
                );
                let torch = format!("features.{module}");
                let layer = NewLayer::new(&name).at(&path).torch(&torch);
                x = net.layer(layer, Op::Conv(conv), &[x]);
                x = net.part("", "", Op::Activation(Activation::Relu), &[x]);
                channels = width;
                module += 2;
            }
            if block > 1 {
                let stride = 1 << (block - 1);
                levels.push(Level {
                    name: format!("stride_{stride}"),
                    stride,
                    node: x,
                });
            }
            let pool = Op::Pool(Pool::max(2, 2, Padding::Valid));
            x = net.layer(NewLayer::new(&format!("block{block}_pool")), pool, &[x]);
            module += 1;
        }
        levels.push(Level {
            name: "stride_32".into(),
            stride: 32,
            node: x,
        });

        let names = HeadNames {
            hidden: |index| format!("fc{}", index + 1),
            // Each fully-connected layer is followed by a ReLU and a dropout.
            torch: |index, _| format!("classifier.{}", 3 * index),
            order: match self.variant {
                Variant::Keras | Variant::Keras2 => ChannelOrder::ChannelsLast,
                Variant::Torch => ChannelOrder::ChannelsFirst,
            },
        };
        let backbone = Backbone {
            net,
            feature_map: x,
            channels,
            levels,
            min_input: match self.pooling {
                Pooling::Flatten => 32 * self.map[0].min(self.map[1]),
                _ => MIN_INPUT,
            },
        };
        backbone.with_head(&self.head(), &names)
    }

    fn head(&self) -> Head {
        Head {
            pooling: self.pooling,
            include_top: self.include_top,
            hidden_layers: self.hidden_layers.clone(),
            dropout: self.dropout,
            num_classes: self.num_classes,
            map: Some(self.map),
        }
    }

    fn plain_head(&self) -> Head {
        Self::new().head()
    }

    fn set_head(&mut self, head: Head) {
        self.pooling = head.pooling;
        self.include_top = head.include_top;
        self.hidden_layers = head.hidden_layers;
        self.dropout = head.dropout;
        self.num_classes = head.num_classes;
        self.map = head.map.unwrap_or(self.map);
    }

    fn in_channels(&self) -> usize {
        self.in_channels
    }

    fn set_in_channels(&mut self, channels: usize) {
        self.in_channels = channels;
    }

    variant_option!(Keras | Torch);
}

impl Family for VggConfig {
    const NAME: &'static str = "vgg";

    fn published() -> Vec<Published<Self>> {
        let networks = [
            ("vgg16", "Simonyan 2014, network D", "VGG16", [2, 2, 3, 3, 3]),
            ("vgg19", "Simonyan 2014, network E", "VGG19", [2, 2, 4, 4, 4]),
        ];
        let published = networks.map(|(name, paper, keras, convolutions)| Published {
            name,
            paper,
            keras: Some(keras),
            network: Self::new().with_convolutions(convolutions),
            size: 224,
            scaling: Scaling::Caffe,
        });
        published.into()
    }

    fn candidates(graph: &Graph) -> Vec<Self> {
        Self::from_operations(graph).into_iter().collect()
    }

    fn of_tensors(tensors: &Tensors<'_>) -> Option<Result<Self, String>> {
        if !tensors.contains("block1.conv1.weight") {
            return None;
        }
        let found = || {
            let mut convs = Vec::new();
            for block in 1..=5 {
                let path = |number: usize| format!("block{block}.conv{number}");
                let is_there = |number: &usize| tensors.contains(&format!("{}.weight", path(*number)));
                for number in (1..).take_while(is_there) {
                    convs.push((block, tensors.channels(&path(number))?));
                }
            }
            let dense = ["head.hidden.0.weight", "head.predictions.weight"];
            let first = dense.into_iter().find(|name| tensors.contains(name));
            let features = first.map(|name| tensors.side(name, 0)).transpose()?;
            Self::of_blocks(&convs)?.with_features(features)
        };
        Some(found())
    }

    fn torch() -> Option<Torch<Self>> {
        Some(Torch {
            published: Self::new().with_variant(Variant::Torch),
            of_names: of_torch_names,
            // timm's fully-connected layers are convolutions of the whole map.
            renamed: &[
                ("pre_logits.fc1.", "classifier.0."),
                ("pre_logits.fc2.", "classifier.3."),
                ("head.fc.", "classifier.6."),
            ],
            unused: &[],
            flattened: true,
        })
    }

    fn of_keras(weights: &KerasWeights<'_>) -> Option<Result<Self, String>> {
        let block = |name: &str| {
            let (block, conv) = name.strip_prefix("block")?.split_once("_conv")?;
            conv.parse::<usize>().ok()?;
            block.parse::<usize>().ok().filter(|block| (1..=5).contains(block))
        };
        let convs = weights.convs.iter();
        let convs: Vec<(usize, [usize; 2])> = convs
            .filter_map(|(name, kernel)| Some((block(name)?, [kernel[2], kernel[3]])))
            .collect();
        // Xception's first two convolutions have such names, too.
        if convs.len() < 5 {
            return None;
        }
        let features = weights.denses.first().map(|[features, _]| *features);
        Some(Self::of_blocks(&convs).and_then(|found| found.with_features(features)))
    }
}

/// The network with the blocks that these names of torchvision's show; other options are defaults. A pool follows the
/// convolution whose number is 3 before that of the next.
fn of_torch_names(names: &[&str]) -> Result<VggConfig, String> {
    let number = |name: &&str| {
        let (module, kind) = name.strip_prefix("features.")?.split_once('.')?;
        (kind == "weight").then(|| module.parse::<usize>().ok())?
    };
    let mut modules: Vec<usize> = names.iter().filter_map(number).collect();
    modules.sort_unstable();
    let mut convolutions = Vec::from([0]);
    for (index, module) in modules.iter().enumerate() {
        if let Some(last) = convolutions.last_mut() {
            *last += 1;
        }
        match modules.get(index + 1).map(|next| next - module) {
            Some(2) | None => {}
            Some(3) => convolutions.push(0),
            Some(_) => {
                return Err(format!(
                    "features.{module} is no convolution of a VGG without batch norms"
                ));
            }
        }
    }
    let found: Result<[usize; 5], _> = convolutions.try_into();
    match found {
        Ok(convolutions) => Ok(VggConfig::new()
            .with_variant(Variant::Torch)
            .with_convolutions(convolutions)),
        Err(blocks) => Err(format!(
            "expected the five blocks of a VGG, found {blocks:?} convolutions"
        )),
    }
}
