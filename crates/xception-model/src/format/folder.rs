//! Formats that are folders.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::path::Path;
use std::{fs, io};

use super::foreign::{
    Foreign, checkpoint, core_ml, flax, keras_saved_model, openvino, saved_model, shard, tfjs, unzipped_keras,
};
use super::names::{ends, other_shards, weight_files};

/// Files of a folder that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Names that a message lists.
const SHOWN: usize = 5;

/// A checkpoint of TensorFlow, which is named by the common beginning of its files.
pub(super) fn checkpoint_prefix(path: &Path) -> Option<Foreign> {
    let mut index = path.as_os_str().to_owned();
    index.push(".index");
    Path::new(&index).is_file().then(checkpoint)
}

/// The format of a folder, by the names of its files.
pub(super) fn folder(path: &Path) -> io::Result<Foreign> {
    let mut names = BTreeSet::new();
    for entry in fs::read_dir(path)?.take(MAX_ENTRIES) {
        names.insert(entry?.file_name().to_string_lossy().into_owned());
    }
    let has = |name: &str| names.contains(name);
    let any = |fits: &dyn Fn(&str) -> bool| names.iter().find(|name| fits(name)).cloned();
    if has("saved_model.pb") || has("saved_model.pbtxt") {
        return Ok(if has("keras_metadata.pb") {
            keras_saved_model()
        } else {
            saved_model()
        });
    }
    if has("config.json") && (has("model.weights.h5") || has("variables.h5")) {
        return Ok(unzipped_keras());
    }
    if has("checkpoint") || any(&|name| name.contains(".data-00000-of-")).is_some() {
        return Ok(checkpoint());
    }
    if has("model.json") && any(&|name| ends(name, "bin")).is_some() {
        return Ok(tfjs());
    }
    if has("Manifest.json") && has("Data") || path.extension() == Some(OsStr::new("mlpackage")) {
        return Ok(core_ml());
    }
    if has("data.pkl") && has("data") {
        return Ok(Foreign::new(
            "a PyTorch checkpoint that was unpacked",
            "Name the file that it was unpacked from, or pack the folder again: zip -0 -r model.pth FOLDER",
        ));
    }
    if let Some(xml) = any(&|name| ends(name, "xml"))
        && has(&format!("{}.bin", xml.trim_end_matches(".xml")))
    {
        return Ok(openvino());
    }
    if has("_CHECKPOINT_METADATA") || has("_METADATA") {
        return Ok(flax());
    }
    let endings = ["keras", "h5", "pth", "pt", "safetensors", "onnx", "bpk", "bin", "ckpt"];
    let (shards, names): (BTreeSet<_>, _) = names.into_iter().partition(|name| other_shards(name).is_some());
    let weights = weight_files(&names, &endings);
    if let (true, Some(others)) = (weights.is_empty(), shards.first().and_then(|name| other_shards(name))) {
        return Ok(shard(&others));
    }
    if !weights.is_empty() {
        return Ok(Foreign::new(
            "a folder",
            format!("Name the weight file in it: {}", weights.join(", ")),
        ));
    }
    let shown: Vec<&str> = names.iter().map(String::as_str).take(SHOWN).collect();
    Ok(Foreign::named(match shown.as_slice() {
        [] => "an empty folder".to_owned(),
        shown => format!(
            "a folder without weights and without a card.toml: it holds {}",
            shown.join(", ")
        ),
    }))
}
