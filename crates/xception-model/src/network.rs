//! The network: a graph and its parameters.

mod changes;
mod module;
mod pyramid;

use alloc::borrow::ToOwned;
use alloc::string::String;
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use burn::module::ParamGroup;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use graph::{Graph, NodeId, Summary};

pub use self::pyramid::{Pyramid, PyramidLevel};
use crate::error::InputError;
use crate::feature::Feature;
use crate::forward::{ForwardPass, Watch};
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
        self.graph.roles.logits.is_some()
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
        let logits = self.graph.roles.logits.ok_or(InputError::NoTop)?;
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
        let embedding = self.graph.roles.embedding.ok_or(InputError::NoPooling)?;
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
        let map = self.graph.roles.feature_map.ok_or(InputError::NoFeatureMap)?;
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
        let logits = self.graph.roles.logits.ok_or(InputError::NoTop)?;
        let embedding = self.graph.roles.embedding.ok_or(InputError::NoPooling)?;
        let [_, found] = embeddings.dims();
        let expected = self.embedding_len()?;
        if found != expected {
            return Err(InputError::Embedding { expected, found });
        }
        let pass = ForwardPass::new(&self.graph, &self.parameters);
        Ok(pass
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
        let nodes: Vec<NodeId> = self.graph.roles.levels.iter().map(|level| level.node).collect();
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
            let pass = ForwardPass::new(&self.graph, &self.parameters);
            pass.from(NodeId(0), Feature::Map(images), *last, &mut Watch::Node(&mut keep));
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
        let logits = self.graph.roles.logits.ok_or(InputError::NoTop)?;
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

    fn run(&self, images: Tensor<4>, output: NodeId, watch: &mut Watch<'_>) -> Result<Feature, InputError> {
        check(&self.graph, &images)?;
        let pass = ForwardPass::new(&self.graph, &self.parameters);
        Ok(pass.from(NodeId(0), Feature::Map(images), output, watch))
    }
}

/// The summary of a graph for pictures of this size.
pub(crate) fn summary(graph: &Graph, height: usize, width: usize) -> Result<Summary, InputError> {
    check_size(graph, height, width)?;
    Ok(graph.summary([height, width])?)
}

/// Checks that a network takes pictures of this size.
pub(crate) fn check_size(graph: &Graph, height: usize, width: usize) -> Result<(), InputError> {
    if height.min(width) < graph.min_size {
        return Err(InputError::TooSmall {
            height,
            width,
            title: graph.title.clone(),
            least: graph.min_size,
        });
    }
    graph.shapes([height, width])?;
    Ok(())
}

/// Checks that a network can take these pictures.
pub(crate) fn check(graph: &Graph, images: &Tensor<4>) -> Result<(), InputError> {
    let shape @ [batch, channels, height, width] = images.dims();
    let expected = graph.in_channels();
    if batch == 0 {
        Err(InputError::EmptyBatch(shape))
    } else if channels != expected {
        Err(InputError::Channels { expected, shape })
    } else {
        check_size(graph, height, width)
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
