//! Keras weight files: finds the network in a file, and the place of its layers in ours.

mod call;
mod channels;
mod layers;
mod paths;
mod place;
mod policy;
mod read;
mod settings;
mod weights;
mod wiring;
mod write;

use std::collections::BTreeSet;
use std::path::Path;

use burn::store::{ModuleSnapshot, ModuleStore};
use burn::tensor::Device;
pub use keras_store::KerasFileKind;
use keras_store::KerasStore;
pub use policy::{Policy, policy};
pub use read::{ReadError, constants, names, read, read_config};
pub use write::{End, Inexpressible, KerasModel, keras_model};

use crate::description::{Description, Known};
use crate::network::Network;
use crate::outputs::Outputs;
use crate::spec::ModelSpec;
use crate::weights_error::WeightsError;
use crate::zoo::{Architecture, Candidate, FileGraph, Pooling, Variant, ends_in_logits, recognise};

/// A network in a Keras file, described but not loaded.
#[derive(Debug)]
pub struct KerasNetwork {
    /// What the file says about the network.
    pub description: Description,
    /// The file, with its layers renamed to the network's modules.
    pub store: KerasStore,
    /// The network's named outputs that are outputs of layers of the file: the name, and the layer's path in the file.
    /// For weights alone, it is the path in the model that `keras.applications` builds; `#conv2d_2` means the third
    /// layer of its class.
    pub stages: Vec<(String, String)>,
    /// Whether the file scales pictures itself and takes 0..255.
    pub scales_pictures: bool,
    /// The type of numbers in which Keras computes with it, where that is not 32-bit.
    pub policy: Option<Policy>,
}

/// Opens a network that Keras saved: `.keras`, `.weights.h5` or legacy `.h5`, with or without a classifier, alone or
/// nested in another model.
///
/// If the file has a config, the config is the network: it is read as a graph, which is recognised if it is an
/// architecture of the zoo. Weights alone are recognised by their layers' names, classes and shapes.
///
/// # Errors
///
/// [`WeightsError::NoNetwork`] for a layer that cannot be computed, or weights alone of a network that is not known;
/// [`WeightsError::Keras`] when the file is damaged.
pub fn open(path: &Path, no_top: bool) -> Result<KerasNetwork, WeightsError> {
    let mut store = KerasStore::from_file(path);
    let no_network = |problem: String| WeightsError::NoNetwork {
        path: path.to_owned(),
        problem,
    };
    let file = match read(&mut store) {
        Ok(file) => file,
        Err(ReadError::Unknown {
            backbone: Some(backbone),
            ..
        }) if no_top => Some(*backbone),
        Err(ReadError::Store(error)) => return Err(error.into()),
        Err(error) => return Err(no_network(error.to_string())),
    };
    let Some(file) = file else {
        let layers = store.layers()?;
        let known = match weights::recognise(layers, true) {
            Err(_) if no_top => weights::recognise(layers, false),
            known => known,
        }
        .map_err(no_network)?;
        return Ok(KerasNetwork {
            stages: weights::stages(&known.description.network.graph()),
            description: known.description,
            store: store.without_layers(known.left_out).with_names(known.names),
            scales_pictures: false,
            policy: None,
        });
    };
    let policy = store.model_config()?.and_then(Policy::of);
    let found = recognise(&file, false, no_top).map_err(|error| no_network(error.to_string()))?;
    // Keras files never have folded norms, so there is one candidate.
    let Some(candidate) = found.candidates.first() else {
        return Err(no_network("its graph is empty".to_owned()));
    };
    let names = homes(candidate, &file).map_err(no_network)?;
    let layers = store.layers()?;
    let used: BTreeSet<&str> = names.iter().map(|(layer, _)| layer.as_str()).collect();
    // Layers after the last output that is used, or whose values are constants of the graph.
    let left_out: Vec<String> = layers
        .iter()
        .filter(|layer| !layer.variables.is_empty() && !used.contains(layer.path.as_str()))
        .filter(|layer| no_top || constants(std::slice::from_ref(*layer)).contains(&layer.path))
        .map(|layer| layer.path.clone())
        .collect();
    let description = Description {
        variant: candidate.architecture.variant().or(Some(Variant::Keras)),
        preset: file.preset,
        ..Description::of_operations(&found, candidate.architecture.clone(), file.size)
    };
    Ok(KerasNetwork {
        description,
        store: store.without_layers(left_out).with_names(names),
        stages: stages(candidate, &file),
        scales_pictures: found.scales_pictures(),
        policy,
    })
}

/// The named outputs that are outputs of whole layers of the file.
fn stages(candidate: &Candidate, file: &FileGraph) -> Vec<(String, String)> {
    let ends = file.graph.layer_outputs();
    let is_end = |node: &graph::NodeId| ends[file.graph.node(*node).layer.0] == Some(*node);
    let calls = file.graph.layers.iter().map(|layer| layer.name.as_str());
    let shared: BTreeSet<&str> = calls
        .filter(|name| place::stored(name) != *name)
        .map(place::stored)
        .collect();
    let stages = candidate.stages().into_iter().filter(|(_, node)| is_end(node));
    stages
        .map(|(stage, node)| (stage, &file.graph.layer_of(node).name))
        // Of a layer that is called several times its output says nothing of the call.
        .filter(|(_, name)| !shared.contains(&place::stored(name)))
        .map(|(stage, name)| (stage, name.clone()))
        .collect()
}

