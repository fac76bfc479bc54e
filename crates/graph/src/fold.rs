//! Folding: the same network with fewer operations, for prediction.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{Graph, NodeId, Taps};
use crate::op::{Activation, Op, Padding, PoolKind};

/// A network for prediction: batch norms are folded into the convolutions and dense layers before them, zero paddings
/// into the convolutions and max poolings after them, and dropouts are removed.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The network.
    pub graph: Graph,
    /// For each node of `graph`, the nodes of the original network that it replaces.
    pub sources: Vec<Source>,
    /// For each node of the original network, the node of `graph` with the same output, if there is one.
    pub places: Vec<Option<NodeId>>,
}

/// The nodes of the original network that one node of the folded network is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Source {
    /// The node with the same operation.
    pub node: NodeId,
    /// The batch norm that is folded into its weights and bias.
    pub norm: Option<NodeId>,
}

impl Graph {
    /// Folds every batch norm into the convolution or dense layer before it, if no other node reads that layer, and
    /// every zero padding into the convolution after it.
    ///
    /// A folded node belongs to the batch norm's layer, whose output it has, and keeps the convolution's path.
    pub fn folded(&self) -> Folded {
        let readers = self.readers();
        let taps = self.tapped();
        let is_private = |id: NodeId| readers[id.0] == 1 && !taps[id.0];

        // `places`: for each node the node that replaces it. `gives`: the node with the same output, if there is one.
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
                    // A ReLU's outputs are at least 0, so padded zeros never win a maximum.
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

        // A padding that was folded into its convolution has no reader left.
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

    /// For each node, whether it is a tap or the output.
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

/// Whether every output is at least 0.
pub(crate) fn is_positive(graph: &Graph, inputs: &[NodeId]) -> bool {
    inputs.iter().all(|input| {
        matches!(
            graph.node(*input).op,
            Op::Activation(Activation::Relu | Activation::Relu6 | Activation::Sigmoid)
        )
    })
}

/// The padding plus zeros around the map, as one padding; `None` if they cannot be combined.
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
