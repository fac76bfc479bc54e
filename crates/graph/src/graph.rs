//! The graph: nodes, layers, roles.

use alloc::collections::BTreeSet;
use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;

use serde::{Deserialize, Serialize};

use crate::error::GraphError;
use crate::op::{Activation, Op, Padding};

/// The most nodes of a graph: far more than networks have (Inception-ResNet V2 has 782 layers), and few enough to check
/// quickly.
pub const MAX_NODES: usize = 20_000;
/// The most channels of a map: more than any known network has. Products of two widths, and their sums over all nodes,
/// fit 64 bits.
pub const MAX_CHANNELS: usize = 1 << 24;
/// Longest name.
const MAX_NAME: usize = 500;
/// Longest side of a kernel, window, step or padding.
const MAX_SIDE: usize = 1 << 14;

/// A node's place in [`Graph::nodes`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct NodeId(pub usize);

/// A layer's place in [`Graph::layers`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub usize);

/// An operation and the nodes it reads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Node {
    /// The operation.
    pub op: Op,
    /// The nodes whose outputs this node reads; all stand before it.
    pub inputs: Vec<NodeId>,
    /// The layer that the node belongs to.
    pub layer: LayerId,
    /// The path of its module in a record, such as `entry.block2.sepconv1.depthwise`; empty where it has no parameters.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
    /// The module's name in PyTorch's version of the network, such as `block1.rep.0.conv1`; empty where PyTorch has
    /// none.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub torch: String,
}

/// Where a layer's Keras name comes from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Naming {
    /// [`Layer::name`] is the name in Keras's code.
    #[default]
    Given,
    /// Keras numbers the layer within its class and process (`conv2d_3`); [`Layer::name`] is our own name.
    Automatic,
}

/// One Keras layer.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Layer {
    /// The layer's name, unique in the graph; also the name of the stage that its last node outputs.
    pub name: String,
    /// Whether Keras uses this name.
    #[serde(default)]
    pub naming: Naming,
    /// The block that the layer belongs to; `head` after the embedding.
    pub block: String,
    /// The path of the layer's module in a record; the paths of its nodes are equal to this, or begin with this and a
    /// dot.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub path: String,
}

/// The nodes that output the last feature map, the embedding, the logits and the levels.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Roles {
    /// The last feature map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub feature_map: Option<NodeId>,
    /// The vector that describes a picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub embedding: Option<NodeId>,
    /// One number for each class; a single number for a binary classifier or a regression.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub logits: Option<NodeId>,
    /// The levels of the feature pyramid, finest first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub levels: Vec<Level>,
}

/// A level of the pyramid.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Level {
    /// Name such as `stride_8`.
    pub name: String,
    /// Pixels of the picture between two neighbouring places of the level's map.
    pub stride: usize,
    /// The node that outputs the level's map.
    pub node: NodeId,
}

/// A network.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Graph {
    /// The network's name for people, such as `Xception`.
    pub title: String,
    /// The smallest height and width of a picture, in pixels.
    pub min_size: usize,
    /// The operations in the order of computation; the first is the input.
    pub nodes: Vec<Node>,
    /// The layers.
    pub layers: Vec<Layer>,
    /// The nodes whose outputs are the embedding, the logits and so on. Files call them `taps`.
    #[serde(default, rename = "taps")]
    pub roles: Roles,
}

/// A named output: a layer's, or a block's.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage<'a> {
    /// The name of the layer or of the block.
    pub name: &'a str,
    /// The node with this output.
    pub node: NodeId,
}

/// Consecutive layers that are frozen together and share a learning rate.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block<'a> {
    /// The block's name.
    pub name: &'a str,
    /// The block's last node.
    pub output: NodeId,
    /// The paths of its modules with parameters.
    pub paths: Vec<&'a str>,
}

impl Block<'_> {
    /// The name of the block after the embedding.
    pub const HEAD: &'static str = "head";
}

