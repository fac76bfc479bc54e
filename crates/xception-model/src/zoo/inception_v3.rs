//! Inception V3 (Szegedy 2015, arXiv 1512.00567): `keras/src/applications/inception_v3.py`, and torchvision's and
//! timm's versions.
//!
//! The layers stand in the order in which both libraries create them, because Keras numbers most of them.

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

/// Smallest height and width, in pixels (`min_size` in `inception_v3.py`).
const MIN_INPUT: usize = 75;
/// The default of `layers.BatchNormalization`, and `BatchNorm2d(eps=0.001)` in torchvision.
const EPSILON: f64 = 1e-3;
/// Channels of the first convolution.
const STEM: usize = 32;
/// Channels of the last feature map.
const FEATURES: usize = 2048;
/// Divisors of all widths.
const DIVISORS: [usize; 5] = [1, 2, 4, 8, 16];

/// The network's options. `InceptionV3Config::new()` is `keras.applications.InceptionV3`.
///
/// ```
/// use xception_model::InceptionV3Config;
///
/// assert_eq!(InceptionV3Config::new().graph().num_params(), 23_851_784);
/// ```
#[derive(Config, Debug, PartialEq)]
pub struct InceptionV3Config {
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
    /// Divides the channels of every convolution: 1, 2, 4, 8 or 16.
    #[config(default = 1)]
    pub width_divisor: usize,
    /// Keras's network, or PyTorch's, whose average pools count padding and whose batch norms have a scale.
    #[config(default = "Variant::Keras")]
    pub variant: Variant,
}

impl InceptionV3Config {
    /// Length of the embedding: the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        FEATURES / self.width_divisor
    }

    /// The network whose first convolution has these channels.
    fn of_stem([in_channels, stem]: [usize; 2]) -> Option<Self> {
        let divisor = DIVISORS.into_iter().find(|divisor| STEM / divisor == stem)?;
        Some(Self::new().with_in_channels(in_channels).with_width_divisor(divisor))
    }
}

impl Design for InceptionV3Config {
    fn validate(&self) -> Result<(), ConfigError> {
        Limits::widths("in_channels", &[self.in_channels])?;
        if !DIVISORS.contains(&self.width_divisor) {
            return Err(ConfigError::Divisor(self.width_divisor, &DIVISORS));
        }
        self.head().validate()
    }

    /// The network (paper, Table 1 and Figures 5 to 7 and 10, as the two libraries have it).
    fn graph(&self) -> Graph {
        let (net, picture) = Builder::new("Inception V3", self.in_channels);
        let mut draft = Draft {
            net,
            variant: self.variant,
            divisor: self.width_divisor,
            block: "",
            torch: "",
            pools: 0,
        };
        let mut levels = Vec::new();
        let mut level = |stride: usize, node| {
            levels.push(Level {
                name: format!("stride_{stride}"),
                stride,
                node,
            });
        };

        let [wide, fine, x] = draft.stem(picture);
        level(2, wide);
        level(4, fine);
        let x = draft.module_a(x, "mixed0", "Mixed_5b", 32);
        let x = draft.module_a(x, "mixed1", "Mixed_5c", 64);
        let x = draft.module_a(x, "mixed2", "Mixed_5d", 64);
        level(8, x);
        let x = draft.module_b(x, "mixed3", "Mixed_6a");
        let x = draft.module_c(x, "mixed4", "Mixed_6b", 128);
        let x = draft.module_c(x, "mixed5", "Mixed_6c", 160);
        let x = draft.module_c(x, "mixed6", "Mixed_6d", 160);
        let x = draft.module_c(x, "mixed7", "Mixed_6e", 192);
        level(16, x);
        let x = draft.module_d(x, "mixed8", "Mixed_7a");
        let x = draft.module_e(x, "mixed9", "mixed9_0", "Mixed_7b");
        let x = draft.module_e(x, "mixed10", "mixed9_1", "Mixed_7c");
        level(32, x);

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
    variant_option!(Keras | Torch);
}

impl Family for InceptionV3Config {
    const NAME: &'static str = "inception-v3";

