use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::string::ToString;
use alloc::vec::Vec;

use burn::module::{DisplaySettings, Module, ModuleDisplay, Param};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};

use crate::block::Block;
use crate::config::{FlowName, MIN_INPUT, Pooling, Stage, XceptionConfig};
use crate::error::{ConfigError, InputError};
use crate::flow::Flow;
use crate::head::Head;
use crate::stem::Stem;
use crate::summary::Summary;
use crate::watch::Watch;

/// Xception. Made by [`XceptionConfig::init`].
///
/// Pictures are `[batch, channels, height, width]`, RGB, scaled to -1..=1; any size from 71 x 71. A Keras layer is found
/// by its name: `block5_sepconv2` is `middle.block5.sepconv2`, its batch norm `middle.block5.sepconv2.bn`.
///
/// `Display` prints [`Xception::summary`] for a picture of 299 x 299.
#[derive(Module, Debug)]
#[module(custom_display)]
pub struct Xception {
    /// The two ordinary convolutions at the start of the entry flow.
    pub block1: Stem,
    /// Blocks 2 to 4: each halves the resolution.
    pub entry: Flow,
    /// Blocks 5 to 12: the same block, eight times.
    pub middle: Flow,
    /// Blocks 13 and 14.
    pub exit: Flow,
    /// The classifier, unless built without.
    pub head: Option<Head>,
    #[module(skip)]
    config: XceptionConfig,
}

/// Feature maps of falling resolution, for detection and segmentation.
#[derive(Clone, Debug)]
pub struct Pyramid {
    /// The levels, finest first: `stride_2`, `stride_4`, `stride_8`, `stride_16`, `stride_32`.
    pub levels: Vec<PyramidLevel>,
}

/// One level of a [`Pyramid`].
#[derive(Clone, Debug)]
pub struct PyramidLevel {
    /// `stride_2` to `stride_32`, after its place in the network of output stride 32.
    pub name: &'static str,
    /// The Keras name of the block whose output it is.
    pub stage: String,
    /// Input pixels a step stands for: the name's number, or less with a smaller
    /// [`OutputStride`](crate::OutputStride).
    pub stride: usize,
    /// `[batch, channels, height, width]`: the block's output, after its residual sum and before the next ReLU.
    pub features: Tensor<4>,
}

impl Pyramid {
    /// A level by its name.
    pub fn level(&self, name: &str) -> Option<&PyramidLevel> {
        self.levels.iter().find(|level| level.name == name)
    }
}

impl Xception {
    pub(crate) fn new(config: &XceptionConfig, device: &Device) -> Self {
        let stages = config.stages();
        let (stem, rest) = stages.split_first().expect("the table has a first row");
        let flow = |name: FlowName| {
            Flow::new(
                rest.iter()
                    .filter(|stage| stage.flow == name)
                    .map(|stage| Block::new(stage, config, device)),
            )
        };
        Self {
            block1: Stem::new(stem, config, device),
            entry: flow(FlowName::Entry),
            middle: flow(FlowName::Middle),
            exit: flow(FlowName::Exit),
            head: config.include_top.then(|| Head::new(config, device)),
            config: config.clone(),
        }
    }

    /// The configuration it was made from.
    pub fn config(&self) -> &XceptionConfig {
        &self.config
    }

