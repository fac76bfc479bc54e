//! The walk over a graph that computes it.

use alloc::vec;
use alloc::vec::Vec;

use graph::{Graph, NodeId, Op};

use crate::feature::Feature;
use crate::operations::apply;
use crate::parameters::Parameters;
#[cfg(feature = "flex")]
use crate::units::{self, Deferred};

/// Receives the nodes' outputs during a forward pass.
pub(crate) enum Watch<'a> {
    /// Nothing receives them.
    Off,
    /// A function that sees every node's output and may change it.
    Node(&'a mut dyn FnMut(NodeId, &mut Feature)),
}

/// A graph with its parameters.
pub(crate) struct ForwardPass<'a> {
    graph: &'a Graph,
    parameters: &'a [Parameters],
}

impl<'a> ForwardPass<'a> {
    pub fn new(graph: &'a Graph, parameters: &'a [Parameters]) -> Self {
        Self { graph, parameters }
    }

    /// Computes `output` from `value`, the output of `start`. Every node that `output` needs must be computable from
    /// `start`. An output is freed after its last use.
    ///
    /// # Panics
    ///
    /// If `output` needs a node before `start` in another way. The roles of this crate's graphs never do.
    pub fn from(&self, start: NodeId, value: Feature, output: NodeId, watch: &mut Watch<'_>) -> Feature {
        #[cfg(feature = "flex")]
        if units::are_for(&value) {
            return self.walk(
                start,
                value,
                output,
                watch,
                Deferred::new,
                Deferred::apply,
                Deferred::into_feature,
            );
        }
        self.walk(start, value, output, watch, |value, _| value, apply, |feature| feature)
    }

    /// The walk of [`from`](Self::from). `H` is a feature, or operations that will compute it: `wrap` makes an `H` of a
    /// feature, `apply` computes an operation, and `feature` computes the feature for `watch` and for several readers.
    #[allow(clippy::too_many_arguments, reason = "three functions between two types")]
    fn walk<H: Clone>(
        &self,
        start: NodeId,
        value: Feature,
        output: NodeId,
        watch: &mut Watch<'_>,
        wrap: impl Fn(Feature, bool) -> H,
        apply: impl Fn(&'a Op, &'a Parameters, Vec<H>) -> H,
        feature: impl Fn(H) -> Feature,
    ) -> Feature {
        let graph = self.graph;
        let mut uses = vec![0_usize; graph.nodes.len()];
        uses[output.0] = 1;
        for index in (start.0 + 1..=output.0).rev() {
            if uses[index] > 0 {
                for input in &graph.nodes[index].inputs {
                    uses[input.0] += 1;
                }
            }
        }
        let mut held: Vec<Option<H>> = vec![None; output.0 + 1];
        held[start.0] = Some(wrap(value, uses[start.0] > 1));
        for index in start.0 + 1..=output.0 {
            if uses[index] == 0 {
                continue;
            }
            let node = &graph.nodes[index];
            let is_shared = uses[index] > 1;
            let inputs = node.inputs.iter().map(|input| {
                uses[input.0] -= 1;
                let slot = &mut held[input.0];
                let input = if uses[input.0] == 0 { slot.take() } else { slot.clone() };
                input.expect("nodes stand behind what they read, and outputs are kept until their last use")
            });
            let mut own = apply(&node.op, &self.parameters[index], inputs.collect());
            if let Watch::Node(see) = watch {
                let mut shown = feature(own);
                see(NodeId(index), &mut shown);
                own = wrap(shown, is_shared);
            } else if is_shared {
                own = wrap(feature(own), true);
            }
            held[index] = Some(own);
        }
        feature(held[output.0].take().expect("the last node was computed"))
    }
}