    fn published() -> Vec<Published<Self>> {
        Vec::from([Published {
            name: "inception_v3",
            paper: "Szegedy 2015",
            keras: Some("InceptionV3"),
            network: Self::new(),
            size: 299,
            scaling: Scaling::Tf,
        }])
    }

    fn candidates(graph: &Graph) -> Vec<Self> {
        let first = graph.nodes.iter().find_map(|node| match &node.op {
            Op::Conv(conv) => Some(conv),
            _ => None,
        });
        let found = first.and_then(|conv| Self::of_stem(conv.channels));
        let backbone = found.map(|found| found.with_include_top(false).with_pooling(Pooling::None));
        let variants = [Variant::Keras, Variant::Torch];
        let networks = backbone
            .into_iter()
            .flat_map(|found| variants.map(|variant| found.clone().with_variant(variant)));
        networks.collect()
    }

    fn of_tensors(tensors: &Tensors<'_>) -> Option<Result<Self, String>> {
        if !tensors.contains("mixed0.branch1x1.conv.weight") {
            return None;
        }
        let channels = tensors.channels("stem.conv1.conv");
        Some(channels.and_then(|channels| {
            Self::of_stem(channels)
                .ok_or_else(|| format!("no Inception V3 has {} channels in its first layer", channels[1]))
        }))
    }

    fn torch() -> Option<Torch<Self>> {
        Some(Torch {
            published: Self::new().with_variant(Variant::Torch),
            of_names: |_| Ok(Self::new().with_variant(Variant::Torch)),
            renamed: &[],
            unused: &["AuxLogits."],
            flattened: false,
        })
    }

    /// Most layers have numbers instead of names: the shapes of all kernels in order decide.
    fn of_keras(weights: &KerasWeights<'_>) -> Option<Result<Self, String>> {
        let [.., inputs, outputs] = weights.convs.first()?.1;
        let found = Self::of_stem([inputs, outputs])?;
        let graph = found.graph();
        let order = graph.keras_order().into_iter();
        let kernels = order.filter_map(|layer| {
            graph.nodes.iter().find_map(|node| match &node.op {
                Op::Conv(conv) if node.layer == layer => {
                    Some([conv.kernel[0], conv.kernel[1], conv.channels[0], conv.channels[1]])
                }
                _ => None,
            })
        });
        let kernels: Vec<[usize; 4]> = kernels.collect();
        let same = kernels.len() <= weights.convs.len()
            && kernels
                .iter()
                .zip(&weights.convs)
                .all(|(ours, (_, theirs))| ours == theirs);
        same.then_some(Ok(found))
    }
}

/// A network under construction.
struct Draft<'a> {
    net: Builder,
    variant: Variant,
    divisor: usize,
    /// The module's name here and in Keras, such as `mixed0`.
    block: &'a str,
    /// The module's name in PyTorch, such as `Mixed_5b`.
    torch: &'a str,
    /// Pools of the module so far.
    pools: usize,
}

impl<'a> Draft<'a> {
    fn module(&mut self, block: &'a str, torch: &'a str) {
        (self.block, self.torch, self.pools) = (block, torch, 0);
        self.net.block(block);
    }

    /// A convolution of stride 1 that keeps the size, its batch norm and its `ReLU`.
    fn conv(&mut self, name: &str, filters: usize, kernel: [usize; 2], x: NodeId) -> NodeId {
        let torch = format!("{}.{name}", self.torch);
        self.conv_norm(name, &torch, filters, (kernel, Padding::Same, 1), x)
    }

    /// A 3 x 3 convolution of stride 2 without padding, its batch norm and its `ReLU`.
    fn halving(&mut self, name: &str, filters: usize, x: NodeId) -> NodeId {
        let torch = format!("{}.{name}", self.torch);
        self.conv_norm(name, &torch, filters, ([3; 2], Padding::Valid, 2), x)
    }

