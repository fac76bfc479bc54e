//! Recognises the graph of a file as an architecture of the zoo.
//!
//! 1. The scaling of the picture and the activation after the classifier are taken out of the graph. The first belongs
//!    to the preprocessing, the second to the meaning of the outputs.
//! 2. The nodes that lie on every path are cuts. The feature map and the embedding are cuts.
//! 3. Each architecture of the zoo proposes the configurations that may have made the graph; their graphs are compared
//!    with it.
//! 4. If one of them equals the graph up to the last feature map, the network gets that architecture's names and paths.
//!    The head stays unchanged.

use alloc::borrow::ToOwned;
use alloc::format;
use alloc::string::{String, ToString};
use alloc::sync::Arc;
use alloc::vec;
use alloc::vec::Vec;

use graph::{
    Activation, Block, Correspondence, GlobalPool, Graph, GraphError, Layer, LayerId, Level, Node, NodeId, Op, Padding,
    PoolKind, Roles, ScaleShift, Shape, Tolerance,
};

use super::architecture::Architecture;
use super::file_graph::FileGraph;
use super::head::{Head, Pooling};
use crate::input::Scaling;
use crate::outputs::Outputs;

/// A network found in a file, and the file's node for each of its nodes.
#[derive(Clone, Debug)]
pub struct Recognised {
    /// The possible networks. There are several if folded batch norms no longer show the constants in which they
    /// differ.
    pub candidates: Vec<Candidate>,
    /// What the outputs are; `None` for numbers without an activation: one may be a logit or a value, several are most
    /// often the logits of a softmax.
    pub outputs: Option<Outputs>,
    /// Whether the outputs are numbers of a fully-connected layer or a convolution, or sums, means and choices of such.
    pub ends_in_logits: bool,
    /// The file's own scaling of pictures. `None` if the file does not scale, or if its constants do not show which
    /// values it expects.
    pub scaling: Option<Scaling>,
    /// Whether the graph begins with constants that are no known scaling and therefore stay part of the network.
    pub scales_inside: bool,
}

/// A network, with the file's node for each of its nodes.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// The network.
    pub architecture: Architecture,
    /// For each node of the network's graph, the node of the file's graph that computes the same output.
    pub correspondence: Correspondence,
}

impl Recognised {
    /// Whether the file takes 0..255 and scales pictures with constants that were taken out of the network.
    pub fn scales_pictures(&self) -> bool {
        self.scaling.is_some() && !self.scales_inside
    }
}

impl Candidate {
    /// The named outputs of the network that the file computes too: the name, and the node of the file's graph.
    pub fn stages(&self) -> Vec<(String, NodeId)> {
        let graph = self.architecture.graph();
        let mut places = self.correspondence.clone();
        for (id, node) in graph.iter() {
            // A folded norm: the output of the file's convolution equals the output of our norm.
            if let (Op::BatchNorm(_), None, Some(input)) = (&node.op, places[id.0], node.inputs.first()) {
                places[id.0] = places[input.0].take();
            }
        }
        let stages = graph.stages().into_iter();
        stages
            .filter_map(|stage| Some((stage.name.to_owned(), places[stage.node.0]?)))
            .collect()
    }
}

/// Finds the network in a file. `folded_norms`: whether batch norms may be missing, as in an export for inference.
/// `no_top`: whether the classifier will be left out.
///
/// # Errors
///
/// A malformed graph, one that cannot take pictures of the size that the file states, or a classifier without a
/// meaning.
pub fn recognise(file: &FileGraph, folded_norms: bool, no_top: bool) -> Result<Recognised, GraphError> {
    file.graph.validate()?;
    if let Some(size) = file.size {
        file.graph.shapes(size)?;
    }
    let plain = Plain::of(file, no_top)?;
    let tolerance = Tolerance {
        folded_norms,
        size: file.size,
    };
    let mut candidates = Vec::new();
    for architecture in Architecture::candidates(&plain.graph) {
        candidates.extend(plain.named(&architecture, tolerance));
    }
    if candidates.is_empty() {
        candidates.push(plain.unnamed(file.size));
    }
    if let Some(picture) = &plain.kept {
        for candidate in &mut candidates {
            candidate.scale(picture);
        }
    }
    Ok(Recognised {
        candidates,
        outputs: plain.outputs,
        ends_in_logits: plain.ends_in_logits,
        scaling: plain.scaling,
        scales_inside: plain.kept.is_some(),
    })
}

