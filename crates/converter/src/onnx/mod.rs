//! ONNX: reading exports of Keras and PyTorch, and writing our own.

mod curve;
mod graph;
mod layout;
mod node;
mod ops;
mod structure;
mod tensor;
#[cfg(test)]
mod tests;
mod weights;
mod write;

use std::path::Path;
use std::sync::Arc;

use ::graph::{Op, Tolerance};
use onnx_ir::ModelProto;
use xception_model::{Architecture, Candidate, Description, Known, ModelSpec, Recognised, Variant, recognise};

use self::structure::parse;
use self::weights::Network;
pub(crate) use self::write::write;
use crate::error::ConvertError;
use crate::weight_file::{FileContents, FileTensor, Format, RawTensors, Stage};

/// Reads an ONNX export of any network: by tf2onnx or Keras, by PyTorch, or our own. A folded norm is rebuilt with the
/// constants of the variant that the file shows or `known` contains. With `no_top`, only the backbone is read if a node
/// after it cannot be computed.
pub(crate) fn read(path: &Path, known: &Known, no_top: bool) -> Result<FileContents, ConvertError> {
    let model = Arc::new(parse(path)?);
    let no_network = |problem: String| ConvertError::NoNetwork {
        path: path.to_owned(),
        problem,
    };
    let (file, is_whole) = match network(&model, path, true) {
        Err(_) if no_top => (network(&model, path, false)?, false),
        read => (read?, true),
    };
    let found = recognise(&file.file, true, no_top).map_err(|error| no_network(error.to_string()))?;
    let stated = stated(&model).map_err(|problem| ConvertError::damaged(path, problem))?;
    let (description, candidate) = match stated.filter(|_| is_whole) {
        Some(spec) => {
            let mut tried = found.candidates.iter().map(|candidate| behind(&spec, candidate));
            match tried
                .clone()
                .find_map(Result::ok)
                .ok_or_else(|| tried.find_map(Result::err))
            {
                Ok(candidate) => (Description::of_spec(spec), candidate),
                Err(difference) => {
                    let own = choose(&model, &file, &found, known)
                        .and_then(|(own, candidate)| described_by_operations(spec, &own, candidate));
                    own.ok_or_else(|| {
                        let difference = difference.map_or_else(String::new, |difference| format!(": {difference}"));
                        let problem = format!("its description is of another network than its graph{difference}");
                        ConvertError::damaged(path, problem)
                    })?
                }
            }
        }
        None => choose(&model, &file, &found, known).ok_or_else(|| no_network("its graph is empty".to_owned()))?,
    };
    let (ours, pairs) = (candidate.architecture.graph(), &candidate.correspondence);
    let tensors = file.tensors(&ours, &file.file.graph, pairs).map_err(no_network)?;
    let is_folded = ours
        .iter()
        .any(|(id, node)| matches!(node.op, Op::BatchNorm(_)) && pairs[id.0].is_none());
    let name = if is_folded { "ONNX, batch norms folded" } else { "ONNX" };
    let format = Format {
        name: name.to_owned(),
        writer: writer(&model),
    };
    Ok(FileContents {
        stages: stages(&candidate, &file),
        scales_pictures: found.scales_pictures(),
        ..FileContents::new(format, description, tensors)
    })
}

/// The network of a model; without `top`, only up to its last feature map or to the vector pooled from it.
fn network(model: &Arc<ModelProto>, path: &Path, top: bool) -> Result<Network, ConvertError> {
    graph::read(model, path, top).map_err(|problem| ConvertError::NoNetwork {
        path: path.to_owned(),
        problem,
    })
}

/// The description in a file that this program wrote.
fn stated(model: &ModelProto) -> Result<Option<ModelSpec>, String> {
    let stated = model.metadata_props.iter().find(|entry| entry.key == ModelSpec::KEY);
    let spec = stated.map(|entry| ModelSpec::parse(&entry.value)).transpose();
    let spec = spec.map_err(|problem| format!("the network's description: {problem}"))?;
    if let Some(spec) = &spec {
        spec.network
            .validate()
            .map_err(|problem| format!("the network's description: {problem}"))?;
    }
    Ok(spec)
}

