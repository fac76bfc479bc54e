use alloc::format;
use alloc::string::String;
use alloc::vec;
use alloc::vec::Vec;

use burn::config::Config;
use burn::tensor::Device;
use serde::{Deserialize, Serialize};

use crate::error::ConfigError;
use crate::xception::Xception;

/// Smallest height and width, in pixels (`min_size` in `keras/src/applications/xception.py`).
pub const MIN_INPUT: usize = 71;

/// Bounds on what a file can ask for, far above any network anyone trains: they keep every product of two widths, and
/// every sum over the layers, within 64 bits.
const MAX_CLASSES: usize = 1 << 24;
const MAX_WIDTH: usize = 1 << 16;
const MAX_BLOCKS: usize = 1 << 10;

/// How the last feature map becomes one vector a picture (`pooling` in Keras).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Mean over height and width, as in the paper.
    Average,
    /// Largest value over height and width.
    Max,
    /// No pooling: the network ends in its feature map.
    None,
}

/// What stands between the depthwise and the pointwise convolution (paper, section 4.7 and Figure 10).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum IntermediateActivation {
    /// Nothing: the paper's choice, which trained fastest and ended best.
    None,
    /// Rectified linear unit.
    Relu,
    /// Exponential linear unit, alpha 1.
    Elu,
}

/// Which half of a separable convolution comes first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum SeparableOrder {
    /// 3 x 3 depthwise, then 1 x 1 pointwise: Xception, and what "separable convolution" means in Keras.
    DepthwiseFirst,
    /// 1 x 1 pointwise, then 3 x 3 on every output channel: the "extreme" Inception module (paper, Figure 4).
    PointwiseFirst,
}

/// Pixels of the input a step in the last feature map stands for.
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

/// Whose constants the network was trained with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Variant {
    /// Keras: batch-norm epsilon 1e-3 and momentum 0.99 (`keras/src/layers/normalization/batch_normalization.py`);
    /// pools pad as `same`, the odd pixel at the end.
    Keras,
    /// timm and Cadene: batch-norm epsilon 1e-5 and momentum 0.9 (PyTorch's 0.1); pools pad one pixel on every side
    /// (`nn.MaxPool2d(3, 2, 1)` in timm's `xception.py`).
    Torch,
}

impl Variant {
    /// Added to the variance before its square root.
    pub const fn epsilon(self) -> f64 {
        match self {
            Self::Keras => 1e-3,
            Self::Torch => 1e-5,
        }
    }

    /// Weight of a new batch in the running statistics, Burn's and PyTorch's sense: 1 minus Keras's momentum.
    pub const fn momentum(self) -> f64 {
        match self {
            Self::Keras => 0.01,
            Self::Torch => 0.1,
        }
    }
}

/// Channels of every stage; the defaults are the paper's Figure 5.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Widths {
    /// The two convolutions of block 1.
    pub stem: [usize; 2],
    /// Blocks 2, 3 and 4; the last is also the width of the middle flow.
    pub entry: [usize; 3],
    /// The second convolution of block 13 and the two of block 14; the last is the length of the embedding.
    pub exit: [usize; 3],
}

impl Default for Widths {
    fn default() -> Self {
        Self {
            stem: [32, 64],
            entry: [128, 256, 728],
            exit: [1024, 1536, 2048],
        }
    }
}

/// The network's shape and constants. `XceptionConfig::new()` is `keras.applications.Xception`.
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
    /// Probability of dropping a feature before the classifier while training (paper, section 4.3: 0.5 for ImageNet;
    /// none in Keras).
    #[config(default = 0.0)]
    pub dropout: f64,
    /// Repetitions of the middle flow's block (paper, Figure 5: 8).
    #[config(default = 8)]
    pub middle_blocks: usize,
    /// Channels of every stage.
    #[config(default = "Widths::default()")]
    pub widths: Widths,
    /// Whether the blocks have residual connections (paper, section 4.6 and Figure 9).
    #[config(default = true)]
    pub residual: bool,
    /// What stands between depthwise and pointwise convolution.
    #[config(default = "IntermediateActivation::None")]
    pub intermediate_activation: IntermediateActivation,
    /// Which half of a separable convolution comes first.
    #[config(default = "SeparableOrder::DepthwiseFirst")]
    pub order: SeparableOrder,
    /// Resolution of the last feature map.
    #[config(default = "OutputStride::S32")]
    pub output_stride: OutputStride,
    /// Whose batch-norm constants and pool padding.
    #[config(default = "Variant::Keras")]
    pub variant: Variant,
}

