//! The head: the layers after the last feature map, the same in every architecture of the zoo.

use alloc::format;
use alloc::string::String;
use alloc::vec::Vec;
use core::fmt;

use graph::{
    Activation, Block, Builder, ChannelOrder, Dense, GlobalPool, Graph, Level, NewLayer, NodeId, Op, PoolKind, Roles,
};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use crate::error::ConfigError;
use crate::hidden::HiddenActivation;

/// The paths of the hidden layers are this and a number from 0.
const HIDDEN: &str = "head.hidden.";
/// The path of the classifier.
const PREDICTIONS: &str = "head.predictions";

/// How the last feature map becomes one vector for each picture (`pooling` in Keras).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Pooling {
    /// Mean over height and width, as in the paper.
    Average,
    /// Largest value over height and width.
    Max,
    /// All values of the map, flattened (VGG). The network takes pictures of one size.
    Flatten,
    /// No pooling: the network ends in its feature map.
    None,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Average => "average",
            Self::Max => "max",
            Self::Flatten => "flatten",
            Self::None => "none",
        })
    }
}

/// The options of a head.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Head {
    pub pooling: Pooling,
    pub include_top: bool,
    pub hidden_layers: Vec<usize>,
    pub dropout: f64,
    pub num_classes: usize,
    /// Height and width of a map that is flattened.
    pub map: Option<[usize; 2]>,
}

/// The names of the head's layers in an architecture.
pub(super) struct HeadNames {
    /// The name of a hidden layer in Keras, by its number from 0.
    pub hidden: fn(usize) -> String,
    /// The name of a layer in PyTorch, by its number from 0 and the number of hidden layers; empty where PyTorch has no
    /// such layer.
    pub torch: fn(usize, usize) -> String,
    /// The order of a flattened map.
    pub order: ChannelOrder,
}

impl HeadNames {
    /// One layer, which PyTorch calls `fc`.
    pub const FC: Self = Self {
        hidden: |index| format!("hidden_{index}"),
        torch: |index, hidden| if index == hidden { "fc".into() } else { String::new() },
        order: ChannelOrder::ChannelsLast,
    };
    /// Names of our own.
    pub const OWN: Self = Self {
        torch: |_, _| String::new(),
        ..Self::FC
    };
}

/// An architecture's layers up to the last feature map.
pub(super) struct Backbone {
    pub net: Builder,
    pub feature_map: NodeId,
    /// Channels of the feature map.
    pub channels: usize,
    pub levels: Vec<Level>,
    /// The least height and width of a picture.
    pub min_input: usize,
}

impl Backbone {
    /// The whole network.
    pub fn with_head(self, head: &Head, names: &HeadNames) -> Graph {
        let Self {
            mut net,
            feature_map,
            channels,
            levels,
            min_input,
        } = self;
        let (embedding, logits) = head.build(&mut net, feature_map, channels, names);
        let roles = Roles {
            feature_map: Some(feature_map),
            embedding,
            logits,
            levels,
        };
        net.finish(roles, min_input)
    }
}