impl Candidate {
    /// Puts a file's own order of channels and constants between the picture and the network.
    fn scale(&mut self, picture: &Front) {
        let constants = picture.constants.clone();
        let constants = constants.map(|constants| ("input_scaling", Op::ScaleShift(constants)));
        let channels = picture.channels.clone();
        let order = channels.map(|channels| ("input_channels", Op::Take { channels }));
        for (name, op) in constants.into_iter().chain(order) {
            let graph = self.architecture.graph().with_first(name, op);
            self.architecture = Architecture::Graph(Arc::new(graph));
            self.correspondence.insert(1, None);
        }
    }
}

/// The architecture of the zoo that equals this graph with roles, or the graph itself.
pub(super) fn named(graph: Graph) -> Architecture {
    let file = FileGraph {
        output: graph.output(),
        graph,
        size: None,
        #[cfg(feature = "std")]
        preset: None,
    };
    let found = recognise(&file, false, false)
        .ok()
        .and_then(|found| found.candidates.into_iter().next());
    let own = Architecture::Graph(Arc::new(file.graph));
    match found.map(|candidate| candidate.architecture) {
        // Tensors are found by their names, so an architecture with other names is another network.
        Some(zoo) if zoo.design().is_some() && zoo.tensor_shapes() == own.tensor_shapes() => zoo,
        // The graph's own blocks, levels and smallest picture are better than those guessed from its operations.
        _ => own,
    }
}

/// The part of a file's graph between the scaling of the picture and the activation of the outputs.
struct Plain {
    graph: Graph,
    /// For each node of `graph`, the file's node.
    origins: Vec<NodeId>,
    outputs: Option<Outputs>,
    ends_in_logits: bool,
    scaling: Option<Scaling>,
    /// What is done to the picture first, where it is no known scaling.
    kept: Option<Front>,
}

/// What a graph does to the picture before anything else: another order of channels, then constants.
#[derive(Clone, Default)]
struct Front {
    /// The number of each channel in the picture; `None` if they stay in order.
    channels: Option<Vec<usize>>,
    constants: Option<ScaleShift>,
}

