//! Turns the order in which a network flattens its last map: Keras pixel by pixel, PyTorch channel by channel. The rows
//! of the fully-connected layer behind it move, and the network stays the same.

use std::sync::Arc;

use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::graph::{ChannelOrder, Graph, NodeId, Op, Shape};
use xception_model::{Architecture, ModelSpec, Variant};

use crate::dtype::with_rows;

/// Flattens every map in this order. A network that flattens none, or a vector, stays as it is.
///
/// # Errors
///
/// When something else than one fully-connected layer reads the flattened map.
pub(crate) fn reorder(spec: &mut ModelSpec, tensors: &mut [PackTensor], to: ChannelOrder) -> Result<(), String> {
    let mut graph = Graph::clone(&spec.network.graph());
    let shapes = graph
        .shapes([spec.input.height, spec.input.width])
        .map_err(|error| error.to_string())?;
    let mut moved = Vec::new();
    for index in 1..graph.nodes.len() {
        let Op::Flatten { order } = graph.nodes[index].op else {
            continue;
        };
        let Some(Shape::Map([channels, height, width])) =
            graph.nodes[index].inputs.first().map(|input| shapes[input.0])
        else {
            continue;
        };
        if order == to || channels == 1 || height * width == 1 {
            continue;
        }
        let dense = dense_behind(&graph, NodeId(index)).ok_or_else(|| {
            let name = &graph.layer_of(NodeId(index)).name;
            format!("layer {name} flattens a map, and not one fully-connected layer alone reads it")
        })?;
        moved.push((format!("{}.weight", graph.node(dense).path), channels, height * width));
        graph.nodes[index].op = Op::Flatten { order: to };
    }
    if moved.is_empty() {
        return Ok(());
    }
    let variant = match to {
        ChannelOrder::ChannelsLast => Variant::Keras,
        ChannelOrder::ChannelsFirst => Variant::Torch,
    };
    let other = spec.network.clone().with_variant(variant);
    spec.network = match &spec.network {
        _ if computes(&other.graph(), &graph) => other,
        Architecture::Graph(_) => Architecture::Graph(Arc::new(graph)),
        network => {
            return Err(format!(
                "{} cannot flatten its map in another order",
                network.graph().title
            ));
        }
    };
    for (name, channels, pixels) in moved {
        let Some(tensor) = tensors.iter_mut().find(|tensor| tensor.name == name) else {
            continue;
        };
        *tensor = with_rows(tensor.clone(), move |row| match to {
            ChannelOrder::ChannelsLast => (row % channels) * pixels + row / channels,
            ChannelOrder::ChannelsFirst => (row % pixels) * channels + row / pixels,
        });
    }
    Ok(())
}

/// Whether two graphs have the same operations on the same inputs.
pub(crate) fn computes(one: &Graph, other: &Graph) -> bool {
    let pairs = || one.nodes.iter().zip(&other.nodes);
    one.nodes.len() == other.nodes.len() && pairs().all(|(one, other)| one.op == other.op && one.inputs == other.inputs)
}

/// The fully-connected layer that alone reads a node, perhaps behind a dropout.
fn dense_behind(graph: &Graph, mut at: NodeId) -> Option<NodeId> {
    loop {
        let mut readers = graph.iter().filter(|(_, node)| node.inputs.contains(&at));
        let (reader, node) = readers.next().filter(|_| readers.next().is_none())?;
        match node.op {
            Op::Dense(_) => return Some(reader),
            Op::Dropout { .. } => at = reader,
            _ => return None,
        }
    }
}
