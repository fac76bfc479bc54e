//! Opens a weight file with the reader of its format.

use std::collections::BTreeSet;
use std::path::Path;

use xception_model::Known;

use crate::detect::{Kind, detect};
use crate::error::ConvertError;
use crate::weight_file::{RawTensors, WeightFile};
use crate::{keras, onnx, record, safetensors, torch};

/// Opens a weight file. The format is detected from the content.
///
/// # Errors
///
/// If the file cannot be read, is damaged, holds no network that can be computed, or leaves something open that `known`
/// does not contain.
pub fn open(path: &Path, known: &Known) -> Result<WeightFile, ConvertError> {
    read(path, known, false)
}

/// As [`open`], for [`Options::no_top`](crate::Options::no_top): the network ends before a layer after the backbone
/// that cannot be computed, and the meaning of the outputs may stay open.
///
/// # Errors
///
/// As [`open`].
pub fn open_backbone(path: &Path, known: &Known) -> Result<WeightFile, ConvertError> {
    read(path, known, true)
}

fn read(path: &Path, known: &Known, no_top: bool) -> Result<WeightFile, ConvertError> {
    let mut found = match detect(path)? {
        Kind::Keras => keras::read(path, no_top)?,
        Kind::Torch => torch::read(path, known, no_top)?,
        Kind::Safetensors => safetensors::read(path, known, no_top)?,
        Kind::Onnx => onnx::read(path, known, no_top)?,
        Kind::Record => record::read(path)?,
    };
    if no_top {
        found.description = found.description.of_backbone(known);
    }
    let spec = found.description.complete(path, known)?;
    spec.check_size().map_err(|source| ConvertError::Input {
        path: path.to_owned(),
        source,
    })?;
    // Facts that were unknown when the file was read, such as the pooling of weights alone, are now in the graph.
    let graph = spec.network.graph();
    let names: BTreeSet<&str> = graph.stages().iter().map(|stage| stage.name).collect();
    found.stages.retain(|stage| names.contains(stage.name.as_str()));
    Ok(WeightFile {
        path: path.to_owned(),
        format: found.format,
        spec,
        tensors: found.tensors,
        ignored: found.ignored,
        stages: found.stages,
        scales_pictures: found.scales_pictures,
        policy: found.policy,
    })
}

/// Lists a file's tensors; `key` is the entry of a PyTorch checkpoint that holds them.
pub(crate) fn raw(path: &Path, key: Option<&str>) -> Result<RawTensors, ConvertError> {
    match detect(path)? {
        Kind::Keras => keras::raw(path),
        Kind::Torch => torch::raw(path, key),
        Kind::Safetensors => safetensors::raw(path),
        Kind::Onnx => onnx::raw(path),
        Kind::Record => record::raw(path),
    }
}