impl Plain {
    fn of(file: &FileGraph, no_top: bool) -> Result<Self, GraphError> {
        let mut graph = file.graph.clone();
        let mut output = file.output;
        let mut outputs = None;
        // The activation behind the classifier.
        while let Op::Dropout { .. } = graph.node(output).op {
            output = graph.node(output).inputs[0];
        }
        output = without_flatten(&graph, output);
        activates_last(&mut graph, output);
        if let Op::Activation(activation) = graph.node(output).op
            && let Some(end) = end_of(activation)
            && is_vector(&graph, output)
        {
            outputs = Some(end);
            output = graph.node(output).inputs[0];
        } else if softmaxes(&graph, output).is_some_and(|sum| (sum - 1.0).abs() < 1e-6) && is_vector(&graph, output) {
            outputs = Some(Outputs::Probabilities);
        }
        output = without_flatten(&graph, output);

        resizes_last(&mut graph);
        let (front, first) = front(&graph);
        let known = front.scaling();
        for input in graph.nodes.iter_mut().flat_map(|node| &mut node.inputs) {
            if *input == first {
                *input = NodeId(0);
            }
        }
        let takes_bytes = front.constants.as_ref().is_some_and(takes_bytes) || scales_later(&graph);
        let scaling = known.or_else(|| takes_bytes.then_some(Scaling::None));
        let is_kept = known.is_none() && (front.channels.is_some() || front.constants.is_some());
        if let Some(size) = file.size {
            pools_of_whole_maps(&mut graph, &file.graph.shapes(size)?);
        }
        without_reshapes(&mut graph, output);

        let mut needed = graph.needed(output);
        needed[0] = true;
        let (mut plain, places) = graph.retained(&needed);
        let mut origins = vec![NodeId(0); plain.nodes.len()];
        for (old, place) in places.iter().enumerate() {
            if let Some(place) = place {
                origins[place.0] = NodeId(old);
            }
        }
        let output = places[output.0].unwrap_or(NodeId(0));
        let outputs_known = outputs;
        plain.roles = roles(&plain, output, outputs_known.is_some());
        let single = plain.roles.logits.is_some() && plain.outputs() == Some(1);
        let outputs = match (outputs_known, single) {
            (Some(Outputs::Sigmoid), true) => Some(Outputs::Binary),
            // A softmax over one number is always 1, so the file cannot mean it.
            (Some(Outputs::Softmax), true) if !no_top => {
                let name = file.graph.layer_of(file.output).name.clone();
                return Err(GraphError::Layer {
                    layer: name,
                    problem: "it is a softmax over one number, which is 1 for every picture; `--no-top` reads the \
                              network before it"
                        .into(),
                });
            }
            (outputs, _) => outputs,
        };
        Ok(Self {
            ends_in_logits: is_linear(&plain, output),
            graph: plain,
            origins,
            outputs,
            scaling,
            kept: is_kept.then_some(front),
        })
    }

    /// The network as a known architecture without its head, followed by this graph's own head; `None` if the graph
    /// does not equal the architecture up to a cut.
    fn named(&self, backbone: &Architecture, tolerance: Tolerance) -> Option<Candidate> {
        let ours = backbone.graph();
        let end = ours.roles.feature_map?;
        let place = ours.counterpart(end, &self.graph, tolerance)?;
        let pairs = ours.correspondence(end, &self.graph, place, tolerance).ok()?;
        if let Some(whole) = self.with_head(backbone, place, tolerance) {
            return Some(whole);
        }
        // Appends the graph's own head to the architecture's nodes.
        let mut graph = (*ours).clone();
        let mut correspondence: Vec<Option<NodeId>> =
            pairs.iter().map(|pair| pair.map(|node| self.origin(node))).collect();
        let mut places: Vec<Option<NodeId>> = vec![None; self.graph.nodes.len()];
        places[place.0] = Some(end);
        let mut layers: Vec<Option<LayerId>> = vec![None; self.graph.layers.len()];
        for (id, node) in self.graph.iter().filter(|(id, _)| id.0 > place.0) {
            let inputs: Option<Vec<NodeId>> = node.inputs.iter().map(|input| places[input.0]).collect();
            // A head may read only the backbone's last output.
            let Some(inputs) = inputs else {
                let behind = self
                    .graph
                    .iter()
                    .any(|(later, reader)| later.0 > id.0 && reader.inputs.contains(&id));
                if behind || Some(id) == self.graph.roles.logits {
                    return None;
                }
                continue;
            };
            let path = |path: &str| {
                if path.is_empty() {
                    String::new()
                } else {
                    format!("head.{path}")
                }
            };
            let layer = layers[node.layer.0].unwrap_or_else(|| {
                let layer = self.graph.layer(node.layer);
                graph.layers.push(Layer {
                    name: unique(&graph, &layer.name),
                    naming: layer.naming,
                    block: Block::HEAD.to_owned(),
                    path: path(&layer.path),
                });
                LayerId(graph.layers.len() - 1)
            });
            layers[node.layer.0] = Some(layer);
            places[id.0] = Some(NodeId(graph.nodes.len()));
            graph.nodes.push(Node {
                op: node.op.clone(),
                inputs,
                layer,
                path: path(&node.path),
                torch: String::new(),
            });
            correspondence.push(Some(self.origin(id)));
        }
        let moved = |node: Option<NodeId>| node.and_then(|node| places[node.0]);
        graph.roles.embedding = moved(self.graph.roles.embedding);
        graph.roles.logits = moved(self.graph.roles.logits);
        if let Some(map) = moved(self.graph.roles.feature_map) {
            graph.roles.feature_map = Some(map);
        }
        graph.validate().ok()?;
        Some(Candidate {
            architecture: Architecture::Graph(Arc::new(graph)),
            correspondence,
        })
    }