    fn conv_norm(
        &mut self,
        name: &str,
        torch: &str,
        filters: usize,
        (kernel, padding, stride): ([usize; 2], Padding, usize),
        x: NodeId,
    ) -> NodeId {
        let filters = filters / self.divisor;
        let channels = self.net.graph().features(x).unwrap_or_default();
        let conv = Conv::new([channels, filters], kernel, padding).with_stride(stride);
        let (momentum, scale) = match self.variant {
            Variant::Keras | Variant::Keras2 => (0.01, false),
            Variant::Torch => (0.1, true),
        };
        let norm = BatchNorm {
            channels: filters,
            epsilon: EPSILON,
            momentum,
            scale,
            center: true,
        };
        let (name, path) = (format!("{}_{name}", self.block), format!("{}.{name}", self.block));
        let layers = [("conv", Op::Conv(conv)), ("bn", Op::BatchNorm(norm))];
        let x = layers.into_iter().fold(x, |x, (part, op)| {
            let [name, path, torch] = [
                format!("{name}_{part}"),
                format!("{path}.{part}"),
                format!("{torch}.{part}"),
            ];
            self.net
                .layer(NewLayer::automatic(&name).at(&path).torch(&torch), op, &[x])
        });
        let name = format!("{name}_relu");
        self.net
            .layer(NewLayer::automatic(&name), Op::Activation(Activation::Relu), &[x])
    }

    /// A layer without parameters to which Keras gives a number.
    fn automatic(&mut self, name: &str, op: Op, inputs: &[NodeId]) -> NodeId {
        let name = format!("{}_{name}", self.block);
        self.net.layer(NewLayer::automatic(&name), op, inputs)
    }

    fn max_pool(&mut self, x: NodeId) -> NodeId {
        self.pools += 1;
        let name = match self.pools {
            1 => "pool".into(),
            number => format!("pool{number}"),
        };
        self.automatic(&name, Op::Pool(Pool::max(3, 2, Padding::Valid)), &[x])
    }

    fn average_pool(&mut self, x: NodeId) -> NodeId {
        let pool = match self.variant {
            Variant::Keras | Variant::Keras2 => Pool::average(3, 1, Padding::Same),
            // `F.avg_pool2d(x, kernel_size=3, stride=1, padding=1)`
            Variant::Torch => Pool {
                count_padding: true,
                ..Pool::average(3, 1, Padding::symmetric(1))
            },
        };
        self.automatic("pool", Op::Pool(pool), &[x])
    }

    fn concat(&mut self, inputs: &[NodeId]) -> NodeId {
        self.net.layer(NewLayer::new(self.block), Op::Concat, inputs)
    }

    /// Five convolutions and two poolings. Returns the outputs before the poolings, and the last.
    fn stem(&mut self, x: NodeId) -> [NodeId; 3] {
        self.module("stem", "");
        let x = self.conv_norm("conv1", "Conv2d_1a_3x3", STEM, ([3; 2], Padding::Valid, 2), x);
        let x = self.conv_norm("conv2", "Conv2d_2a_3x3", 32, ([3; 2], Padding::Valid, 1), x);
        let wide = self.conv_norm("conv3", "Conv2d_2b_3x3", 64, ([3; 2], Padding::Same, 1), x);
        let x = self.max_pool(wide);
        let x = self.conv_norm("conv4", "Conv2d_3b_1x1", 80, ([1; 2], Padding::Valid, 1), x);
        let fine = self.conv_norm("conv5", "Conv2d_4a_3x3", 192, ([3; 2], Padding::Valid, 1), x);
        let x = self.max_pool(fine);
        [wide, fine, x]
    }

    /// Paper, Figure 5: 35 x 35.
    fn module_a(&mut self, x: NodeId, block: &'a str, torch: &'a str, pooled: usize) -> NodeId {
        self.module(block, torch);
        let one = self.conv("branch1x1", 64, [1; 2], x);

        let five = self.conv("branch5x5_1", 48, [1; 2], x);
        let five = self.conv("branch5x5_2", 64, [5; 2], five);

        let three = self.conv("branch3x3dbl_1", 64, [1; 2], x);
        let three = self.conv("branch3x3dbl_2", 96, [3; 2], three);
        let three = self.conv("branch3x3dbl_3", 96, [3; 2], three);

        let pool = self.average_pool(x);
        let pool = self.conv("branch_pool", pooled, [1; 2], pool);
        self.concat(&[one, five, three, pool])
    }

