//! Folding: the same network with fewer operations, for prediction.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{Graph, NodeId, Roles};
use crate::op::{Activation, Op, Padding, PoolKind};

/// A network for prediction: batch norms are folded into the convolutions and dense layers before them, zero paddings
/// into the convolutions and max poolings after them, and dropouts are removed.
#[derive(Clone, Debug)]
pub struct Folded {
    /// The network.
    pub graph: Graph,
    /// For each node of `graph`, the nodes of the original network that it replaces.
    pub origins: Vec<Origin>,
    /// For each node of the original network, the node of `graph` with the same output, if there is one.
    pub places: Vec<Option<NodeId>>,
}

/// The nodes of the original network that one node of the folded network is made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Origin {
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
        let roles = self.has_role();
        let is_private = |id: NodeId| readers[id.0] == 1 && !roles[id.0];

        // `places`: for each node the node that replaces it. `gives`: the node with the same output, if there is one.
        let mut graph = Graph {
            nodes: Vec::with_capacity(self.nodes.len()),
            roles: Roles::default(),
            ..self.clone()
        };
        let mut origins: Vec<Origin> = Vec::with_capacity(self.nodes.len());
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
                (Op::BatchNorm(_), Some((input, place))) if is_private(input) && origins[place.0].norm.is_none() => {
                    let target = &mut graph.nodes[place.0];
                    let bias = match &mut target.op {
                        Op::Conv(conv) => Some(&mut conv.bias),
                        Op::Dense(dense) => Some(&mut dense.bias),
                        _ => None,
                    };
                    if let Some(bias) = bias {
                        *bias = true;
                        target.layer = node.layer;
                        origins[place.0].norm = Some(id);
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
            origins.push(Origin { node: id, norm: None });
            places.push(place);
            gives.push(Some(place));
        }

        // A padding that was folded into its convolution has no reader left.
        graph.roles = Roles {
            feature_map: self.roles.feature_map.map(|node| places[node.0]),
            embedding: self.roles.embedding.map(|node| places[node.0]),
            logits: self.roles.logits.map(|node| places[node.0]),
            levels: self.roles.levels.clone(),
        };
        for level in &mut graph.roles.levels {
            level.node = places[level.node.0];
        }
        let mut kept = vec![true; graph.nodes.len()];
        let (readers, roles) = (graph.readers(), graph.has_role());
        for (id, node) in graph.iter() {
            kept[id.0] = readers[id.0] > 0 || roles[id.0] || !matches!(node.op, Op::Pad { .. });
        }
        let (graph, moved) = graph.retained(&kept);
        let origins = origins
            .into_iter()
            .zip(&kept)
            .filter(|(_, kept)| **kept)
            .map(|(origin, _)| origin)
            .collect();
        let places = gives
            .into_iter()
            .map(|place| place.and_then(|place| moved[place.0]))
            .collect();
        Folded { graph, origins, places }
    }

    /// For each node, whether it has a role or is the output.
    pub fn has_role(&self) -> Vec<bool> {
        let mut has_role = vec![false; self.nodes.len()];
        let Roles {
            feature_map,
            embedding,
            logits,
            levels,
        } = &self.roles;
        let levels = levels.iter().map(|level| Some(level.node));
        for node in [*feature_map, *embedding, *logits, Some(self.output())]
            .into_iter()
            .chain(levels)
            .flatten()
        {
            has_role[node.0] = true;
        }
        has_role
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
