//! How the CPU engine (`crates/kernels`) runs a network: sections of the graph that run on kernels, and between them
//! sections that run on Burn's operations.
//!
//! 1. [`Graph::folded`] removes batch norms, dropouts and paddings.
//! 2. [`fusions`] finds the operations that one kernel computes together.
//! 3. The graph is divided at its cuts. A section in which every operation has a kernel is packed ([`pack`]); the
//!    others run on Burn.

mod fusions;
mod pack;

use alloc::vec;
use alloc::vec::Vec;

use burn::tensor::{Device, Tensor, TensorData};
use graph::{Graph, NodeId, Op};
use kernels::{Isa, Value};

use self::fusions::{Fusion, fusions};
use self::pack::Packer;
use crate::feature::Feature;
use crate::fold::Fold;
use crate::forward::{ForwardPass, Watch};
use crate::network::Network;
use crate::parameters::Parameters;

/// A network prepared for the CPU.
pub(crate) struct EngineNetwork {
    graph: Graph,
    sections: Vec<Section>,
    device: Device,
}

/// The nodes between two cuts of the graph.
struct Section {
    /// The node whose output the section reads.
    start: NodeId,
    /// The last node.
    end: NodeId,
    /// Whether every node from `start` to `end` outputs a vector. The vectors of a batch then are the pixels of one
    /// map, so that large weights are read once for all of them.
    of_vectors: bool,
    executor: Executor,
}

enum Executor {
    /// Runs on kernels. `values` holds the engine's value of each node that has one.
    Kernels {
        network: kernels::Network,
        values: Vec<(NodeId, Value)>,
    },
    /// Runs on Burn's operations. The parameters of nodes outside of the section are absent.
    Burn(Vec<Parameters>),
}

impl EngineNetwork {
    /// `None` if the network is not on Burn's `Flex` device, or no section has kernels.
    pub fn new(network: &Network) -> Option<Self> {
        let device = network.device();
        if device != Device::flex() {
            return None;
        }
        let folded = network.graph().folded();
        let graph = folded.graph;
        let parameters = network.parameters();
        let fold = |node: NodeId| {
            let origin = folded.origins[node.0];
            let norm = origin.norm.map(|norm| &parameters[norm.0]);
            Fold::of(&parameters[origin.node.0], norm)
        };
        let mut packer = Packer::new(&graph, fold);
        let fusions = fusions(&graph);
        let mut sections: Vec<Section> = Vec::new();
        for (start, end, has_kernels) in intervals(&graph, &fusions) {
            let executor = if has_kernels {
                let built = packer.pack(&fusions, start, end, Isa::detect());
                built.map(|(network, values)| Executor::Kernels { network, values })
            } else {
                None
            };
            let executor = executor.unwrap_or_else(|| {
                let inside = |index: usize| index > start.0 && index <= end.0;
                let own = (0..graph.nodes.len()).map(|index| {
                    if inside(index) {
                        fold(NodeId(index)).into_parameters()
                    } else {
                        Parameters::Absent
                    }
                });
                Executor::Burn(own.collect())
            });
            sections.push(Section {
                start,
                end,
                of_vectors: is_of_vectors(&graph, start, end),
                executor,
            });
        }
        let any = sections
            .iter()
            .any(|section| matches!(section.executor, Executor::Kernels { .. }));
        drop(packer);
        any.then_some(Self {
            graph,
            sections,
            device,
        })
    }

    /// The folded graph.
    pub fn graph(&self) -> &Graph {
        &self.graph
    }

