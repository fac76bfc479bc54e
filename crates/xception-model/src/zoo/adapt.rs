//! The same architecture with other classes, another head or other channels.

use alloc::sync::Arc;
use alloc::vec::Vec;

use graph::{Builder, Graph, NodeId, Op, Roles};

use super::architecture::Architecture;
use super::head::{Head, HeadNames, Pooling};
use super::limits::Limits;
use super::recognise;
use crate::error::ConfigError;

impl Architecture {
    /// The same architecture with another number of outputs of the last layer.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no outputs, or a network without a classifier.
    pub fn with_num_classes(mut self, num_classes: usize) -> Result<Self, ConfigError> {
        if !self.include_top() {
            return Err(ConfigError::NoTop);
        }
        if let Some(design) = self.design_mut() {
            let head = design.head();
            design.set_head(Head { num_classes, ..head });
        }
        if let Self::Graph(graph) = &mut self {
            Limits::classes(num_classes)?;
            let graph = Arc::make_mut(graph);
            let last = graph.roles.logits.map(|logits| &mut graph.nodes[logits.0].op);
            match last {
                Some(Op::Dense(dense)) => dense.features[1] = num_classes,
                _ => return Err(ConfigError::NoDense),
            }
        }
        self.validate()?;
        Ok(self)
    }

    /// The same architecture with this rate of dropout before the last layer; 0 removes the dropout.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for a rate that is no probability.
    pub fn with_dropout(mut self, rate: f64) -> Result<Self, ConfigError> {
        // A graph keeps the dropouts that it has.
        if let Some(design) = self.design_mut() {
            let head = design.head();
            design.set_head(Head { dropout: rate, ..head });
        }
        self.validate()?;
        Ok(self)
    }

    /// The same architecture without the layers after the embedding, or after the last feature map. A network that
    /// flattens its last feature map (VGG) gets a mean over it instead, and takes pictures of every size.
    #[must_use]
    pub fn without_top(mut self) -> Self {
        if let Some(design) = self.design_mut() {
            let pooling = match design.head().pooling {
                Pooling::Flatten => Pooling::Average,
                pooling => pooling,
            };
            design.set_head(Head {
                include_top: false,
                pooling,
                ..design.plain_head()
            });
        }
        if let Self::Graph(graph) = &self
            && let Some(end) = graph.roles.embedding.or(graph.roles.feature_map)
        {
            return backbone(graph, end);
        }
        self
    }

    /// The same Xception without its classifier and the last `count` layers before it: what the last separable
    /// convolution computes speaks of the classes that the network was trained on (Azizpour et al. 2015, arXiv
    /// 1406.5774). Its last feature map is that of the layer before: `block14_sepconv1_act` for 1, block 13's for 2.
    /// Layers that the Xception has left out already count.
    ///
    /// Other architectures lose their classifier alone.
    ///
    /// # Errors
    ///
    /// [`ConfigError::TooLarge`] for an Xception and more than 2 layers.
    pub fn without_last_layers(self, count: usize) -> Result<Self, ConfigError> {
        let mut next = self.without_top();
        if let Some(design) = next.design_mut() {
            design.leave_out(count)?;
        }
        Ok(next)
    }

    /// The same architecture with another classifier after the embedding. A network without pooling gets a mean over
    /// its last feature map.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for an impossible classifier, or a network without a feature map.
    pub fn with_classifier(self, new: &NewHead) -> Result<Self, ConfigError> {
        let mut next = self.without_top();
        if let Some(design) = next.design_mut() {
            let head = design.head();
            design.set_head(Head {
                include_top: true,
                pooling: match head.pooling {
                    Pooling::None => Pooling::Average,
                    pooling => pooling,
                },
                num_classes: new.num_classes,
                hidden_layers: new.hidden_layers.clone(),
                dropout: new.dropout,
                map: head.map,
            });
        }
        if let Self::Graph(graph) = &next {
            next = Self::Graph(Arc::new(new.behind((**graph).clone())?));
        }
        next.validate()?;
        Ok(next)
    }

    /// The same architecture for pictures with another number of channels.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no channels, or a network whose first operation has a constant for each channel.
    pub fn with_in_channels(mut self, in_channels: usize) -> Result<Self, ConfigError> {
        if let Some(design) = self.design_mut() {
            design.set_in_channels(in_channels);
        }
        if let Self::Graph(graph) = &mut self {
            Limits::widths("in_channels", &[in_channels])?;
            let old = graph.in_channels();
            let graph = Arc::make_mut(graph);
            for node in &mut graph.nodes {
                match &mut node.op {
                    Op::Input { channels } => *channels = in_channels,
                    Op::Conv(conv) if node.inputs.first().is_some_and(|input| input.0 == 0) => {
                        if conv.groups != 1 || conv.channels[0] != old {
                            return Err(ConfigError::Channels);
                        }
                        conv.channels[0] = in_channels;
                    }
                    _ if node.inputs.iter().any(|input| input.0 == 0) => return Err(ConfigError::Channels),
                    _ => {}
                }
            }
        }
        self.validate()?;
        Ok(self)
    }
}

/// A new classifier for a network's embedding.
#[derive(Clone, Debug, PartialEq)]
pub struct NewHead {
    /// Number of outputs.
    pub num_classes: usize,
    /// Widths of fully-connected ReLU layers before the last.
    pub hidden_layers: Vec<usize>,
    /// Probability of dropping a feature before the last layer in training.
    pub dropout: f64,
}

impl NewHead {
    fn behind(&self, graph: Graph) -> Result<Graph, ConfigError> {
        let Roles {
            feature_map,
            embedding,
            levels,
            ..
        } = graph.roles.clone();
        let head = Head {
            pooling: Pooling::Average,
            include_top: true,
            hidden_layers: self.hidden_layers.clone(),
            dropout: self.dropout,
            num_classes: self.num_classes,
            map: None,
        };
        head.validate()?;
        let (min_size, end) = (graph.min_size, embedding.or(feature_map).ok_or(ConfigError::NoTop)?);
        let channels = graph.features(end).ok_or(ConfigError::NoTop)?;
        let mut net = Builder::from_graph(graph);
        let (embedding, logits) = match embedding {
            Some(embedding) => (
                embedding,
                head.classifier(&mut net, embedding, channels, &HeadNames::OWN),
            ),
            None => match head.build(&mut net, end, channels, &HeadNames::OWN) {
                (Some(embedding), Some(logits)) => (embedding, logits),
                _ => return Err(ConfigError::NoTop),
            },
        };
        let roles = Roles {
            feature_map,
            embedding: Some(embedding),
            logits: Some(logits),
            levels,
        };
        Ok(net.finish(roles, min_size))
    }
}

/// A graph up to its embedding or feature map, as an architecture of the zoo if it is one. A flattened map belongs to
/// the head: the map before it may be that of a known architecture, which then takes the mean over it.
fn backbone(graph: &Graph, end: NodeId) -> Architecture {
    let whole = recognise::named(graph.up_to(end));
    let is_flattened = matches!(graph.node(end).op, Op::Flatten { .. });
    if let (Architecture::Graph(_), true, Some(map)) = (&whole, is_flattened, graph.roles.feature_map) {
        let before = recognise::named(graph.up_to(map));
        if before.design().is_some() {
            return before.with_pooling(Pooling::Average);
        }
    }
    match whole {
        Architecture::Graph(_) => whole,
        zoo => zoo.without_top(),
    }
}