impl Default for XceptionConfig {
    fn default() -> Self {
        Self::new()
    }
}

/// The part of the network a block belongs to (paper, Figure 5).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FlowName {
    /// Blocks 1 to 4.
    Entry,
    /// Blocks 5 to 12.
    Middle,
    /// Blocks 13 and 14.
    Exit,
}

/// One row of the architecture: a block of convolutions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// `block1`, `block2`, ... counted through the whole network.
    pub name: String,
    /// The flow it stands in.
    pub flow: FlowName,
    /// Its convolutions in order, each followed by a batch norm.
    pub layers: Vec<Layer>,
    /// The max pooling at its end.
    pub pool: Option<Pool>,
    /// What is added to its output.
    pub shortcut: Shortcut,
    /// Input pixels a step of its output stands for.
    pub stride: usize,
    /// The name of its output in [`Xception::pyramid`], if it is a level: the last block of each resolution.
    pub level: Option<&'static str>,
}

/// One convolution of a [`Stage`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Layer {
    /// Its full Keras name, `block5_sepconv2`.
    pub name: String,
    /// Ordinary or separable.
    pub kind: LayerKind,
    /// Input and output channels.
    pub channels: [usize; 2],
    /// Where a ReLU stands.
    pub relu: Relu,
}

/// The kind of a [`Layer`]; all kernels are 3 x 3.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LayerKind {
    /// An ordinary convolution without padding.
    Conv {
        /// Step in both directions.
        stride: usize,
    },
    /// A separable convolution that keeps height and width.
    Separable {
        /// Distance between the taps of the depthwise kernel.
        dilation: usize,
    },
}

/// Where a [`Layer`] has its ReLU.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Relu {
    /// On its input (blocks 3 to 13).
    Before,
    /// After its batch norm (blocks 1 and 14).
    After,
    /// Nowhere (the first convolution of block 2).
    Absent,
}

/// A 3 x 3 max pooling.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Pool {
    /// Step in both directions: 2, or 1 where [`OutputStride`] keeps the resolution.
    pub stride: usize,
    /// Distance between the taps.
    pub dilation: usize,
}

/// What a [`Stage`] adds to its output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Shortcut {
    /// Nothing.
    Absent,
    /// Its input (middle flow).
    Identity,
    /// Its input through a 1 x 1 convolution and a batch norm.
    Projection {
        /// Step of the convolution in both directions.
        stride: usize,
    },
}

impl Stage {
    /// Channels of the block's input.
    pub fn in_channels(&self) -> usize {
        self.layers.first().map_or(0, |layer| layer.channels[0])
    }

    /// Channels of the block's output.
    pub fn out_channels(&self) -> usize {
        self.layers.last().map_or(0, |layer| layer.channels[1])
    }
}

impl XceptionConfig {
    /// Initializes a network with random weights.
    ///
    /// Kernels are Glorot-uniform and biases zero, as in Keras.
    ///
    /// # Errors
    ///
    /// A [`ConfigError`] names the option that makes no network.
    pub fn init(&self, device: &Device) -> Result<Xception, ConfigError> {
        self.validate()?;
        Ok(Xception::new(self, device))
    }

