//! The head: the layers after the last feature map, the same in every architecture of the zoo.

use alloc::format;
use alloc::vec::Vec;
use core::fmt;

use graph::{Activation, Block, Builder, Dense, GlobalPool, Graph, NewLayer, NodeId, Op, PoolKind};
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
    /// No pooling: the network ends in its feature map.
    None,
}

impl fmt::Display for Pooling {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Average => "average",
            Self::Max => "max",
            Self::None => "none",
        })
    }
}

/// The options of a head.
pub(super) struct Head<'a> {
    pub pooling: Pooling,
    pub include_top: bool,
    pub hidden_layers: &'a [usize],
    pub dropout: f64,
    pub num_classes: usize,
}

impl Head<'_> {
    pub fn validate(&self) -> Result<(), ConfigError> {
        Limits::classes(self.num_classes)?;
        Limits::widths("hidden_layers", self.hidden_layers)?;
        Limits::blocks("hidden_layers", self.hidden_layers.len())?;
        if !(0.0..1.0).contains(&self.dropout) {
            return Err(ConfigError::Dropout(self.dropout));
        }
        if self.include_top && self.pooling == Pooling::None {
            return Err(ConfigError::TopWithoutPooling);
        }
        Ok(())
    }

    /// Adds the head after a feature map of `channels`, and returns the nodes of the embedding and the logits.
    /// `classifier` is the last layer's name in PyTorch.
    pub fn build(
        &self,
        net: &mut Builder,
        features: NodeId,
        channels: usize,
        classifier: &str,
    ) -> (Option<NodeId>, Option<NodeId>) {
        net.block(Block::HEAD);
        let (name, kind) = match self.pooling {
            Pooling::Average => ("avg_pool", PoolKind::Average),
            Pooling::Max => ("max_pool", PoolKind::Max),
            Pooling::None => return (None, None),
        };
        let pool = GlobalPool { kind, keep_dims: false };
        let embedding = net.layer(NewLayer::new(name), Op::GlobalPool(pool), &[features]);
        let logits = self
            .include_top
            .then(|| self.classifier(net, embedding, channels, classifier));
        (Some(embedding), logits)
    }

    /// Adds the classifier after an embedding of `channels`.
    pub fn classifier(&self, net: &mut Builder, embedding: NodeId, channels: usize, classifier: &str) -> NodeId {
        net.block(Block::HEAD);
        let dense = |features: [usize; 2]| Op::Dense(Dense { features, bias: true });
        let (mut x, mut inputs) = (embedding, channels);
        for (index, &width) in self.hidden_layers.iter().enumerate() {
            let (name, path) = (format!("hidden_{index}"), format!("{HIDDEN}{index}"));
            x = net.layer(NewLayer::new(&name).at(&path), dense([inputs, width]), &[x]);
            x = net.part("", "", Op::Activation(Activation::Relu), &[x]);
            inputs = width;
        }
        if self.dropout > 0.0 {
            x = net.layer(NewLayer::new("dropout"), Op::Dropout { rate: self.dropout }, &[x]);
        }
        let layer = NewLayer::new("predictions").at(PREDICTIONS).torch(classifier);
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

/// What stands behind all hidden layers of a head that [`Head`] has built; `None` where there are none.
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

/// The same head with another activation behind its hidden layers, which have `ReLU`.
pub(super) fn with_hidden_activation(mut graph: Graph, HiddenActivation(activation): HiddenActivation) -> Graph {
    let hidden: Vec<NodeId> = denses(&graph).map(|(id, _)| id).collect();
    let mut kept = alloc::vec![true; graph.nodes.len()];
    for index in 1..graph.nodes.len() {
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
            None => kept[index] = false,
        }
    }
    // What reads an activation that is left out reads its layer.
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

/// The same head with biases where `biases` says so, of the hidden layers in order and the classifier.
pub(super) fn with_head_biases(mut graph: Graph, biases: &[bool]) -> Graph {
    let ids: Vec<NodeId> = denses(&graph).map(|(id, _)| id).collect();
    for (id, bias) in ids.into_iter().zip(biases) {
        if let Op::Dense(dense) = &mut graph.nodes[id.0].op {
            dense.bias = *bias;
        }
    }
    graph
}
