//! The head: the layers after the last feature map, the same in every architecture of the zoo.

use alloc::format;

use graph::{Activation, Block, Builder, Dense, GlobalPool, NewLayer, NodeId, Op, PoolKind};
use serde::{Deserialize, Serialize};

use super::limits::Limits;
use crate::error::ConfigError;

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
            let (name, path) = (format!("hidden_{index}"), format!("head.hidden.{index}"));
            x = net.layer(NewLayer::new(&name).at(&path), dense([inputs, width]), &[x]);
            x = net.part("", "", Op::Activation(Activation::Relu), &[x]);
            inputs = width;
        }
        if self.dropout > 0.0 {
            x = net.layer(NewLayer::new("dropout"), Op::Dropout { rate: self.dropout }, &[x]);
        }
        let layer = NewLayer::new("predictions").at("head.predictions").torch(classifier);
        net.layer(layer, dense([inputs, self.num_classes]), &[x])
    }
}
