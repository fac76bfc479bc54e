//! The network as a Burn module: a graph and its parameters.

use alloc::borrow::ToOwned;
use alloc::collections::BTreeMap;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use burn::module::{
    Content, Devices, DisplaySettings, Module, ModuleDisplay, ModuleDisplayDefault, ModuleMapper, ModuleVisitor, Param,
    ParamGroup,
};
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use graph::{Block, Graph, NodeId, Op, Summary};

use crate::error::{ConfigError, InputError};
use crate::feature::Feature;
use crate::forward::{Run, Watch};
use crate::parameters::Parameters;
use crate::zoo::Architecture;

/// A convolutional network. Made by [`XceptionConfig::init`](crate::XceptionConfig::init),
/// [`ResNetConfig::init`](crate::ResNetConfig::init) or [`Architecture::init`].
///
/// Pictures are `[batch, channels, height, width]`, scaled as the weights' card says. A layer's parameters are at the
/// layer's path in the architecture's graph: `block5_sepconv2` of Xception is at `middle.block5.sepconv2`, its batch
/// norm at `middle.block5.sepconv2.bn`.
///
/// `Display` prints [`Network::summary`] for a picture of 299 x 299.
#[derive(Clone, Debug)]
pub struct Network {
    architecture: Architecture,
    graph: Arc<Graph>,
    /// The parameters of each node.
    parameters: Vec<Parameters>,
}

/// Xception.
pub type Xception = Network;

/// Feature maps of falling resolution, for detection and segmentation.
#[derive(Clone, Debug)]
pub struct Pyramid {
    /// The levels, finest first: `stride_2`, `stride_4`, `stride_8`, `stride_16`, `stride_32`.
    pub levels: Vec<PyramidLevel>,
}

/// One level of a [`Pyramid`].
#[derive(Clone, Debug)]
pub struct PyramidLevel {
    /// `stride_2` to `stride_32`, as in a network of output stride 32.
    pub name: String,
    /// The name of the block that outputs the level.
    pub stage: String,
    /// Input pixels between two neighbouring places of the map: the number in the name, or less with a smaller
    /// [`OutputStride`](crate::OutputStride).
    pub stride: usize,
    /// `[batch, channels, height, width]`: the block's output, in Xception after its residual sum and before the next
    /// ReLU.
    pub features: Tensor<4>,
}

impl Pyramid {
    /// The levels marked in a graph, with their feature maps.
    pub(crate) fn of(graph: &Graph, maps: impl Iterator<Item = Tensor<4>>) -> Self {
        let level = |(level, features): (&graph::Level, Tensor<4>)| PyramidLevel {
            name: level.name.clone(),
            stage: graph.layer_of(level.node).block.clone(),
            stride: level.stride,
            features,
        };
        Self {
            levels: graph.taps.levels.iter().zip(maps).map(level).collect(),
        }
    }

    /// The level of this name.
    pub fn level(&self, name: &str) -> Option<&PyramidLevel> {
        self.levels.iter().find(|level| level.name == name)
    }
}

impl Network {
    /// A network with random weights, of an architecture that was validated.
    pub(crate) fn new(architecture: Architecture, device: &Device) -> Self {
        let graph = architecture.graph();
        let parameters = graph
            .nodes
            .iter()
            .map(|node| Parameters::new(&node.op, device))
            .collect();
        Self {
            architecture,
            graph,
            parameters,
        }
    }

    /// A network of a graph and its parameters, one entry for each node.
    #[cfg(feature = "std")]
    pub(crate) fn of_parts(graph: Graph, parameters: Vec<Parameters>) -> Self {
        let graph = Arc::new(graph);
        Self {
            architecture: Architecture::Graph(Arc::clone(&graph)),
            graph,
            parameters,
        }
    }

    /// The network's architecture.
    pub fn architecture(&self) -> &Architecture {
        &self.architecture
    }

    /// The network's operations.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    #[cfg(feature = "std")]
    pub(crate) fn parameters(&self) -> &[Parameters] {
        &self.parameters
    }