    /// The whole network as a known architecture, if this graph's head is one that the architecture's options describe.
    fn with_head(&self, backbone: &Architecture, features: NodeId, tolerance: Tolerance) -> Option<Candidate> {
        let mut pooling = Pooling::None;
        let mut widths = Vec::new();
        let mut dropout = 0.0;
        let mut map = None;
        for (index, node) in self.graph.nodes.iter().enumerate().skip(features.0 + 1) {
            match &node.op {
                Op::GlobalPool(pool) => {
                    pooling = match pool.kind {
                        PoolKind::Average => Pooling::Average,
                        PoolKind::Max => Pooling::Max,
                    };
                }
                Op::Flatten { .. } => {
                    pooling = Pooling::Flatten;
                    map = Some(self.flattened_map(NodeId(index), features, tolerance)?);
                }
                Op::Dense(dense) => widths.push(dense.features[1]),
                Op::Dropout { rate } => dropout = *rate,
                Op::Activation(_) => {}
                _ => return None,
            }
        }
        let num_classes = widths.pop();
        let mut architecture = backbone.clone();
        let design = architecture.design_mut()?;
        design.set_head(Head {
            pooling,
            map,
            ..design.head()
        });
        let mut architecture = architecture.with_dense_layers(num_classes, widths);
        let design = architecture.design_mut()?;
        let head = design.head();
        design.set_head(Head { dropout, ..head });
        architecture.validate().ok()?;
        let ours = architecture.graph();
        let pairs = ours
            .correspondence(ours.output(), &self.graph, self.graph.output(), tolerance)
            .ok()?;
        Some(Candidate {
            architecture,
            correspondence: pairs
                .into_iter()
                .map(|pair| pair.map(|node| self.origin(node)))
                .collect(),
        })
    }

    /// Height and width of the map that a node flattens: those at the file's picture size; without one, those of the
    /// square that the next layer expects.
    fn flattened_map(&self, flatten: NodeId, features: NodeId, tolerance: Tolerance) -> Option<[usize; 2]> {
        if let Some(size) = tolerance.size {
            let shapes = self.graph.shapes(size).ok()?;
            return Some(shapes[features.0].size());
        }
        let pixels = self.graph.features(flatten)? / self.graph.features(features)?;
        let side = pixels.isqrt();
        (side * side == pixels).then_some([side; 2])
    }