impl Head {
    pub fn validate(&self) -> Result<(), ConfigError> {
        Limits::classes(self.num_classes)?;
        Limits::widths("hidden_layers", &self.hidden_layers)?;
        Limits::blocks("hidden_layers", self.hidden_layers.len())?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConfigError::Dropout(self.dropout));
        }
        match (self.pooling, self.map) {
            (Pooling::None, _) if self.include_top => Err(ConfigError::TopWithoutPooling),
            (Pooling::Flatten, None) => Err(ConfigError::Flatten),
            (Pooling::Flatten, Some(map)) => Limits::widths("map", &map),
            _ => Ok(()),
        }
    }

    /// Adds the layers after a feature map of `channels`, and returns the nodes of the embedding and the logits.
    pub fn build(
        &self,
        net: &mut Builder,
        features: NodeId,
        channels: usize,
        names: &HeadNames,
    ) -> (Option<NodeId>, Option<NodeId>) {
        net.block(Block::HEAD);
        let pool = |kind| Op::GlobalPool(GlobalPool { kind, keep_dims: false });
        let (name, op) = match self.pooling {
            Pooling::Average => ("avg_pool", pool(PoolKind::Average)),
            Pooling::Max => ("max_pool", pool(PoolKind::Max)),
            Pooling::Flatten => ("flatten", Op::Flatten { order: names.order }),
            Pooling::None => return (None, None),
        };
        let embedding = net.layer(NewLayer::new(name), op, &[features]);
        let length = match (self.pooling, self.map) {
            (Pooling::Flatten, Some([height, width])) => channels * height * width,
            _ => channels,
        };
        let logits = self.include_top.then(|| self.classifier(net, embedding, length, names));
        (Some(embedding), logits)
    }

    /// Adds the classifier after an embedding of this length.
    pub fn classifier(&self, net: &mut Builder, embedding: NodeId, length: usize, names: &HeadNames) -> NodeId {
        net.block(Block::HEAD);
        let dense = |features: [usize; 2]| Op::Dense(Dense { features, bias: true });
        let count = self.hidden_layers.len();
        let (mut x, mut inputs) = (embedding, length);
        for (index, &width) in self.hidden_layers.iter().enumerate() {
            let (name, path) = ((names.hidden)(index), format!("{HIDDEN}{index}"));
            let torch = (names.torch)(index, count);
            let layer = NewLayer::new(&name).at(&path).torch(&torch);
            x = net.layer(layer, dense([inputs, width]), &[x]);
            x = net.part("", "", Op::Activation(Activation::Relu), &[x]);
            inputs = width;
        }
        if self.dropout > 0.0 {
            x = net.layer(NewLayer::new("dropout"), Op::Dropout { rate: self.dropout }, &[x]);
        }
        let torch = (names.torch)(count, count);
        let layer = NewLayer::new("predictions").at(PREDICTIONS).torch(&torch);
        net.layer(layer, dense([inputs, self.num_classes]), &[x])
    }
}

/// The fully-connected layers of a head that [`Head`] has built, in order.
fn denses(graph: &Graph) -> impl Iterator<Item = (NodeId, &Dense)> {
    graph.iter().filter_map(|(id, node)| match &node.op {
        Op::Dense(dense) if node.path.starts_with(HIDDEN) || node.path == PREDICTIONS => Some((id, dense)),
        _ => None,
    })
}

/// The activation after the hidden layers of a head that [`Head`] has built; `None` without hidden layers.
pub(super) fn hidden_activation(graph: &Graph) -> Option<HiddenActivation> {
    let activation = |(id, _): (NodeId, &Dense)| {
        let behind = graph.iter().find(|(_, node)| node.inputs.first() == Some(&id))?;
        Some(HiddenActivation(match behind.1.op {
            Op::Activation(activation) => Some(activation),
            _ => None,
        }))
    };
    let mut hidden = denses(graph).filter(|(id, _)| graph.node(*id).path != PREDICTIONS);
    let first = activation(hidden.next()?)?;
    hidden.all(|dense| activation(dense) == Some(first)).then_some(first)
}

/// The same head with another activation after its hidden layers, instead of `ReLU`.
pub(super) fn with_hidden_activation(mut graph: Graph, HiddenActivation(activation): HiddenActivation) -> Graph {
    let hidden: Vec<NodeId> = denses(&graph).map(|(id, _)| id).collect();
    let mut kept = alloc::vec![true; graph.nodes.len()];
    for (index, keep) in kept.iter_mut().enumerate().skip(1) {
        let is_behind = graph.nodes[index]
            .inputs
            .first()
            .is_some_and(|input| hidden.contains(input));
        let Op::Activation(found) = &mut graph.nodes[index].op else {
            continue;
        };
        if !is_behind {
            continue;
        }
        match activation {
            Some(activation) => *found = activation,
            None => *keep = false,
        }
    }
    // A reader of an activation that is left out reads the activation's layer.
    for index in 1..graph.nodes.len() {
        for at in 0..graph.nodes[index].inputs.len() {
            let input = graph.nodes[index].inputs[at];
            if !kept[input.0] {
                graph.nodes[index].inputs[at] = graph.nodes[input.0].inputs[0];
            }
        }
    }
    graph.retained(&kept).0
}

/// The same head with the biases that `biases` lists: of the hidden layers in order, then of the classifier.
pub(super) fn with_head_biases(mut graph: Graph, biases: &[bool]) -> Graph {
    let ids: Vec<NodeId> = denses(&graph).map(|(id, _)| id).collect();
    for (id, bias) in ids.into_iter().zip(biases) {
        if let Op::Dense(dense) = &mut graph.nodes[id.0].op {
            dense.bias = *bias;
        }
    }
    graph
}