    /// Checks that the options describe a network.
    ///
    /// # Errors
    ///
    /// The first option that does not.
    pub fn validate(&self) -> Result<(), ConfigError> {
        let Widths { stem, entry, exit } = &self.widths;
        let counts = [
            ("num_classes", self.num_classes),
            ("in_channels", self.in_channels),
            ("hidden_layers", self.hidden_layers.iter().copied().min().unwrap_or(1)),
            ("widths.stem", stem[0].min(stem[1])),
            ("widths.entry", entry[0].min(entry[1]).min(entry[2])),
            ("widths.exit", exit[0].min(exit[1]).min(exit[2])),
        ];
        if let Some((name, _)) = counts.into_iter().find(|(_, count)| *count == 0) {
            return Err(ConfigError::Zero(name));
        }
        let most = |counts: &[usize]| counts.iter().copied().max().unwrap_or(0);
        let widest = [
            most(stem),
            most(entry),
            most(exit),
            most(&self.hidden_layers),
            self.in_channels,
        ];
        for (name, count, limit) in [
            ("num_classes", self.num_classes, MAX_CLASSES),
            ("widths, hidden_layers and in_channels", most(&widest), MAX_WIDTH),
            ("middle_blocks", self.middle_blocks, MAX_BLOCKS),
            ("hidden_layers", self.hidden_layers.len(), MAX_BLOCKS),
        ] {
            if count > limit {
                return Err(ConfigError::TooLarge { name, count, limit });
            }
        }
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConfigError::Dropout(self.dropout));
        }
        if self.include_top && self.pooling == Pooling::None {
            return Err(ConfigError::TopWithoutPooling);
        }
        Ok(())
    }

    /// Length of the embedding: the channels of the last feature map.
    pub fn embedding_len(&self) -> usize {
        self.widths.exit[2]
    }

    /// The architecture: every block from the picture to the last feature map (paper, Figure 5).
    pub fn stages(&self) -> Vec<Stage> {
        use FlowName::{Entry, Exit, Middle};

        let Widths { stem, entry, exit } = &self.widths;
        let middle = entry[2];

        // flow, output channels of each separable convolution, whether the block halves the resolution
        let mut rows = vec![
            (Entry, vec![entry[0]; 2], true),
            (Entry, vec![entry[1]; 2], true),
            (Entry, vec![entry[2]; 2], true),
        ];
        rows.extend((0..self.middle_blocks).map(|_| (Middle, vec![middle; 3], false)));
        rows.push((Exit, vec![middle, exit[0]], true));
        rows.push((Exit, vec![exit[1], exit[2]], false));
        let last = rows.len() - 1;

        let mut stages = vec![self.stem_stage(*stem)];
        let mut channels = stem[1];
        let mut stride = 2;
        let mut dilation = 1;
        for (index, (flow, widths, halves)) in rows.into_iter().enumerate() {
            let name = format!("block{}", index + 2);
            let layers = (1..)
                .zip(widths)
                .map(|(number, width)| Layer {
                    name: format!("{name}_sepconv{number}"),
                    kind: LayerKind::Separable { dilation },
                    channels: [core::mem::replace(&mut channels, width), width],
                    relu: match (index, number) {
                        (0, 1) => Relu::Absent,
                        _ if index == last => Relu::After,
                        _ => Relu::Before,
                    },
                })
                .collect();

            let step = if halves && stride < self.output_stride.pixels() {
                2
            } else {
                1
            };
            stride *= step;
            stages.push(Stage {
                name,
                flow,
                layers,
                pool: halves.then_some(Pool { stride: step, dilation }),
                shortcut: match flow {
                    _ if !self.residual || index == last => Shortcut::Absent,
                    Middle => Shortcut::Identity,
                    Entry | Exit => Shortcut::Projection { stride: step },
                },
                stride,
                level: match index {
                    0 => Some("stride_4"),
                    1 => Some("stride_8"),
                    _ if index + 2 == last => Some("stride_16"),
                    _ if index == last => Some("stride_32"),
                    _ => None,
                },
            });
            if halves && step == 1 {
                dilation *= 2;
            }
        }
        stages
    }

    fn stem_stage(&self, [first, second]: [usize; 2]) -> Stage {
        let layer = |name: &str, channels, stride| Layer {
            name: name.into(),
            kind: LayerKind::Conv { stride },
            channels,
            relu: Relu::After,
        };
        Stage {
            name: "block1".into(),
            flow: FlowName::Entry,
            layers: vec![
                layer("block1_conv1", [self.in_channels, first], 2),
                layer("block1_conv2", [first, second], 1),
            ],
            pool: None,
            shortcut: Shortcut::Absent,
            stride: 2,
            level: Some("stride_2"),
        }
    }
}