    /// The instruction set that the kernels use.
    pub fn instructions(&self) -> Option<&'static str> {
        self.sections.iter().find_map(|section| match &section.executor {
            Executor::Kernels { network, .. } => Some(network.isa().name()),
            Executor::Burn(_) => None,
        })
    }

    /// Number of nodes that run on Burn's operations.
    pub fn without_kernels(&self) -> usize {
        let burn = self
            .sections
            .iter()
            .filter(|section| matches!(section.executor, Executor::Burn(_)));
        burn.map(|section| section.end.0 - section.start.0).sum()
    }

    /// The outputs of the `wanted` nodes, in their order, for pictures that the graph can take.
    pub fn run(&self, images: Tensor<4>, wanted: &[NodeId]) -> Vec<Option<Feature>> {
        let mut found: Vec<Option<Feature>> = vec![None; wanted.len()];
        let Some(last) = wanted.iter().max() else { return found };
        let mut input = Feature::Map(images);
        for section in &self.sections {
            if section.start >= *last {
                break;
            }
            let inside: Vec<usize> = (0..wanted.len())
                .filter(|&at| wanted[at] > section.start && wanted[at] <= section.end)
                .collect();
            let goes_on = section.end < *last;
            let nodes: Vec<NodeId> = inside
                .iter()
                .map(|&at| wanted[at])
                .chain(goes_on.then_some(section.end))
                .collect();
            let mut outputs = self.section(section, input, &nodes);
            let next = if goes_on { outputs.pop().flatten() } else { None };
            for (at, output) in inside.into_iter().zip(outputs) {
                found[at] = output;
            }
            match next {
                Some(next) => input = next,
                None => break,
            }
        }
        found
    }

    fn section(&self, section: &Section, input: Feature, nodes: &[NodeId]) -> Vec<Option<Feature>> {
        match &section.executor {
            Executor::Kernels { network, values } => {
                let asked: Vec<Option<Value>> = nodes
                    .iter()
                    .map(|node| values.iter().find(|(own, _)| own == node).map(|(_, value)| *value))
                    .collect();
                let turned = |map: Tensor<4>| {
                    if section.of_vectors {
                        map.permute([3, 1, 2, 0])
                    } else {
                        map
                    }
                };
                let images = turned(input.into_map());
                let [batch, _, height, width] = images.dims();
                let data = images.into_data().convert::<f32>();
                let Ok(pixels) = data.as_slice::<f32>() else {
                    return vec![None; nodes.len()];
                };
                let mut buffers: Vec<(Value, Vec<f32>, [usize; 4])> = Vec::new();
                for value in asked.iter().flatten() {
                    if buffers.iter().any(|(known, ..)| known == value) {
                        continue;
                    }
                    let (Ok(channels), Ok([rows, columns])) =
                        (network.channels(*value), network.size(*value, [height, width]))
                    else {
                        return vec![None; nodes.len()];
                    };
                    let shape = [batch, channels, rows, columns];
                    buffers.push((*value, vec![0.0; shape.iter().product()], shape));
                }
                let mut outputs: Vec<(Value, &mut [f32])> = buffers
                    .iter_mut()
                    .map(|(value, buffer, _)| (*value, buffer.as_mut_slice()))
                    .collect();
                if network.run(pixels, [batch, height, width], &mut outputs).is_err() {
                    return vec![None; nodes.len()];
                }
                let tensors: Vec<(Value, Tensor<4>)> = buffers
                    .into_iter()
                    .map(|(value, buffer, shape)| {
                        let map = Tensor::from_data(TensorData::new(buffer, shape), &self.device);
                        (value, turned(map))
                    })
                    .collect();
                let tensor = |value: Value| tensors.iter().find(|(own, _)| *own == value);
                asked
                    .into_iter()
                    .map(|value| Some(Feature::Map(tensor(value?)?.1.clone())))
                    .collect()
            }
            Executor::Burn(parameters) => {
                let mut outputs: Vec<Option<Feature>> = vec![None; nodes.len()];
                let Some(last) = nodes.iter().max() else { return outputs };
                let mut keep = |node: NodeId, output: &mut Feature| {
                    for (wanted, kept) in nodes.iter().zip(&mut outputs) {
                        if *wanted == node {
                            *kept = Some(output.clone());
                        }
                    }
                };
                ForwardPass::new(&self.graph, parameters).from(
                    section.start,
                    input,
                    *last,
                    &mut Watch::Node(&mut keep),
                );
                outputs
            }
        }
    }
}

/// Whether a node and those after it up to `end` output vectors.
fn is_of_vectors(graph: &Graph, start: NodeId, end: NodeId) -> bool {
    let first = match &graph.node(start).op {
        Op::Flatten { .. } | Op::Dense(_) => true,
        Op::GlobalPool(pool) => !pool.keep_dims,
        _ => false,
    };
    let mut others = graph.nodes[start.0 + 1..=end.0].iter();
    first
        && others.all(|node| {
            matches!(
                node.op,
                Op::Dense(_) | Op::Activation(_) | Op::BatchNorm(_) | Op::ScaleShift(_) | Op::Dropout { .. }
            )
        })
}

/// The intervals between the graph's cuts, joined with a neighbour of the same kind: node that is read, last node, and
/// whether every operation has a kernel.
fn intervals(graph: &Graph, fusions: &[Fusion]) -> Vec<(NodeId, NodeId, bool)> {
    let output = graph.output();
    let cuts = graph.cuts(output);
    let mut found: Vec<(NodeId, NodeId, bool)> = Vec::new();
    let mut start = 0;
    let mut has_kernels = true;
    for index in 1..=output.0 {
        has_kernels &= !matches!(fusions[index], Fusion::Without);
        // A cut inside a fusion has no value in memory.
        if !cuts[index] || matches!(fusions[index], Fusion::Inside) {
            continue;
        }
        match found.last_mut() {
            Some((_, end, same)) if *same == has_kernels => *end = NodeId(index),
            _ => found.push((NodeId(start), NodeId(index), has_kernels)),
        }
        start = index;
        has_kernels = true;
    }
    found
}

impl core::fmt::Debug for EngineNetwork {
    fn fmt(&self, f: &mut core::fmt::Formatter<'_>) -> core::fmt::Result {
        f.debug_struct("EngineNetwork")
            .field("instructions", &self.instructions())
            .field("sections", &self.sections.len())
            .field("without_kernels", &self.without_kernels())
            .finish_non_exhaustive()
    }
}