impl Graph {
    /// A node.
    pub fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.0]
    }

    /// A layer.
    pub fn layer(&self, id: LayerId) -> &Layer {
        &self.layers[id.0]
    }

    /// The layer of a node.
    pub fn layer_of(&self, id: NodeId) -> &Layer {
        self.layer(self.node(id).layer)
    }

    /// All nodes with their ids.
    pub fn iter(&self) -> impl DoubleEndedIterator<Item = (NodeId, &Node)> + ExactSizeIterator {
        self.nodes.iter().enumerate().map(|(index, node)| (NodeId(index), node))
    }

    /// The last output: logits, or the embedding, or the feature map.
    pub fn output(&self) -> NodeId {
        let Roles {
            feature_map,
            embedding,
            logits,
            ..
        } = &self.roles;
        logits
            .or(*embedding)
            .or(*feature_map)
            .unwrap_or(NodeId(self.nodes.len().saturating_sub(1)))
    }

    /// Channels of the picture.
    pub fn in_channels(&self) -> usize {
        match self.nodes.first().map(|node| &node.op) {
            Some(Op::Input { channels }) => *channels,
            _ => 0,
        }
    }

    /// The number of outputs of the classifier: the features of the last dense layer or the channels of the last
    /// convolution before the logits. `None` without a classifier.
    pub fn outputs(&self) -> Option<usize> {
        self.features(self.roles.logits?)
    }

    /// Length of the embedding, where it does not depend on the picture's size.
    pub fn embedding_len(&self) -> Option<usize> {
        self.features(self.roles.embedding?)
    }

    /// Channels or features of a node's output, where they do not depend on the picture's size.
    pub fn features(&self, mut id: NodeId) -> Option<usize> {
        loop {
            let node = self.node(id);
            match &node.op {
                Op::Input { channels } => return Some(*channels),
                Op::Conv(conv) => return Some(conv.channels[1]),
                Op::Dense(dense) => return Some(dense.features[1]),
                Op::BatchNorm(norm) => return Some(norm.channels),
                Op::Take { channels } => return Some(channels.len()),
                Op::Concat => {
                    // DenseNet: walking back from each concatenation would repeat the walk of all earlier ones, so the
                    // counts of all nodes are made once.
                    return self.channel_counts().get(id.0).copied().flatten();
                }
                Op::Flatten { .. } => {
                    let input = *node.inputs.first()?;
                    if !self.is_pixel(input) {
                        return self.flattened_features(id);
                    }
                    id = input;
                }
                _ => id = *node.inputs.first()?,
            }
        }
    }

    /// Whether a node's output is a map of one pixel whatever the size of the picture.
    pub fn is_pixel(&self, mut id: NodeId) -> bool {
        loop {
            let node = self.node(id);
            match &node.op {
                Op::GlobalPool(pool) => return pool.keep_dims,
                Op::ToMap => return true,
                Op::Conv(conv)
                    if conv.kernel != [1; 2] || matches!(conv.padding, Padding::Explicit(sides) if sides != [0; 4]) =>
                {
                    return false;
                }
                Op::Conv(_)
                | Op::Dense(_)
                | Op::Activation(_)
                | Op::BatchNorm(_)
                | Op::ScaleShift(_)
                | Op::Dropout { .. } => match node.inputs.first() {
                    Some(input) => id = *input,
                    None => return false,
                },
                _ => return false,
            }
        }
    }

    /// The length of a flattened map, which depends on the picture's size, is taken from the next dense layer or norm.
    fn flattened_features(&self, id: NodeId) -> Option<usize> {
        self.nodes[id.0..].iter().find_map(|node| match &node.op {
            Op::Dense(dense) => Some(dense.features[0]),
            Op::BatchNorm(norm) => Some(norm.channels),
            _ => None,
        })
    }

    fn channel_counts(&self) -> Vec<Option<usize>> {
        let mut counts: Vec<Option<usize>> = Vec::with_capacity(self.nodes.len());
        for node in &self.nodes {
            let first = node.inputs.first().and_then(|input| counts[input.0]);
            counts.push(match &node.op {
                Op::Input { channels } => Some(*channels),
                Op::Conv(conv) => Some(conv.channels[1]),
                Op::Dense(dense) => Some(dense.features[1]),
                Op::Take { channels } => Some(channels.len()),
                Op::Concat => node
                    .inputs
                    .iter()
                    .try_fold(0_usize, |sum, input| sum.checked_add(counts[input.0]?)),
                Op::Flatten { .. } => None,
                _ => first,
            });
        }
        counts
    }

    /// The nodes that `output` depends on, `output` included.
    pub fn needed(&self, output: NodeId) -> Vec<bool> {
        let mut needed = alloc::vec![false; self.nodes.len()];
        needed[output.0] = true;
        for index in (0..=output.0).rev() {
            if needed[index] {
                for input in &self.nodes[index].inputs {
                    needed[input.0] = true;
                }
            }
        }
        needed
    }

    /// The nodes up to `output` that separate, in this order of computation, everything before them from everything
    /// after: no later node reads an earlier one.
    pub fn cuts(&self, output: NodeId) -> Vec<bool> {
        let needed = self.needed(output);
        let mut cuts = alloc::vec![false; self.nodes.len()];
        let mut earliest = output.0;
        for index in (0..=output.0).rev() {
            cuts[index] = needed[index] && earliest >= index;
            if needed[index] {
                let inputs = self.nodes[index].inputs.iter().map(|input| input.0);
                earliest = inputs.fold(earliest, usize::min);
            }
        }
        cuts
    }

    /// For each node, how many nodes read its output.
    pub fn readers(&self) -> Vec<usize> {
        let mut readers = alloc::vec![0; self.nodes.len()];
        for input in self.nodes.iter().flat_map(|node| &node.inputs) {
            readers[input.0] += 1;
        }
        readers
    }

    /// The last node of each layer.
    pub fn layer_outputs(&self) -> Vec<Option<NodeId>> {
        let mut outputs = alloc::vec![None; self.layers.len()];
        for (id, node) in self.iter() {
            outputs[node.layer.0] = Some(id);
        }
        outputs
    }

    /// The blocks in order, without the input.
    pub fn blocks(&self) -> Vec<Block<'_>> {
        let mut blocks: Vec<Block<'_>> = Vec::new();
        for (id, node) in self.iter() {
            if matches!(node.op, Op::Input { .. }) {
                continue;
            }
            let name = self.layer(node.layer).block.as_str();
            // A graph from a file may return to an earlier block.
            let place = blocks.iter().rposition(|block| block.name == name);
            let place = place.unwrap_or_else(|| {
                blocks.push(Block {
                    name,
                    output: id,
                    paths: Vec::new(),
                });
                blocks.len() - 1
            });
            let block = &mut blocks[place];
            block.output = id;
            if !node.path.is_empty() {
                block.paths.push(&node.path);
            }
        }
        blocks
    }

    /// The named outputs in the order of computation: every layer's, and every block's under the block's name.
    pub fn stages(&self) -> Vec<Stage<'_>> {
        let outputs = self.layer_outputs();
        let names: BTreeSet<&str> = self.layers.iter().map(|layer| layer.name.as_str()).collect();
        let mut block_ends: Vec<(NodeId, &str)> = self
            .blocks()
            .iter()
            .filter(|block| block.name != Block::HEAD && !names.contains(block.name))
            .map(|block| (block.output, block.name))
            .collect();
        block_ends.sort_by_key(|(node, _)| *node);
        let mut ends = block_ends.into_iter().peekable();
        let mut stages = Vec::with_capacity(self.layers.len());
        for (id, node) in self.iter() {
            let silent = matches!(node.op, Op::Input { .. } | Op::Dropout { .. });
            if outputs[node.layer.0] == Some(id) && !silent {
                let name = self.layer(node.layer).name.as_str();
                stages.push(Stage { name, node: id });
            }
            while let Some((_, name)) = ends.next_if(|(end, _)| *end == id) {
                stages.push(Stage { name, node: id });
            }
        }
        stages
    }

    /// The node of the stage with this name.
    pub fn stage(&self, name: &str) -> Option<NodeId> {
        self.stages()
            .into_iter()
            .find(|stage| stage.name == name)
            .map(|stage| stage.node)
    }

    /// The network up to a node, without the nodes it does not depend on. Roles after the node are removed.
    #[must_use]
    pub fn up_to(&self, output: NodeId) -> Self {
        let mut needed = self.needed(output);
        // The input stays the first node, even if no remaining node reads it.
        needed[0] = true;
        self.retained(&needed).0
    }

    /// The same network with this operation applied to the picture before any node reads it, in a layer of this name.
    #[must_use]
    pub fn with_first(&self, name: &str, op: Op) -> Self {
        let moved = |id: NodeId| NodeId(id.0 + 1);
        let mut graph = self.clone();
        let name = String::from(name);
        graph.layers.push(Layer {
            block: graph
                .layers
                .first()
                .map_or_else(|| name.clone(), |layer| layer.block.clone()),
            name,
            naming: Naming::Automatic,
            path: String::new(),
        });
        let scaling = Node {
            op,
            inputs: alloc::vec![NodeId(0)],
            layer: LayerId(graph.layers.len() - 1),
            path: String::new(),
            torch: String::new(),
        };
        // Nodes that read the picture (place 0) now read the scaled picture in place 1; all later places move by one.
        for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            *input = moved(*input);
        }
        graph.nodes.insert(1.min(graph.nodes.len()), scaling);
        let Roles {
            feature_map,
            embedding,
            logits,
            levels,
        } = &mut graph.roles;
        for node in [feature_map, embedding, logits].into_iter().flatten() {
            *node = moved(*node);
        }
        for level in levels {
            level.node = moved(level.node);
        }
        graph
    }

    /// The graph of the marked nodes, and the new place of each node. A marked node must read marked nodes only.
    #[must_use]
    pub fn retained(&self, kept: &[bool]) -> (Self, Vec<Option<NodeId>>) {
        let mut places = alloc::vec![None; self.nodes.len()];
        let mut layers: Vec<Option<LayerId>> = alloc::vec![None; self.layers.len()];
        let mut graph = Self {
            title: self.title.clone(),
            min_size: self.min_size,
            nodes: Vec::new(),
            layers: Vec::new(),
            roles: Roles::default(),
        };
        for (id, node) in self.iter().filter(|(id, _)| kept[id.0]) {
            let layer = *layers[node.layer.0].get_or_insert_with(|| {
                graph.layers.push(self.layer(node.layer).clone());
                LayerId(graph.layers.len() - 1)
            });
            places[id.0] = Some(NodeId(graph.nodes.len()));
            graph.nodes.push(Node {
                inputs: node.inputs.iter().filter_map(|input| places[input.0]).collect(),
                layer,
                ..node.clone()
            });
        }
        let moved = |node: Option<NodeId>| node.and_then(|node| places[node.0]);
        graph.roles = Roles {
            feature_map: moved(self.roles.feature_map),
            embedding: moved(self.roles.embedding),
            logits: moved(self.roles.logits),
            levels: self
                .roles
                .levels
                .iter()
                .filter_map(|level| {
                    Some(Level {
                        node: places[level.node.0]?,
                        ..level.clone()
                    })
                })
                .collect(),
        };
        (graph, places)
    }

    /// Checks a graph that comes from a file: bounded, without cycles, with unique names, every number in its range.
    ///
    /// # Errors
    ///
    /// Names the first bad layer and its problem.
    pub fn validate(&self) -> Result<(), GraphError> {
        let whole = |problem: String| Err(GraphError::Graph(problem));
        if self.nodes.len() > MAX_NODES || self.layers.len() > MAX_NODES {
            let count = self.nodes.len().max(self.layers.len());
            return whole(format!(
                "it has {count} nodes, and no network has more than {MAX_NODES}"
            ));
        }
        if self.min_size == 0 || self.min_size > MAX_SIDE {
            return whole(format!("its smallest picture has {} pixels", self.min_size));
        }
        if !matches!(
            self.nodes.first(),
            Some(Node {
                op: Op::Input { .. },
                ..
            })
        ) {
            return whole("its first node is no input".into());
        }
        let mut names = BTreeSet::new();
        for layer in &self.layers {
            for (what, name) in [("name", &layer.name), ("block", &layer.block)] {
                let printable = !name.is_empty() && name.len() <= MAX_NAME && !name.chars().any(char::is_control);
                if !printable {
                    return whole(format!("a layer has the {what} {:?}", shortened(name)));
                }
            }
            if !names.insert(layer.name.as_str()) {
                return whole(format!("two layers are called {}", layer.name));
            }
        }
        let mut paths = BTreeSet::new();
        for (id, node) in self.iter() {
            let Some(layer) = self.layers.get(node.layer.0) else {
                return whole(format!("node {} belongs to a layer that does not exist", id.0));
            };
            let wrong = |problem: String| Err(GraphError::layer(&layer.name, problem));
            let (least, most) = node.op.arity();
            if !(least..=most).contains(&node.inputs.len()) {
                return wrong(format!("{} with {} inputs", node.op.name(), node.inputs.len()));
            }
            if let Some(input) = node.inputs.iter().find(|input| input.0 >= id.0) {
                return wrong(format!(
                    "it reads node {} before that is computed: the graph has a cycle or is out of order",
                    input.0
                ));
            }
            if id.0 > 0 && matches!(node.op, Op::Input { .. }) {
                return wrong("a second input".into());
            }
            let has_parameters = matches!(node.op, Op::Conv(_) | Op::BatchNorm(_) | Op::Dense(_));
            if has_parameters == node.path.is_empty() {
                return wrong(format!(
                    "{} {} a path of parameters",
                    node.op.name(),
                    if has_parameters { "without" } else { "with" }
                ));
            }
            if has_parameters {
                let parts_fit = node.path.split('.').all(is_path_part);
                if node.path.len() > MAX_NAME || !parts_fit {
                    return wrong(format!("its path is {:?}", shortened(&node.path)));
                }
                if !paths.insert(node.path.as_str()) {
                    return wrong(format!("another layer has the path {}", node.path));
                }
            }
            node.op.check().or_else(wrong)?;
        }
        // Paths `a` and `a.b` cannot both be modules with parameters: some formats could not keep them apart.
        for path in &paths {
            let mut parent = *path;
            while let Some((shorter, _)) = parent.rsplit_once('.') {
                if paths.contains(shorter) {
                    return whole(format!("{path} lies within the parameters of {shorter}"));
                }
                parent = shorter;
            }
        }
        let roles = [self.roles.feature_map, self.roles.embedding, self.roles.logits];
        let levels = self.roles.levels.iter().map(|level| Some(level.node));
        if self.roles.levels.len() > 64 {
            return whole(format!("its pyramid has {} levels", self.roles.levels.len()));
        }
        if roles
            .into_iter()
            .chain(levels)
            .flatten()
            .any(|node| node.0 >= self.nodes.len())
        {
            return whole("a role belongs to a node that does not exist".into());
        }
        Ok(())
    }
}