    /// The device of the parameters.
    pub fn device(&self) -> Device {
        self.parameters.iter().find_map(Parameters::device).unwrap_or_default()
    }

    /// Whether the network has a classifier.
    pub fn has_top(&self) -> bool {
        self.graph.taps.logits.is_some()
    }

    /// Length of the embedding.
    ///
    /// # Errors
    ///
    /// [`InputError::NoPooling`].
    pub fn embedding_len(&self) -> Result<usize, InputError> {
        self.graph.embedding_len().ok_or(InputError::NoPooling)
    }

    /// The logits, one for each class; a loss takes these.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for an empty batch, wrong channels, a picture too small, or a network without classifier.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        let logits = self.graph.taps.logits.ok_or(InputError::NoTop)?;
        Ok(self.run(images, logits, &mut Watch::Off)?.into_vector())
    }

    /// One probability for each class: the softmax of [`forward`](Self::forward).
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
    /// - output: `[batch, embedding]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input, or a network without pooling.
    pub fn embed(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        let embedding = self.graph.taps.embedding.ok_or(InputError::NoPooling)?;
        Ok(self.run(images, embedding, &mut Watch::Off)?.into_vector())
    }

    /// The last feature map.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, channels', height', width']`, 2048 x 10 x 10 for Xception at 299 x 299
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input, or a network without a feature map.
    pub fn feature_map(&self, images: Tensor<4>) -> Result<Tensor<4>, InputError> {
        let map = self.graph.taps.feature_map.ok_or(InputError::NoFeatureMap)?;
        Ok(self.run(images, map, &mut Watch::Off)?.into_map())
    }

    /// The logits of embeddings, which [`embed`](Self::embed) gives: runs the head alone.
    ///
    /// # Shapes
    ///
    /// - `embeddings`: `[batch, embedding]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a network without pooling or without classifier, or embeddings of another length.
    pub fn forward_head(&self, embeddings: Tensor<2>) -> Result<Tensor<2>, InputError> {
        let logits = self.graph.taps.logits.ok_or(InputError::NoTop)?;
        let embedding = self.graph.taps.embedding.ok_or(InputError::NoPooling)?;
        let [_, found] = embeddings.dims();
        let expected = self.embedding_len()?;
        if found != expected {
            return Err(InputError::Embedding { expected, found });
        }
        let run = Run::new(&self.graph, &self.parameters);
        Ok(run
            .from(embedding, Feature::Vector(embeddings), logits, &mut Watch::Off)
            .into_vector())
    }

    /// Feature maps at strides 2, 4, 8, 16 and 32.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn pyramid(&self, images: Tensor<4>) -> Result<Pyramid, InputError> {
        check(&self.graph, &images)?;
        let nodes: Vec<NodeId> = self.graph.taps.levels.iter().map(|level| level.node).collect();
        let maps = self.outputs(images, &nodes).into_iter().flatten();
        Ok(Pyramid::of(&self.graph, maps.map(Feature::into_map)))
    }

    /// The outputs of `nodes`, in their order, for pictures that were checked.
    pub(crate) fn outputs(&self, images: Tensor<4>, nodes: &[NodeId]) -> Vec<Option<Feature>> {
        let mut found: Vec<Option<Feature>> = vec![None; nodes.len()];
        if let Some(last) = nodes.iter().max() {
            let mut keep = |node: NodeId, output: &mut Feature| {
                for (wanted, kept) in nodes.iter().zip(&mut found) {
                    if *wanted == node {
                        *kept = Some(output.clone());
                    }
                }
            };
            let run = Run::new(&self.graph, &self.parameters);
            run.from(NodeId(0), Feature::Map(images), *last, &mut Watch::Node(&mut keep));
        }
        found
    }

    /// One layer's output by its name, such as `block4_sepconv2_bn` or `avg_pool`.
    ///
    /// [`stage_names`](Self::stage_names) lists the names. A block's own name (`block4`) stands for the block's output.
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
        let node = self.graph.stage(name).ok_or_else(|| self.unknown_stage(name))?;
        Ok(self.run(images, node, &mut Watch::Off)?.into_map())
    }

    /// Whether [`stage`](Self::stage) accepts this name. Computes nothing.
    ///
    /// # Errors
    ///
    /// [`InputError::UnknownStage`], with the most similar name.
    pub fn check_stage(&self, name: &str) -> Result<(), InputError> {
        self.graph
            .stage(name)
            .map(|_| ())
            .ok_or_else(|| self.unknown_stage(name))
    }

    fn unknown_stage(&self, name: &str) -> InputError {
        let known = self.stage_names();
        InputError::UnknownStage {
            name: name.to_owned(),
            nearest: nearest(name, &known),
            known,
        }
    }

    /// Calls `look` with every layer's name and output, in the order of computation.
    ///
    /// An output is freed unless `look` clones it. Vectors come as `[batch, features, 1, 1]`.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn each_stage(&self, images: Tensor<4>, look: &mut dyn FnMut(&str, &Tensor<4>)) -> Result<(), InputError> {
        let names = self.stages_by_node();
        let mut see = |node: NodeId, output: &mut Feature| {
            if !names[node.0].is_empty() {
                let map = output.clone().into_map();
                names[node.0].iter().for_each(|name| look(name, &map));
            }
        };
        self.run(images, self.graph.output(), &mut Watch::Node(&mut see))
            .map(drop)
    }

    /// As [`forward`](Self::forward), but calls `change` with every layer's output. `change` may replace the output by
    /// another tensor of the same shape, which the next layers then read.
    ///
    /// Replacing a stage by a leaf tensor gives gradients with respect to that stage, and keeps no autodiff graph of
    /// the layers before it.
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_changed(
        &self,
        images: Tensor<4>,
        change: &mut dyn FnMut(&str, &mut Tensor<4>),
    ) -> Result<Tensor<2>, InputError> {
        let logits = self.graph.taps.logits.ok_or(InputError::NoTop)?;
        let names = self.stages_by_node();
        let mut see = |node: NodeId, output: &mut Feature| {
            if !names[node.0].is_empty() {
                output.change(|map| names[node.0].iter().for_each(|name| change(name, map)));
            }
        };
        Ok(self.run(images, logits, &mut Watch::Node(&mut see))?.into_vector())
    }

    /// The names that [`stage`](Self::stage) accepts, in the order of computation.
    pub fn stage_names(&self) -> Vec<String> {
        self.graph.stages().iter().map(|stage| stage.name.to_owned()).collect()
    }

    fn stages_by_node(&self) -> Vec<Vec<&str>> {
        let mut names = vec![Vec::new(); self.graph.nodes.len()];
        for stage in self.graph.stages() {
            names[stage.node.0].push(stage.name);
        }
        names
    }

    /// The blocks from the picture to the classifier, each with its name and parameters. A block is frozen as a whole
    /// and has one learning rate.
    pub fn blocks(&self) -> Vec<(String, ParamGroup)> {
        let blocks = self.graph.blocks().into_iter();
        blocks
            .map(|block| {
                let ids = self
                    .graph
                    .iter()
                    .zip(&self.parameters)
                    .filter(|((id, _), _)| self.graph.layer_of(*id).block == block.name)
                    .flat_map(|(_, parameters)| parameters.param_ids());
                (block.name.to_owned(), ParamGroup::from_ids(ids.collect::<Vec<_>>()))
            })
            .collect()
    }

    /// A table of layers, output shapes, parameters and multiply-adds for a picture of `height` x `width`.
    ///
    /// # Errors
    ///
    /// [`InputError::TooSmall`].
    pub fn summary(&self, height: usize, width: usize) -> Result<Summary, InputError> {
        summary(&self.graph, height, width)
    }

    /// The same network with a new, random last layer for `num_classes`; hidden layers stay as they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no classes or a network without classifier.
    pub fn with_num_classes(mut self, num_classes: usize) -> Result<Self, ConfigError> {
        let device = self.device();
        self.architecture = self.architecture.with_num_classes(num_classes)?;
        self.graph = self.architecture.graph();
        if let Some(logits) = self.graph.taps.logits {
            self.parameters[logits.0] = Parameters::new(&self.graph.node(logits).op, &device);
        }
        Ok(self)
    }

    /// The same network without the layers after the embedding, or after the last feature map.
    #[must_use]
    pub fn without_top(self) -> Self {
        let device = self.device();
        Self::new(self.architecture.clone().without_top(), &device).with_backbone(self)
    }

    /// The same network with the parameters of `other` at every path, except in the head, where both have a tensor of
    /// the same shape.
    #[must_use]
    pub fn with_backbone(mut self, other: Self) -> Self {
        let nodes = other.graph.nodes.iter().zip(other.parameters);
        let mut theirs: BTreeMap<&str, (&Op, Parameters)> = nodes
            .filter(|(node, _)| !node.path.is_empty())
            .map(|(node, parameters)| (node.path.as_str(), (&node.op, parameters)))
            .collect();
        for (node, parameters) in self.graph.nodes.iter().zip(&mut self.parameters) {
            if self.graph.layer(node.layer).block != Block::HEAD
                && let Some((op, found)) = theirs.remove(node.path.as_str())
                && op.parameters() == node.op.parameters()
            {
                *parameters = found;
            }
        }
        self
    }

    /// The same network for pictures of `in_channels` channels, its first kernel adapted as timm's
    /// `adapt_input_conv` (`timm/models/_manipulate.py`) does.
    ///
    /// One channel: the kernel's sum over its input channels, so that a grey picture gives the same output as its RGB
    /// copy. More channels: the kernel's channels repeated in turn and scaled by old / new, so that activations keep
    /// their size.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no channels.
    pub fn with_in_channels(mut self, in_channels: usize) -> Result<Self, ConfigError> {
        let old = self.graph.in_channels();
        self.architecture = self.architecture.with_in_channels(in_channels)?;
        if in_channels == old {
            return Ok(self);
        }
        self.graph = self.architecture.graph();
        // A zero padding before the convolution does not change the channels.
        let reads_picture = |index: usize| {
            let mut at = index;
            loop {
                match self.graph.nodes[at].inputs.first() {
                    Some(NodeId(0)) => return true,
                    Some(NodeId(input)) if matches!(self.graph.nodes[*input].op, Op::Pad { .. }) => at = *input,
                    _ => return false,
                }
            }
        };
        for (index, weights) in self.parameters.iter_mut().enumerate() {
            if let Parameters::Conv(conv) = weights
                && reads_picture(index)
            {
                let kernel = conv.weight.val();
                let kernel = if in_channels == 1 {
                    kernel.sum_dim(1)
                } else {
                    let repeated = kernel
                        .repeat_dim(1, in_channels.div_ceil(old))
                        .narrow(1, 0, in_channels);
                    repeated * (old as f64 / in_channels as f64)
                };
                // A new parameter is a leaf without autodiff history, so the history of the adaptation is cut.
                conv.weight = Param::from_tensor(kernel.detach());
            }
        }
        Ok(self)
    }

    /// Moves the network out, and leaves one without parameters, which computes nothing, in its place. An update that
    /// finds no other holder of the weights changes them where they are, without memory for new ones.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let empty = self.clone_description();
        core::mem::replace(self, empty)
    }

    fn run(&self, images: Tensor<4>, output: NodeId, watch: &mut Watch<'_>) -> Result<Feature, InputError> {
        check(&self.graph, &images)?;
        let run = Run::new(&self.graph, &self.parameters);
        Ok(run.from(NodeId(0), Feature::Map(images), output, watch))
    }
}

