//! The same network with fewer operations, for prediction.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{Graph, NodeId, Taps};
use crate::op::{Activation, Op, Padding, PoolKind};

/// A network whose batch norms stand in the convolutions and dense layers before them, and whose zero paddings stand in the
/// convolutions and max poolings behind them. It has no dropout.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The network.
    pub graph: Graph,
    /// For each node of `graph`, the nodes of the original network that it is made of.
    pub sources: Vec<Source>,
    /// For each node of the original network the node of `graph` that gives its output, if any does.
    pub places: Vec<Option<NodeId>>,
}

/// Where a node's numbers come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The node with the same operation.
    pub node: NodeId,
    /// The batch norm that its weights and its bias take in.
    pub norm: Option<NodeId>,
}

impl Graph {
    /// Folds every batch norm into the convolution or dense layer before it, if nothing else reads that one, and every zero
    /// padding into the convolution behind it.
    ///
    /// A folded node stands in the batch norm's layer, whose output it gives, and has the convolution's path.
    pub fn folded(&self) -> Folded {
        let readers = self.readers();
        let taps = self.tapped();
        let is_private = |id: NodeId| readers[id.0] == 1 && !taps[id.0];

        // For each node the node that takes its place, and for each that stays its operation.
        let mut graph = Graph {
            nodes: Vec::with_capacity(self.nodes.len()),
            taps: Taps::default(),
            ..self.clone()
        };
        let mut sources: Vec<Source> = Vec::with_capacity(self.nodes.len());
        let mut places: Vec<NodeId> = Vec::with_capacity(self.nodes.len());
        let mut gives: Vec<Option<NodeId>> = Vec::with_capacity(self.nodes.len());
        for (id, node) in self.iter() {
            let first = node.inputs.first().copied();
            let before = first.map(|input| (input, places[input.0]));
            match (&node.op, before) {
                (Op::Dropout { .. }, Some((_, input))) => {
                    places.push(input);
                    gives.push(Some(input));
                    continue;
                }
                (Op::BatchNorm(_), Some((input, place))) if is_private(input) && sources[place.0].norm.is_none() => {
                    let target = &mut graph.nodes[place.0];
                    let bias = match &mut target.op {
                        Op::Conv(conv) => Some(&mut conv.bias),
                        Op::Dense(dense) => Some(&mut dense.bias),
                        _ => None,
                    };
                    if let Some(bias) = bias {
                        *bias = true;
                        target.layer = node.layer;
                        sources[place.0].norm = Some(id);
                        gives[input.0] = None;
                        places.push(place);
                        gives.push(Some(place));
                        continue;
                    }
                }
                _ => {}
            }
            let mut next = node.clone();
            next.inputs = node.inputs.iter().map(|input| places[input.0]).collect();
            if let Some((input, place)) = before
                && let Op::Pad { pads } = graph.nodes[place.0].op
                && is_private(input)
            {
                let behind = graph.nodes[place.0].inputs.clone();
                let own = match &mut next.op {
                    Op::Conv(conv) => Some(&mut conv.padding),
                    // Zeros are no larger than what a ReLU leaves, so they win no maximum either.
                    Op::Pool(pool) if pool.kind == PoolKind::Max && is_positive(&graph, &behind) => {
                        Some(&mut pool.padding)
                    }
                    _ => None,
                };
                if let Some(own) = own
                    && let Some(padding) = padded(*own, pads)
                {
                    *own = padding;
                    next.inputs = behind;
                    gives[input.0] = None;
                }
            }
            let place = NodeId(graph.nodes.len());
            graph.nodes.push(next);
            sources.push(Source { node: id, norm: None });
            places.push(place);
            gives.push(Some(place));
        }

        // No node reads a padding that its convolution took in.
        graph.taps = Taps {
            feature_map: self.taps.feature_map.map(|tap| places[tap.0]),
            embedding: self.taps.embedding.map(|tap| places[tap.0]),
            logits: self.taps.logits.map(|tap| places[tap.0]),
            levels: self.taps.levels.clone(),
        };
        for level in &mut graph.taps.levels {
            level.node = places[level.node.0];
        }
        let mut kept = vec![true; graph.nodes.len()];
        let (readers, taps) = (graph.readers(), graph.tapped());
        for (id, node) in graph.iter() {
            kept[id.0] = readers[id.0] > 0 || taps[id.0] || !matches!(node.op, Op::Pad { .. });
        }
        let (graph, moved) = graph.retained(&kept);
        let sources = sources
            .into_iter()
            .zip(&kept)
            .filter(|(_, kept)| **kept)
            .map(|(source, _)| source)
            .collect();
        let places = gives
            .into_iter()
            .map(|place| place.and_then(|place| moved[place.0]))
            .collect();
        Folded { graph, sources, places }
    }

    /// Which nodes are asked for by a tap, or are the output.
    pub fn tapped(&self) -> Vec<bool> {
        let mut tapped = vec![false; self.nodes.len()];
        let Taps {
            feature_map,
            embedding,
            logits,
            levels,
        } = &self.taps;
        let levels = levels.iter().map(|level| Some(level.node));
        for tap in [*feature_map, *embedding, *logits, Some(self.output())]
            .into_iter()
            .chain(levels)
            .flatten()
        {
            tapped[tap.0] = true;
        }
        tapped
    }
}

/// Whether no output is negative.
fn is_positive(graph: &Graph, inputs: &[NodeId]) -> bool {
    inputs.iter().all(|input| {
        matches!(
            graph.node(*input).op,
            Op::Activation(Activation::Relu | Activation::Relu6 | Activation::Sigmoid)
        )
    })
}

/// Padding that begins with zeros around the map.
pub(crate) fn padded(padding: Padding, pads: [usize; 4]) -> Option<Padding> {
    match padding {
        Padding::Valid => Some(Padding::Explicit(pads)),
        Padding::Explicit(own) => {
            let mut sum = own;
            for (side, pad) in sum.iter_mut().zip(pads) {
                *side = side.checked_add(pad)?;
            }
            Some(Padding::Explicit(sum))
        }
        Padding::Same => None,
    }
}
