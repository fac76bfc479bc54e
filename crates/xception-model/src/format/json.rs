//! Formats that are JSON files.

use std::fs::File;
use std::io::{self, Read, Seek};
use std::path::Path;

use serde_json::Value;

use super::foreign::{Foreign, architecture, shards, tfjs};
use super::names::ends;
use super::weight_format::WeightFormat;

/// Bytes of a JSON file: a whole model's config has 1 MB.
const MAX_JSON: u64 = 4 << 20;

/// The format of a JSON file, by its keys. Any other file goes to the Keras reader, as the index of a file in shards.
pub(super) fn json(file: &mut File, path: &Path) -> io::Result<WeightFormat> {
    file.rewind()?;
    let mut text = Vec::new();
    file.take(MAX_JSON).read_to_end(&mut text)?;
    let Ok(value) = serde_json::from_slice::<Value>(&text) else {
        return Ok(WeightFormat::Keras);
    };
    let first_shard = || {
        let map = value.get("weight_map")?.as_object()?;
        let shard = map.values().next()?;
        Some(shard.as_str().or_else(|| shard.get(0)?.as_str())?.to_owned())
    };
    Ok(WeightFormat::Foreign(
        if value.get("weightsManifest").is_some() || value.get("modelTopology").is_some() {
            tfjs()
        } else if let Some(shard) = first_shard().filter(|shard| !ends(shard, "h5")) {
            shards(&shard)
        } else if value.get("weight_map").is_none() && value.get("class_name").is_some() {
            architecture(path)
        } else if value.get("nodes").is_some() && value.get("arg_nodes").is_some() {
            Foreign::new(
                "an MXNet model",
                "Export it to ONNX in MXNet: mxnet.onnx.export_model(\"model-symbol.json\", \"model-0000.params\", \
                 [(1, 3, 299, 299)], onnx_file_path=\"model.onnx\")",
            )
        } else {
            return Ok(WeightFormat::Keras);
        },
    ))
}
