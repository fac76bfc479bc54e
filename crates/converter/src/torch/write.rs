//! Writes a network under the names and in the layout of torchvision and timm, as `load_state_dict` takes them.

use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::graph::{ChannelOrder, Op, ParameterKind};
use xception_model::{Architecture, ModelSpec, Variant};

use crate::dtype::{rename, transpose};
use crate::flatten::{computes, reorder};

/// The tensors of the PyTorch network that computes the same. `spec` becomes the specification of that network.
///
/// # Errors
///
/// When PyTorch has no such network, or no place for one of its layers.
pub(crate) fn torch_tensors(spec: &mut ModelSpec, mut tensors: Vec<PackTensor>) -> Result<Vec<PackTensor>, String> {
    if let Architecture::Graph(graph) = &spec.network {
        return Err(format!(
            "PyTorch has names for the networks that `xception summary --architecture` lists, with heads of their own, \
             and {} is none of them",
            graph.title
        ));
    }
    // torchvision's VGG flattens channel by channel; Keras's does not, even if its layers are otherwise the same.
    if spec.network.variant() == Some(Variant::Keras) {
        reorder(spec, &mut tensors, ChannelOrder::ChannelsFirst)?;
    }
    let torch = spec.network.clone().with_variant(Variant::Torch);
    let graph = torch.graph();
    if !computes(&graph, &spec.network.graph()) {
        return Err(format!(
            "it is the {} of {}, and PyTorch's computes something else with the same weights: strides, paddings or \
             epsilons differ; PyTorch's own numbers come only from PyTorch's own weights",
            graph.title,
            spec.network
                .variant()
                .map_or_else(String::new, |variant| variant.to_string()),
        ));
    }
    let mut written = Vec::with_capacity(tensors.len());
    for parameter in graph.parameters() {
        let node = graph.node(parameter.node);
        if node.torch.is_empty() {
            let name = &graph.layer_of(parameter.node).name;
            return Err(format!("PyTorch's {} has no layer {name}", graph.title));
        }
        let Some(tensor) = tensors.iter().find(|tensor| tensor.name == parameter.name) else {
            return Err(format!("its {} is missing", parameter.name));
        };
        let tensor = rename(
            tensor.clone(),
            format!("{}.{}", node.torch, parameter.kind.torch_name()),
        );
        // `[in, out]` here, `[out, in]` in PyTorch.
        written.push(match (&node.op, parameter.kind) {
            (Op::Dense(_), ParameterKind::Weight) => transpose(tensor),
            _ => tensor,
        });
    }
    spec.network = torch;
    Ok(written)
}