    /// The network as its own graph, with its layers in blocks by the resolution of their maps.
    fn unnamed(&self, size: Option<[usize; 2]>) -> Candidate {
        let mut graph = self.graph.clone();
        let smallest = || graph.smallest_size(1024);
        let size = size.or_else(|| {
            [224, 299, 64, 32]
                .map(|side| [side; 2])
                .into_iter()
                .find(|size| graph.shapes(*size).is_ok())
        });
        let size = size.or_else(|| smallest().map(|side| [side; 2]));
        let has_size = |node: &Node| matches!(node.op, Op::Flatten { .. } | Op::Resize { .. });
        graph.min_size = if graph.nodes.iter().any(has_size) {
            size.map_or(1, |[height, width]| height.min(width))
        } else {
            smallest().unwrap_or(1)
        };
        if let Some(shapes) = size.and_then(|size| graph.shapes(size).ok()) {
            let [height, _] = size.unwrap_or_default();
            let stride = |shape: Shape| height.div_ceil(shape.size()[0].max(1)).next_power_of_two();
            let end = graph.roles.feature_map.map_or(0, |map| map.0);
            let cuts = graph.cuts(graph.output());
            let mut levels: Vec<Level> = Vec::new();
            let mut names = vec![Block::HEAD.to_owned(); graph.nodes.len()];
            let mut deepest = 1;
            for index in 0..=end {
                deepest = deepest.max(stride(shapes[index]));
                names[index] = format!("stride_{deepest}");
                if !cuts[index] || index == 0 {
                    continue;
                }
                let level = Level {
                    name: format!("stride_{deepest}"),
                    stride: deepest,
                    node: NodeId(index),
                };
                match levels.last_mut() {
                    Some(last) if last.stride == deepest => *last = level,
                    _ => levels.push(level),
                }
            }
            levels.retain(|level| level.stride > 1);
            levels.truncate(64);
            graph.roles.levels = levels;
            for (index, name) in names.into_iter().enumerate() {
                let layer = graph.nodes[index].layer;
                graph.layers[layer.0].block = name;
            }
        }
        Candidate {
            architecture: Architecture::Graph(Arc::new(graph)),
            correspondence: self.origins.iter().copied().map(Some).collect(),
        }
    }

    fn origin(&self, node: NodeId) -> NodeId {
        self.origins[node.0]
    }
}

/// A layer name that the graph does not have yet.
fn unique(graph: &Graph, name: &str) -> String {
    let taken = |name: &str| graph.layers.iter().any(|layer| layer.name == name);
    if !taken(name) {
        return name.to_string();
    }
    let mut number = 1;
    loop {
        let next = format!("{name}_{number}");
        if !taken(&next) {
            return next;
        }
        number += 1;
    }
}

/// The meaning of outputs that end in this activation.
fn end_of(activation: Activation) -> Option<Outputs> {
    match activation {
        // The softmax of the same numbers is the exponential of the log-softmax.
        Activation::Softmax | Activation::LogSoftmax => Some(Outputs::Softmax),
        Activation::Sigmoid => Some(Outputs::Sigmoid),
        _ => None,
    }
}

/// The sum of the factors, for a sum of softmaxes with such factors (the mean of an ensemble).
fn softmaxes(graph: &Graph, output: NodeId) -> Option<f64> {
    let mut sum = 0.0;
    let mut open = vec![(output, 1.0)];
    // Nodes that are read by several nodes are met several times.
    let mut left = graph.nodes.len();
    while let Some((id, factor)) = open.pop() {
        left = left.checked_sub(1)?;
        let node = graph.node(id);
        match &node.op {
            Op::Activation(Activation::Softmax) => sum += factor,
            Op::Dropout { .. } => open.push((*node.inputs.first()?, factor)),
            Op::GlobalPool(pool) if pool.kind == PoolKind::Average => open.push((*node.inputs.first()?, factor)),
            Op::Add => open.extend(node.inputs.iter().map(|input| (*input, factor))),
            Op::ScaleShift(ScaleShift { scale, shift }) if shift.iter().all(|shift| *shift == 0.0) => {
                let [scale] = scale[..] else { return None };
                open.push((*node.inputs.first().filter(|_| scale > 0.0)?, factor * scale));
            }
            _ => return None,
        }
    }
    Some(sum)
}

/// Whether a network's logits are known as such without an activation behind them.
#[cfg_attr(
    not(feature = "keras"),
    allow(dead_code, reason = "Keras files are written with the feature `keras`")
)]
pub(crate) fn ends_in_logits(graph: &Graph) -> bool {
    graph.roles.embedding.is_some() && graph.roles.logits.is_some_and(|logits| is_linear(graph, logits))
}