/// The summary of a graph for pictures of this size.
pub(crate) fn summary(graph: &Graph, height: usize, width: usize) -> Result<Summary, InputError> {
    if height.min(width) < graph.min_size {
        return Err(InputError::TooSmall {
            height,
            width,
            title: graph.title.clone(),
            least: graph.min_size,
        });
    }
    Ok(graph.summary([height, width])?)
}

/// Checks that a network can take these pictures.
pub(crate) fn check(graph: &Graph, images: &Tensor<4>) -> Result<(), InputError> {
    let shape @ [batch, channels, height, width] = images.dims();
    let expected = graph.in_channels();
    if batch == 0 {
        Err(InputError::EmptyBatch(shape))
    } else if channels != expected {
        Err(InputError::Channels { expected, shape })
    } else if height.min(width) < graph.min_size {
        Err(InputError::TooSmall {
            height,
            width,
            title: graph.title.clone(),
            least: graph.min_size,
        })
    } else {
        graph.shapes([height, width])?;
        Ok(())
    }
}

/// The name of the module's container for Burn's visitors.
const CONTAINER: &str = "Struct:Network";

impl Module for Network {
    fn collect_devices(&self, devices: Devices) -> Devices {
        self.parameters
            .iter()
            .fold(devices, |devices, weights| weights.collect_devices(devices))
    }