    /// One logit a class; the loss wants these.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for an empty batch, wrong channels, a picture below 71 x 71, or a network without classifier.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        self.classify(images, &mut Watch::Nobody)
    }

    /// One probability a class: the softmax of [`forward`](Self::forward).
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`, rows sum to 1
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn predict(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        Ok(softmax(self.forward(images)?, 1))
    }

    /// The pooled features: what a new classifier is trained on.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, 2048]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input, or a network without pooling.
    pub fn embed(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        self.pooled(images, &mut Watch::Nobody)
    }

    /// The last feature map.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, 2048, height', width']`, 10 x 10 for 299 x 299
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn feature_map(&self, images: Tensor<4>) -> Result<Tensor<4>, InputError> {
        self.features(images, &mut Watch::Nobody)
    }

    /// Feature maps at strides 2, 4, 8, 16 and 32.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn pyramid(&self, images: Tensor<4>) -> Result<Pyramid, InputError> {
        check(&self.config, &images)?;
        let watch = &mut Watch::Nobody;
        let mut levels = Vec::with_capacity(5);
        let mut keep = |stage: &Stage, features: &Tensor<4>| {
            if let Some(name) = stage.level {
                levels.push(PyramidLevel {
                    name,
                    stage: stage.name.clone(),
                    stride: stage.stride,
                    features: features.clone(),
                });
            }
        };

        let mut x = self.block1.forward(images, watch);
        keep(self.block1.stage(), &x);
        for flow in [&self.entry, &self.middle, &self.exit] {
            for block in flow.blocks() {
                x = block.forward(x, watch);
                keep(block.stage(), &x);
            }
        }
        Ok(Pyramid { levels })
    }

    /// One layer's output by its Keras name, such as `block4_sepconv2_bn` or `avg_pool`.
    ///
    /// [`stage_names`](Self::stage_names) lists them. Blocks have their own name (`block4`) for what leaves them.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, channels, height, width]`; vectors as `[batch, features, 1, 1]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input or an unknown name.
    pub fn stage(&self, images: Tensor<4>, name: &str) -> Result<Tensor<4>, InputError> {
        self.check_stage(name)?;
        let mut found = None;
        self.each_stage(images, &mut |stage, output| {
            if stage == name {
                found = Some(output.clone());
            }
        })?;
        found.ok_or_else(|| self.unknown_stage(name))
    }

    /// Whether [`stage`](Self::stage) knows this name. Computes nothing.
    ///
    /// # Errors
    ///
    /// [`InputError::UnknownStage`], with the most similar name.
    pub fn check_stage(&self, name: &str) -> Result<(), InputError> {
        if self.stage_names().iter().any(|stage| stage == name) {
            Ok(())
        } else {
            Err(self.unknown_stage(name))
        }
    }

    fn unknown_stage(&self, name: &str) -> InputError {
        let known = self.stage_names();
        InputError::UnknownStage {
            name: name.to_owned(),
            nearest: nearest(name, &known),
            known,
        }
    }

    /// Shows every layer's output to `look`, by its Keras name, in the order of computation.
    ///
    /// Nothing is kept that `look` does not clone. Vectors come as `[batch, features, 1, 1]`.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn each_stage(&self, images: Tensor<4>, look: &mut dyn FnMut(&str, &Tensor<4>)) -> Result<(), InputError> {
        let watch = &mut Watch::Each(look);
        match (&self.head, self.config.pooling) {
            (Some(_), _) => self.classify(images, watch).map(drop),
            (None, Pooling::None) => self.features(images, watch).map(drop),
            (None, _) => self.pooled(images, watch).map(drop),
        }
    }

    /// As [`forward`](Self::forward), with every layer's output shown to `change`, which may put another tensor of its shape
    /// in its place; the layers after it take that one.
    ///
    /// A leaf in the place of a stage gives gradients with respect to it, and no graph is kept of what is before it.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_changed(
        &self,
        images: Tensor<4>,
        change: &mut dyn FnMut(&str, &mut Tensor<4>),
    ) -> Result<Tensor<2>, InputError> {
        self.classify(images, &mut Watch::Change(change))
    }

    /// The names [`stage`](Self::stage) knows, in the order of computation.
    pub fn stage_names(&self) -> Vec<String> {
        self.config.stage_names()
    }

    /// A table of layers, output shapes, parameters and multiply-adds for a picture of `height` x `width`.
    ///
    /// # Errors
    ///
    /// [`InputError::TooSmall`].
    pub fn summary(&self, height: usize, width: usize) -> Result<Summary, InputError> {
        Summary::new(&self.config, height, width)
    }

    /// The same network with a new, random last layer for `num_classes`; hidden layers stay as they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no classes or a network without classifier.
    pub fn with_num_classes(mut self, num_classes: usize) -> Result<Self, ConfigError> {
        self.config.num_classes = num_classes;
        self.config.validate()?;
        let head = self.head.take().ok_or(ConfigError::NoTop)?;
        let device = head.predictions.weight.device();
        self.head = Some(head.with_num_classes(num_classes, &device));
        Ok(self)
    }

    /// The same network for pictures of `in_channels` channels, its first kernel adapted as timm's
    /// `adapt_input_conv` (`timm/models/_manipulate.py`) does.
    ///
    /// One channel: the kernel's sum over its input channels, so that a grey picture gives what the same picture as RGB
    /// gave. More: the channels repeated in turn and scaled by old / new, so that activations keep their size.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no channels.
    pub fn with_in_channels(mut self, in_channels: usize) -> Result<Self, ConfigError> {
        let old = self.config.in_channels;
        self.config.in_channels = in_channels;
        self.config.validate()?;
        if in_channels == old {
            return Ok(self);
        }
        let kernel = self.block1.conv1.conv.weight.val();
        let kernel = if in_channels == 1 {
            kernel.sum_dim(1)
        } else {
            let repeated = kernel
                .repeat_dim(1, in_channels.div_ceil(old))
                .narrow(1, 0, in_channels);
            repeated * (old as f64 / in_channels as f64)
        };
        let mut block1 = Stem::new(&self.config.stages()[0], &self.config, &kernel.device());
        // A parameter starts a graph: it has no history, not even that of its adaptation.
        block1.conv1.conv.weight = Param::from_tensor(kernel.detach());
        block1.conv1.bn = self.block1.conv1.bn;
        block1.conv2 = self.block1.conv2;
        self.block1 = block1;
        Ok(self)
    }

    fn features(&self, images: Tensor<4>, watch: &mut Watch<'_>) -> Result<Tensor<4>, InputError> {
        check(&self.config, &images)?;
        let x = self.block1.forward(images, watch);
        let x = self.entry.forward(x, watch);
        let x = self.middle.forward(x, watch);
        Ok(self.exit.forward(x, watch))
    }

    fn pooled(&self, images: Tensor<4>, watch: &mut Watch<'_>) -> Result<Tensor<2>, InputError> {
        let (name, pool): (_, fn(Tensor<4>) -> Tensor<4>) = match self.config.pooling {
            Pooling::Average => ("avg_pool", |x| x.mean_dims(&[2, 3])),
            Pooling::Max => ("max_pool", |x| x.max_dims(&[2, 3])),
            Pooling::None => return Err(InputError::NoPooling),
        };
        let mut x = pool(self.features(images, watch)?).flatten::<2>(1, 3);
        watch.see_vector(format_args!("{name}"), &mut x);
        Ok(x)
    }

    fn classify(&self, images: Tensor<4>, watch: &mut Watch<'_>) -> Result<Tensor<2>, InputError> {
        let head = self.head.as_ref().ok_or(InputError::NoTop)?;
        Ok(head.forward(self.pooled(images, watch)?, watch))
    }
}

/// Whether a network of this configuration can take these pictures.
pub(crate) fn check(config: &XceptionConfig, images: &Tensor<4>) -> Result<(), InputError> {
    let shape @ [batch, channels, height, width] = images.dims();
    let expected = config.in_channels;
    if batch == 0 {
        Err(InputError::EmptyBatch(shape))
    } else if channels != expected {
        Err(InputError::Channels { expected, shape })
    } else if height.min(width) < MIN_INPUT {
        Err(InputError::TooSmall { height, width })
    } else {
        Ok(())
    }
}

impl ModuleDisplay for Xception {
    fn format(&self, _: DisplaySettings) -> String {
        match self.summary(299, 299) {
            Ok(summary) => summary.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

/// The known name with the smallest edit distance, if any is close.
#[cfg(feature = "std")]
fn nearest(name: &str, known: &[String]) -> Option<String> {
    known
        .iter()
        .map(|stage| (strsim::levenshtein(name, stage), stage))
        .min()
        .filter(|(distance, _)| *distance <= 3)
        .map(|(_, stage)| stage.clone())
}

#[cfg(not(feature = "std"))]
fn nearest(_: &str, _: &[String]) -> Option<String> {
    None
}