/// Whether an output depends only linearly on the last layers with weights before it.
fn is_linear(graph: &Graph, output: NodeId) -> bool {
    let mut met = vec![false; graph.nodes.len()];
    let mut open = vec![output];
    while let Some(id) = open.pop() {
        if core::mem::replace(&mut met[id.0], true) {
            continue;
        }
        let node = graph.node(id);
        match &node.op {
            Op::Dense(_) | Op::Conv(_) => {}
            Op::GlobalPool(pool) if pool.kind == PoolKind::Max => return false,
            Op::BatchNorm(_)
            | Op::ScaleShift(_)
            | Op::Dropout { .. }
            | Op::Add
            | Op::Concat
            | Op::Take { .. }
            | Op::Flatten { .. }
            | Op::ToMap
            | Op::GlobalPool(_) => open.extend(&node.inputs),
            _ => return false,
        }
    }
    true
}

/// Whether these constants expect pictures in 0..255, as small factors and a zero point among the bytes do. Other
/// constants may expect anything.
fn takes_bytes(constants: &ScaleShift) -> bool {
    let has_small_factors = constants.scale.iter().all(|factor| (factor * 255.0).abs() < 32.0);
    let count = constants.scale.len().max(constants.shift.len());
    let at = |values: &[f64], channel: usize| values.get(channel).or(values.first()).copied().unwrap_or(0.0);
    has_small_factors
        || (0..count).all(|channel| {
            let zero = -at(&constants.shift, channel) / at(&constants.scale, channel);
            (64.0..192.0).contains(&zero)
        })
}

/// Whether the picture is scaled from 0..255 behind another operation (a crop, a padding, a clip) and before the first
/// layer with weights. These constants stay where they are.
fn scales_later(graph: &Graph) -> bool {
    let readers = graph.readers();
    let mut at = NodeId(0);
    while readers[at.0] == 1 {
        let Some((next, node)) = graph.iter().find(|(_, node)| node.inputs.contains(&at)) else {
            return false;
        };
        match &node.op {
            Op::ScaleShift(constants) if takes_bytes(constants) => return true,
            Op::Conv(_) | Op::Dense(_) | Op::BatchNorm(_) => return false,
            _ => at = next,
        }
    }
    false
}

impl Front {
    /// The scaling that it equals, if there is one.
    fn scaling(&self) -> Option<Scaling> {
        let constants = self.constants.as_ref()?;
        match self.channels.as_deref() {
            None => Scaling::of_affine(constants),
            Some([2, 1, 0]) => Scaling::of_reversed(constants),
            Some(_) => None,
        }
    }

    /// Does this first, and then the operation; `None` if that is another kind of operation.
    fn then(&self, op: &Op) -> Option<Self> {
        match op {
            Op::Dropout { .. } => Some(self.clone()),
            Op::ScaleShift(next) => Some(Self {
                channels: self.channels.clone(),
                constants: Some(match &self.constants {
                    Some(constants) => constants.then(next)?,
                    None => next.clone(),
                }),
            }),
            // All channels of the picture in another order.
            Op::Take { channels: next } if (0..next.len()).all(|channel| next.contains(&channel)) => {
                let of = |values: &Vec<f64>| match values.len() {
                    1 => Some(values.clone()),
                    _ => next.iter().map(|channel| values.get(*channel).copied()).collect(),
                };
                let constants = match &self.constants {
                    Some(ScaleShift { scale, shift }) => Some(ScaleShift {
                        scale: of(scale)?,
                        shift: of(shift)?,
                    }),
                    None => None,
                };
                let channels: Vec<usize> = match &self.channels {
                    Some(channels) => next
                        .iter()
                        .map(|channel| channels.get(*channel).copied())
                        .collect::<Option<_>>()?,
                    None => next.clone(),
                };
                Some(Self {
                    channels: channels
                        .iter()
                        .enumerate()
                        .any(|(at, channel)| at != *channel)
                        .then_some(channels),
                    constants,
                })
            }
            _ => None,
        }
    }
}