    /// Paper, Figure 10: from 35 x 35 to 17 x 17.
    fn module_b(&mut self, x: NodeId, block: &'a str, torch: &'a str) -> NodeId {
        self.module(block, torch);
        let three = self.halving("branch3x3", 384, x);

        let double = self.conv("branch3x3dbl_1", 64, [1; 2], x);
        let double = self.conv("branch3x3dbl_2", 96, [3; 2], double);
        let double = self.halving("branch3x3dbl_3", 96, double);

        let pool = self.max_pool(x);
        self.concat(&[three, double, pool])
    }

    /// Paper, Figure 6: 17 x 17, 7 x 7 convolutions as 1 x 7 and 7 x 1.
    fn module_c(&mut self, x: NodeId, block: &'a str, torch: &'a str, width: usize) -> NodeId {
        self.module(block, torch);
        let one = self.conv("branch1x1", 192, [1; 2], x);

        let seven = self.conv("branch7x7_1", width, [1; 2], x);
        let seven = self.conv("branch7x7_2", width, [1, 7], seven);
        let seven = self.conv("branch7x7_3", 192, [7, 1], seven);

        let double = self.conv("branch7x7dbl_1", width, [1; 2], x);
        let double = self.conv("branch7x7dbl_2", width, [7, 1], double);
        let double = self.conv("branch7x7dbl_3", width, [1, 7], double);
        let double = self.conv("branch7x7dbl_4", width, [7, 1], double);
        let double = self.conv("branch7x7dbl_5", 192, [1, 7], double);

        let pool = self.average_pool(x);
        let pool = self.conv("branch_pool", 192, [1; 2], pool);
        self.concat(&[one, seven, double, pool])
    }

    /// From 17 x 17 to 8 x 8.
    fn module_d(&mut self, x: NodeId, block: &'a str, torch: &'a str) -> NodeId {
        self.module(block, torch);
        let three = self.conv("branch3x3_1", 192, [1; 2], x);
        let three = self.halving("branch3x3_2", 320, three);

        let seven = self.conv("branch7x7x3_1", 192, [1; 2], x);
        let seven = self.conv("branch7x7x3_2", 192, [1, 7], seven);
        let seven = self.conv("branch7x7x3_3", 192, [7, 1], seven);
        let seven = self.halving("branch7x7x3_4", 192, seven);

        let pool = self.max_pool(x);
        self.concat(&[three, seven, pool])
    }

    /// Paper, Figure 7: 8 x 8. `inner` is Keras's name for the first concatenation; it numbers the second.
    fn module_e(&mut self, x: NodeId, block: &'a str, inner: &str, torch: &'a str) -> NodeId {
        self.module(block, torch);
        let one = self.conv("branch1x1", 320, [1; 2], x);

        let three = self.conv("branch3x3_1", 384, [1; 2], x);
        let wide = self.conv("branch3x3_2a", 384, [1, 3], three);
        let high = self.conv("branch3x3_2b", 384, [3, 1], three);
        let three = self.net.layer(NewLayer::new(inner), Op::Concat, &[wide, high]);

        let double = self.conv("branch3x3dbl_1", 448, [1; 2], x);
        let double = self.conv("branch3x3dbl_2", 384, [3; 2], double);
        let wide = self.conv("branch3x3dbl_3a", 384, [1, 3], double);
        let high = self.conv("branch3x3dbl_3b", 384, [3, 1], double);
        let double = self.automatic("branch3x3dbl", Op::Concat, &[wide, high]);

        let pool = self.average_pool(x);
        let pool = self.conv("branch_pool", 192, [1; 2], pool);
        self.concat(&[one, three, double, pool])
    }
}
