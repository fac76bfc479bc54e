//! Writing ONNX through burn-onnx.

use std::fs::File;
use std::path::Path;

use ::graph::{Activation, Graph, NodeId, Op, PoolKind};
use burn::tensor::module::adaptive_avg_pool2d;
use burn::tensor::{Device, Tensor};
use burn_onnx::export::{AxisSpec, InputSpec, OnnxExporter};
use onnx_ir::{GraphProto, Message, ModelProto};
use xception_model::{ModelSpec, Network};

use crate::error::ConvertError;
use crate::publish::publish;

/// Writes a network through burn-onnx: input `images` `[batch, channels, height, width]`, any batch. The output is
/// `logits`, without a classifier `embedding`, the pooled vector, or `feature_map`.
pub(crate) fn write(model: &Network, spec: &ModelSpec, path: &Path, overwrite: bool) -> Result<(), ConvertError> {
    let failed = |problem: String| ConvertError::write(path, problem);
    let graph = model.graph();
    if let Some((layer, what)) = inexpressible(graph) {
        return Err(ConvertError::Unsupported {
            path: path.to_owned(),
            problem: format!(
                "layer {layer}: burn-onnx 0.22 exports no {what}; write this network as .bpk, .safetensors or a Keras file"
            ),
        });
    }
    let device = Device::flex();
    let picture = |batch: usize| {
        let sides = [batch, graph.in_channels(), spec.input.height, spec.input.width];
        Tensor::<4>::zeros(sides, &device)
    };
    let axes = [
        AxisSpec::dynamic("batch"),
        AxisSpec::Static,
        AxisSpec::Static,
        AxisSpec::Static,
    ];
    let axes = [InputSpec::new(axes)];
    let exporter = OnnxExporter::new();
    let result = match (graph.taps.embedding, graph.taps.logits) {
        (None, None) => exporter.export_dynamic(model, picture(2), picture(3), &axes, feature_map),
        _ => exporter.export_dynamic(model, picture(2), picture(3), &axes, vector),
    };
    let onnx = result.map_err(|error| failed(format!("burn-onnx: {error}")))?;
    let mut proto = ModelProto::parse_from_bytes(onnx.as_bytes()).map_err(|error| failed(error.to_string()))?;
    drop(onnx);
    let output = match (graph.taps.embedding, graph.taps.logits) {
        (_, Some(_)) => "logits",
        (Some(_), None) => "embedding",
        (None, None) => "feature_map",
    };
    if let Some(graph) = proto.graph.as_mut() {
        name_boundaries(graph, "images", output);
    }
    let text = spec.to_toml().map_err(failed)?;
    // The entries' type has no name outside of onnx-ir.
    let entries = proto.metadata_props.len();
    proto.metadata_props.resize_with(entries + 1, Default::default);
    if let Some(entry) = proto.metadata_props.last_mut() {
        entry.key.push_str(ModelSpec::KEY);
        entry.value = text;
    }
    publish(path, overwrite, |scratch| {
        Ok(proto.write_to_writer(&mut File::create(scratch)?)?)
    })
    .map_err(|error| ConvertError::write(path, error))
}

/// Gives the graph's input and output names that people can use; burn-onnx numbers them.
fn name_boundaries(graph: &mut GraphProto, input: &str, output: &str) {
    let mut names = Vec::new();
    for (values, name) in [(&mut graph.input, input), (&mut graph.output, output)] {
        if let [value] = values.as_mut_slice() {
            names.push((std::mem::replace(&mut value.name, name.to_owned()), name));
        }
    }
    let used = graph
        .node
        .iter_mut()
        .flat_map(|node| node.input.iter_mut().chain(&mut node.output));
    for value in used {
        if let Some((_, name)) = names.iter().find(|(old, _)| old == value) {
            value.clear();
            value.push_str(name);
        }
    }
}

/// The first layer with an operation that burn-onnx 0.22 cannot export (`src/export/lower`), and what that is.
fn inexpressible(graph: &Graph) -> Option<(&str, String)> {
    graph.iter().find_map(|(id, node)| {
        let what = match &node.op {
            Op::Activation(activation) if !is_exported(*activation) => format!("{activation:?}"),
            // Only the pooling of the last feature map is written in other operations.
            Op::GlobalPool(pool) if !ends_the_body(graph, id) => format!("{:?} over a whole map", pool.kind),
            _ => return None,
        };
        Some((graph.layer_of(id).name.as_str(), what))
    })
}

const fn is_exported(activation: Activation) -> bool {
    matches!(
        activation,
        Activation::Relu | Activation::Sigmoid | Activation::Swish | Activation::Tanh | Activation::Exponential
    )
}

fn ends_the_body(graph: &Graph, pool: NodeId) -> bool {
    graph.taps.embedding == Some(pool) && graph.node(pool).inputs.first().copied() == graph.taps.feature_map
}

/// # Panics
///
/// If the pictures are smaller than the network takes. They are made as large as its description says, which was checked.
fn feature_map(model: &Network, images: Tensor<4>) -> Tensor<4> {
    model.feature_map(images).expect("pictures of the network's own size")
}

/// The logits, or the embedding.
///
/// # Panics
///
/// As [`feature_map`].
fn vector(model: &Network, images: Tensor<4>) -> Tensor<2> {
    let graph = model.graph();
    let pool = graph
        .taps
        .embedding
        .map(|embedding| (embedding, &graph.node(embedding).op));
    let embedding = match pool {
        Some((embedding, Op::GlobalPool(pool))) if ends_the_body(graph, embedding) => {
            pooled(feature_map(model, images), pool.kind)
        }
        Some(_) => model.embed(images).expect("pictures of the network's own size"),
        None => return model.forward(images).expect("pictures of the network's own size"),
    };
    if graph.taps.logits.is_none() {
        return embedding;
    }
    model
        .forward_head(embedding)
        .expect("an embedding of the network's own")
}

/// A pooling in operations that burn-onnx 0.22 knows: it has no mean or maximum over a side.
fn pooled(map: Tensor<4>, kind: PoolKind) -> Tensor<2> {
    match kind {
        PoolKind::Max => map.max_dim_with_indices(2).0.max_dim_with_indices(3).0,
        PoolKind::Average => adaptive_avg_pool2d(map, [1, 1]),
    }
    .flatten(1, 3)
}