/// Puts constants and orders of channels before a resizing of the picture, so that they are found as its scaling. The
/// weights of a new pixel have the sum 1, so the order makes no difference.
fn resizes_last(graph: &mut Graph) {
    let readers = graph.readers();
    let mut at = NodeId(0);
    while readers[at.0] == 1 {
        let Some((next, node)) = graph.iter().find(|(_, node)| node.inputs.contains(&at)) else {
            break;
        };
        match (&graph.node(at).op, &node.op) {
            (Op::Resize { .. }, Op::ScaleShift(_) | Op::Take { .. }) => {
                let [first, second] = [at, next].map(|id| (graph.node(id).op.clone(), graph.node(id).layer));
                for (id, (op, layer)) in [(at, second), (next, first)] {
                    let node = &mut graph.nodes[id.0];
                    (node.op, node.layer) = (op, layer);
                }
            }
            (_, Op::Resize { .. } | Op::ScaleShift(_) | Op::Take { .. }) => {}
            _ => break,
        }
        at = next;
    }
}

/// The node before a flattening that changes no number: of a vector, or of a vector that was made a map.
fn without_flatten(graph: &Graph, mut id: NodeId) -> NodeId {
    while let (Op::Flatten { .. }, Some(&input)) = (&graph.node(id).op, graph.node(id).inputs.first()) {
        match (&graph.node(input).op, graph.node(input).inputs.first()) {
            (Op::ToMap, Some(&vector)) => id = vector,
            _ if is_vector(graph, input) => id = input,
            _ => break,
        }
    }
    id
}

/// Puts an activation of one pixel behind the flattening of that pixel, so that it is found as the end of a classifier.
fn activates_last(graph: &mut Graph, output: NodeId) {
    let (Op::Flatten { .. }, Some(&input)) = (&graph.node(output).op, graph.node(output).inputs.first()) else {
        return;
    };
    let is_alone = graph.readers()[input.0] == 1 && graph.is_pixel(input);
    if let (Op::Activation(activation), true) = (graph.node(input).op.clone(), is_alone) {
        let flatten = core::mem::replace(&mut graph.nodes[output.0].op, Op::Activation(activation));
        graph.nodes[input.0].op = flatten;
        let layer = graph.node(input).layer;
        graph.nodes[input.0].layer = core::mem::replace(&mut graph.nodes[output.0].layer, layer);
    }
}

/// What the graph does to the picture first, and the last node of it.
fn front(graph: &Graph) -> (Front, NodeId) {
    let readers = graph.readers();
    let mut at = NodeId(0);
    let mut front = Front::default();
    while readers[at.0] == 1 {
        let next = graph.iter().find(|(_, node)| node.inputs.contains(&at));
        let composed = next.and_then(|(id, node)| {
            // A choice of some channels only is no order.
            let is_order = !matches!(&node.op, Op::Take { channels } if graph.features(at) != Some(channels.len()));
            Some((id, front.then(&node.op).filter(|_| is_order)?))
        });
        let Some((id, composed)) = composed else { break };
        (at, front) = (id, composed);
    }
    (front, at)
}

/// Turns a pooling whose window is the whole map, and whose one pixel is flattened, into a global pooling: Keras's
/// ResNet-50 of 2016 ends so, and heads made by hand do. At the file's size of pictures the numbers are the same; at
/// others, only a global pooling gives a vector of the same length.
fn pools_of_whole_maps(graph: &mut Graph, shapes: &[Shape]) {
    let readers = graph.readers();
    for index in 1..graph.nodes.len() {
        let (Op::Flatten { .. }, Some(&input)) = (&graph.nodes[index].op, graph.nodes[index].inputs.first()) else {
            continue;
        };
        let (Op::Pool(pool), 1) = (&graph.nodes[input.0].op, readers[input.0]) else {
            continue;
        };
        let map = graph.nodes[input.0].inputs.first().map(|map| shapes[map.0].size());
        let is_inside = matches!(pool.padding, Padding::Valid | Padding::Same) && pool.dilation == [1; 2];
        if map == Some(pool.window) && is_inside && shapes[input.0].size() == [1; 2] {
            graph.nodes[input.0].op = Op::GlobalPool(GlobalPool {
                kind: pool.kind,
                keep_dims: true,
            });
        }
    }
}