fn shortened(name: &str) -> String {
    name.chars().take(60).collect()
}

/// Whether a text can be the part of a path between two dots.
fn is_path_part(part: &str) -> bool {
    !part.is_empty() && part.chars().all(|c| c.is_alphanumeric() || c == '_' || c == '-')
}

impl Op {
    /// Checks that every number of the operation is in its range. A file may hold any number.
    ///
    /// # Errors
    ///
    /// The first number that is out of range.
    pub fn check(&self) -> Result<(), String> {
        numbers(self).map_or(Ok(()), Err)
    }
}

/// The first number that is out of range, if any.
fn numbers(op: &Op) -> Option<String> {
    let counts = |what: &str, counts: &[usize]| {
        let outside = counts.iter().find(|count| !(1..=MAX_CHANNELS).contains(*count));
        outside.map(|count| format!("{what} are {count}; they must be from 1 to {MAX_CHANNELS}"))
    };
    let sides = |what: &str, sides: &[usize]| {
        let outside = sides.iter().find(|side| !(1..=MAX_SIDE).contains(*side));
        outside.map(|side| format!("its {what} is {side}; it must be from 1 to {MAX_SIDE}"))
    };
    let padding = |padding: Padding| match padding {
        Padding::Explicit(pads) => pads
            .iter()
            .find(|pad| **pad > MAX_SIDE)
            .map(|pad| format!("it pads {pad} pixels; at most {MAX_SIDE} are possible")),
        Padding::Valid | Padding::Same => None,
    };
    let finite = |what: &str, values: &[f64]| {
        let outside = values.iter().find(|value| !value.is_finite());
        outside.map(|value| format!("its {what} is {value}"))
    };
    match op {
        Op::Input { channels } => counts("its channels", &[*channels]),
        Op::Conv(conv) => counts("its channels", &conv.channels)
            .or_else(|| sides("kernel", &conv.kernel))
            .or_else(|| sides("stride", &conv.stride))
            .or_else(|| sides("dilation", &conv.dilation))
            .or_else(|| padding(conv.padding))
            .or_else(|| {
                let divides = |channels: &usize| conv.groups > 0 && channels.is_multiple_of(conv.groups);
                (!conv.channels.iter().all(divides))
                    .then(|| format!("{} groups do not divide {:?} channels", conv.groups, conv.channels))
            }),
        Op::BatchNorm(norm) => counts("its channels", &[norm.channels]).or_else(|| {
            let fits = norm.epsilon.is_finite() && norm.epsilon > 0.0 && (0.0..=1.0).contains(&norm.momentum);
            (!fits).then(|| format!("its epsilon is {} and its momentum {}", norm.epsilon, norm.momentum))
        }),
        Op::Dense(dense) => counts("its features", &dense.features),
        Op::Pool(pool) => sides("window", &pool.window)
            .or_else(|| sides("stride", &pool.stride))
            .or_else(|| sides("dilation", &pool.dilation))
            .or_else(|| padding(pool.padding)),
        Op::Pad { pads: sides } | Op::Crop { crops: sides } => padding(Padding::Explicit(*sides)),
        Op::Activation(
            Activation::LeakyRelu { slope: value }
            | Activation::Elu { alpha: value }
            | Activation::HardSigmoid { slope: value }
            | Activation::Power { exponent: value },
        ) => finite("parameter", &[*value]),
        Op::Activation(Activation::Clip { min, max }) => {
            finite("bound", &[*min, *max]).or_else(|| (min >= max).then(|| format!("it clips to {min} to {max}")))
        }
        Op::LayerNorm { epsilon } => {
            (!(epsilon.is_finite() && *epsilon > 0.0)).then(|| format!("its epsilon is {epsilon}"))
        }
        Op::GroupNorm { groups, epsilon } => counts("its groups", &[*groups])
            .or_else(|| (!(epsilon.is_finite() && *epsilon > 0.0)).then(|| format!("its epsilon is {epsilon}"))),
        Op::Resize { size, .. } => sides("size", size),
        Op::ScaleShift(constants) => {
            let lengths = [constants.scale.len(), constants.shift.len()];
            counts("its constants", &lengths)
                .or_else(|| finite("scale", &constants.scale))
                .or_else(|| finite("shift", &constants.shift))
        }
        Op::Take { channels } => {
            let outside = channels.iter().find(|channel| **channel >= MAX_CHANNELS);
            counts("its channels", &[channels.len()]).or_else(|| {
                outside.map(|channel| format!("it takes the channel {channel}; at most {MAX_CHANNELS} are possible"))
            })
        }
        Op::Dropout { rate } => {
            (!(0.0..1.0).contains(rate)).then(|| format!("its rate is {rate}; it must be at least 0 and below 1"))
        }
        _ => None,
    }
}