/// The description, for the network that the file's operations show. ONNX holds some operations of a network in another
/// form: a sum of three as two sums, a norm without a scale as a norm with a scale of 1.
fn described_by_operations(
    mut spec: ModelSpec,
    own: &Description,
    candidate: Candidate,
) -> Option<(Description, Candidate)> {
    let described = (spec.network.outputs(), spec.network.include_top());
    let found = (candidate.architecture.outputs(), candidate.architecture.include_top());
    let is_same_end = described == found && own.outputs.is_none_or(|outputs| outputs == spec.outputs);
    if !matches!(spec.network, Architecture::Graph(_)) || !is_same_end {
        return None;
    }
    spec.network = candidate.architecture.clone();
    Some((Description::of_spec(spec), candidate))
}

/// The described network with the nodes of a candidate.
///
/// # Errors
///
/// Says where the two compute something else.
fn behind(spec: &ModelSpec, candidate: &Candidate) -> Result<Candidate, String> {
    let (ours, theirs) = (spec.network.graph(), candidate.architecture.graph());
    let tolerance = Tolerance {
        folded_norms: true,
        size: Some([spec.input.height, spec.input.width]),
    };
    let pairs = ours.correspondence(ours.output(), &theirs, theirs.output(), tolerance);
    let origin = |node: Option<::graph::NodeId>| candidate.correspondence[node?.0];
    let pairs = pairs.map_err(|difference| difference.to_string())?;
    Ok(Candidate {
        correspondence: pairs.into_iter().map(origin).collect(),
        architecture: spec.network.clone(),
    })
}

/// Chooses among networks that differ only in folded norms: by the exporter, or by what the caller knows.
fn choose(model: &ModelProto, file: &Network, found: &Recognised, known: &Known) -> Option<(Description, Candidate)> {
    let variants: Vec<Option<Variant>> = found
        .candidates
        .iter()
        .map(|found| found.architecture.variant())
        .collect();
    let variant = match variants[..] {
        [variant] => variant,
        // The exporter is a hint that a user's word overrides.
        _ => known
            .variant
            .or_else(|| producers(model))
            .filter(|variant| variants.contains(&Some(*variant))),
    };
    // A file without a variant is refused when its description is completed.
    let wanted = variant;
    let index = variants.iter().position(|variant| *variant == wanted).unwrap_or(0);
    let candidate = found.candidates.get(index)?.clone();
    let description = Description {
        variant,
        ..Description::of_operations(found, candidate.architecture.clone(), file.file.size)
    };
    Some((description, candidate))
}

/// The network's stages that are tensors of the file.
fn stages(candidate: &Candidate, file: &Network) -> Vec<Stage> {
    let stages = candidate.stages().into_iter();
    stages
        .filter_map(|(name, node)| {
            let (place, channels_last) = file.outputs.get(node.0)?.clone()?;
            Some(Stage {
                name,
                place,
                channels_last,
            })
        })
        .collect()
}

/// The constants of a graph of any network.
pub(crate) fn raw(path: &Path) -> Result<RawTensors, ConvertError> {
    let model = Arc::new(parse(path)?);
    let mut raw = RawTensors::new("ONNX", Vec::new());
    raw.format.writer = writer(&model);
    let constants = model.graph.as_ref().map(|graph| graph.initializer.as_slice());
    for (index, stored) in constants.unwrap_or_default().iter().enumerate() {
        let name = stored.name.clone();
        let Ok(dims) = tensor::dims(stored, path) else {
            raw.ignored.push(name);
            continue;
        };
        let constant = tensor::Constant {
            name: name.clone(),
            place: tensor::Place::Initializer(index),
            dims: dims.clone(),
            order: Vec::new(),
        };
        let tensor = tensor::tensor(&model, path, &constant, name, dims)
            .map_err(|problem| ConvertError::damaged(path, problem))?;
        raw.tensors.push(FileTensor::own(tensor));
    }
    Ok(raw)
}

/// The program that wrote the model, if the file says.
fn writer(model: &ModelProto) -> Option<String> {
    let writer = format!("{} {}", model.producer_name, model.producer_version);
    Some(writer.trim().to_owned()).filter(|writer| !writer.is_empty())
}

/// With open sizes and folded norms, only the exporter's name shows the variant.
fn producers(model: &ModelProto) -> Option<Variant> {
    match model.producer_name.as_str() {
        "pytorch" => Some(Variant::Torch),
        "tf2onnx" => Some(Variant::Keras),
        _ => None,
    }
}