/// Removes operations that change no number: flattening a vector or one pixel, and the `keepdims` of a pool before it.
fn without_reshapes(graph: &mut Graph, output: NodeId) {
    let readers = graph.readers();
    for index in 1..graph.nodes.len() {
        let Some(&input) = graph.nodes[index].inputs.first() else {
            continue;
        };
        let skips = match graph.nodes[index].op {
            Op::Flatten { .. } if is_vector(graph, input) => true,
            Op::Flatten { .. } => match &mut graph.nodes[input.0].op {
                Op::GlobalPool(pool) if readers[input.0] == 1 => {
                    pool.keep_dims = false;
                    true
                }
                _ => false,
            },
            _ => false,
        };
        if skips && NodeId(index) != output {
            for node in &mut graph.nodes[index + 1..] {
                for read in &mut node.inputs {
                    if *read == NodeId(index) {
                        *read = input;
                    }
                }
            }
        }
    }
}

/// Whether a node's output is a vector, as shown by its operation or by its input.
fn is_vector(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let node = graph.node(id);
        match &node.op {
            Op::Dense(_) | Op::Flatten { .. } => return true,
            Op::GlobalPool(pool) => return !pool.keep_dims,
            Op::Input { .. } | Op::Conv(_) | Op::Pool(_) | Op::Pad { .. } | Op::Crop { .. } | Op::ToMap => {
                return false;
            }
            _ => match node.inputs.first() {
                Some(input) => id = *input,
                None => return false,
            },
        }
    }
}

/// The feature map, the embedding and the logits of a graph that ends in `output`. `has_end` says that an activation of
/// a classifier stood behind it.
fn roles(graph: &Graph, output: NodeId, has_end: bool) -> Roles {
    let cuts = graph.cuts(output);
    let is_pooled = |id: NodeId| {
        let keeps = matches!(&graph.node(id).op, Op::GlobalPool(pool) if pool.keep_dims);
        keeps || is_vector(graph, id)
    };
    let on_the_way = || (0..=output.0).map(NodeId).filter(|id| cuts[id.0]);
    let embedding = on_the_way().find(|id| is_pooled(*id));
    let before = embedding.map_or(output.0 + 1, |embedding| embedding.0);
    let is_dropout = |id: &NodeId| matches!(graph.node(*id).op, Op::Dropout { .. });
    let feature_map = on_the_way().rfind(|id| id.0 < before && id.0 > 0 && !is_dropout(id));
    let classifies = |embedding: NodeId| {
        embedding != output
            && (0..=output.0)
                .any(|index| index > embedding.0 && matches!(graph.nodes[index].op, Op::Dense(_) | Op::Conv(_)))
    };
    // A classifier without a vector before its last layers pools maps of classes, or has several branches.
    if !embedding.is_some_and(classifies) {
        let start = feature_map.map_or(0, |map| map.0 + 1);
        let branches = (start..=output.0).any(|index| matches!(graph.nodes[index].op, Op::Dense(_)));
        let last = (0..=output.0).rfind(|index| matches!(graph.nodes[*index].op, Op::Dense(_) | Op::Conv(_)));
        if let (true, Some(last)) = (branches || has_end, last) {
            let maps = on_the_way().rfind(|id| id.0 < last && id.0 > 0 && !is_dropout(id) && !is_pooled(*id));
            return Roles {
                feature_map: if branches { feature_map } else { maps },
                embedding: None,
                logits: Some(output),
                levels: Vec::new(),
            };
        }
    }
    Roles {
        feature_map,
        embedding,
        logits: embedding.filter(|embedding| classifies(*embedding)).map(|_| output),
        levels: Vec::new(),
    }
}