/// For every layer, its path in the file and its module's path in a record.
fn homes(candidate: &Candidate, file: &FileGraph) -> Result<Vec<(String, String)>, String> {
    let ours = candidate.architecture.graph();
    let mut names = Vec::new();
    for (node, place) in ours.nodes.iter().zip(&candidate.correspondence) {
        let Some(place) = place.filter(|_| !node.path.is_empty()) else {
            continue;
        };
        let layer = file.graph.layer_of(place);
        // The part `.depthwise` of a separable convolution, whose layer's module is one step up; `None` for other
        // layers.
        let part = file
            .graph
            .node(place)
            .path
            .strip_prefix(&layer.path)
            .unwrap_or_default();
        let Some(home) = node.path.strip_suffix(part) else {
            return Err(format!(
                "layer {}: {} is in two layers of its own, and this one holds both halves",
                layer.name, node.path
            ));
        };
        let pair = (place::stored(&layer.name).to_owned(), home.to_owned());
        if names.last() != Some(&pair) {
            names.push(pair);
        }
    }
    names.dedup();
    Ok(names)
}

/// Loads the network that [`open`] opens; `known` adds the facts that the file leaves open. With `backbone`, layers
/// after the backbone may be unknown, and facts about them may stay open.
pub(crate) fn load(
    path: &Path,
    known: &Known,
    backbone: bool,
    device: &Device,
) -> Result<(Network, ModelSpec), WeightsError> {
    let mut file = open(path, backbone)?;
    let description = if backbone {
        file.description.of_backbone(known)
    } else {
        file.description
    };
    let spec = description.complete(path, known)?;
    let mut network = Network::new(spec.network.clone(), device);
    file.store.apply_to(&mut network)?;
    Ok((network, spec))
}

/// Saves a network as a Keras file that Keras 3 loads: with `keras.models.load_model` for a `.keras` and a whole-model
/// `.h5`, with `load_weights` into `keras.applications.Xception` of the same options for the others. The weights of an
/// Xception without its last layers are loaded into a model of the layers before them.
///
/// The layers get the names that `keras.applications` gives them in a fresh process. The model ends in logits (Keras's
/// own ends in a softmax), or in sigmoids if a picture may have several labels. The file appears complete or not at
/// all.
///
/// # Errors
///
/// [`WeightsError::Write`] names a layer that Keras cannot express; [`WeightsError::Keras`] when the file exists and
/// `overwrite` is false, or cannot be written.
pub fn save(
    network: &Network,
    spec: &ModelSpec,
    path: &Path,
    kind: KerasFileKind,
    overwrite: bool,
) -> Result<(), WeightsError> {
    let is_graph = matches!(network.architecture(), Architecture::Graph(_));
    let end = match spec.outputs {
        // Without its end, such a classifier would be read as a backbone, or asked about.
        Outputs::Softmax if is_graph && network.has_top() && !ends_in_logits(network.graph()) => End::Softmax,
        // Logits for one class per picture. Sigmoids are recognised by their activation alone.
        Outputs::Softmax | Outputs::Value | Outputs::Probabilities => End::Linear,
        Outputs::Sigmoid | Outputs::Binary => End::Sigmoid,
    };
    let size = [spec.input.height, spec.input.width];
    let mut graph = network.graph().clone();
    // Weights alone do not record the pooling. `predictions` is the name of `keras.applications`' classifier, which
    // follows an average, so a network with another pooling must not use this name.
    if let Some(Pooling::Max | Pooling::None) = network.architecture().pooling()
        && let Some(classifier) = graph.layers.iter_mut().find(|layer| layer.name == "predictions")
    {
        classifier.name = "logits".into();
    }
    let failed = |problem: String| WeightsError::Write {
        path: path.to_owned(),
        problem,
    };
    // Keras 3 reads a legacy model of layers alone: "Unknown layer: 'Take'".
    let takes = graph.iter().find(|(_, node)| matches!(node.op, graph::Op::Take { .. }));
    if let (Some((id, _)), KerasFileKind::LegacyModel) = (takes, kind) {
        let layer = &graph.layer_of(id).name;
        return Err(failed(format!(
            "layer {layer} takes channels, and an .h5 that Keras loads has no layer for that; save the network as \
             .keras, .safetensors, .bpk or .onnx"
        )));
    }
    let keras = keras_model(&graph, size, end).map_err(|error| failed(error.to_string()))?;
    // Weights alone are read as Keras's own network.
    if kind == KerasFileKind::Weights && network.architecture().variant() == Some(Variant::Torch) {
        let problem = "weights alone do not say that the network is PyTorch's; save the network as .keras, \
                       .safetensors or .bpk";
        return Err(failed(problem.to_owned()));
    }
    let mut store = KerasStore::from_file(path)
        .with_file_kind(kind)
        .with_model_config(keras.config)
        .with_names(keras.names)
        .overwrite(overwrite);
    network.save_into(&mut store)?;
    Ok(())
}