    fn fork(self, device: &Device) -> Self {
        self.each(|weights| weights.fork(device))
    }

    fn to_device(self, device: &Device) -> Self {
        self.each(|weights| weights.to_device(device))
    }

    fn train(self) -> Self {
        self.each(Parameters::train)
    }

    fn valid(&self) -> Self {
        Self {
            parameters: self.parameters.iter().map(Parameters::valid).collect(),
            ..self.clone_description()
        }
    }

    fn materialize(self) -> Self {
        self.each(Parameters::materialize)
    }

    fn visit<Visitor: ModuleVisitor>(&self, visitor: &mut Visitor) {
        for (node, weights) in self.graph.nodes.iter().zip(&self.parameters) {
            let parts = || node.path.split('.').filter(|part| !part.is_empty());
            parts().for_each(|part| visitor.enter_module(part, CONTAINER));
            weights.visit(visitor);
            parts().rev().for_each(|part| visitor.exit_module(part, CONTAINER));
        }
    }

    fn map<Mapper: ModuleMapper>(self, mapper: &mut Mapper) -> Self {
        let graph = Arc::clone(&self.graph);
        let mut nodes = graph.nodes.iter();
        self.each(|weights| {
            let path = nodes.next().map_or("", |node| node.path.as_str());
            let parts = || path.split('.').filter(|part| !part.is_empty());
            parts().for_each(|part| mapper.enter_module(part, CONTAINER));
            let weights = weights.map(mapper);
            parts().rev().for_each(|part| mapper.exit_module(part, CONTAINER));
            weights
        })
    }
}

impl Network {
    fn each(self, change: impl FnMut(Parameters) -> Parameters) -> Self {
        Self {
            architecture: self.architecture,
            graph: self.graph,
            parameters: self.parameters.into_iter().map(change).collect(),
        }
    }

    fn clone_description(&self) -> Self {
        Self {
            architecture: self.architecture.clone(),
            graph: Arc::clone(&self.graph),
            parameters: Vec::new(),
        }
    }
}

impl ModuleDisplayDefault for Network {
    fn content(&self, content: Content) -> Option<Content> {
        content.set_top_level_type(&self.graph.title).optional()
    }

    fn num_params(&self) -> usize {
        Module::num_params(self)
    }
}

impl ModuleDisplay for Network {
    fn format(&self, _: DisplaySettings) -> String {
        let side = self.graph.min_size.max(299);
        match self.summary(side, side) {
            Ok(summary) => summary.to_string(),
            Err(error) => error.to_string(),
        }
    }
}

impl core::fmt::Display for Network {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.write_str(&self.format(DisplaySettings::default()))
    }
}

/// The known name with the smallest edit distance, if one is close.
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
