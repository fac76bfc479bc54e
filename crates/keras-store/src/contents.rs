//! Opens a file of any layout: detects the layout, reads the config and lists the layers.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use files::FileError;
use serde_json::Value;

use crate::archive::Archive;
use crate::config::ConfigNode;
use crate::error::KerasStoreError;
use crate::hdf5::{H5Dataset, H5Error, H5Tree};
use crate::json;
use crate::keras3;
use crate::layer::{KerasFormat, KerasLayer, StoredLayer, UnknownType};
use crate::legacy::{self, Broken};
use crate::window::FileWindow;

const HDF5_SIGNATURE: &[u8] = b"\x89HDF\r\n\x1a\n";
/// An HDF5 file may start with a user block, whose length is 512 bytes times a power of two.
const MAX_USER_BLOCK: u64 = 1 << 24;
/// Limit on the bytes of all layers' paths together. The largest model of `keras.applications` has 1,041 layers with
/// names of 30 bytes.
const MAX_PATHS: usize = 16 << 20;
/// How many groups a message lists.
const SHOWN: usize = 5;

/// Everything in a file except the values of its tensors.
pub(crate) struct Contents {
    pub(crate) format: KerasFormat,
    pub(crate) config: Option<Value>,
    pub(crate) layers: Vec<KerasLayer>,
    /// One entry for each layer, and in it one for each variable.
    pub(crate) data: Vec<Vec<Arc<H5Dataset>>>,
}

impl Contents {
    fn new(format: KerasFormat, config: Option<Value>, stored: Vec<StoredLayer>) -> Self {
        let (layers, data) = stored.into_iter().map(|s| (s.layer, s.data)).unzip();
        Self {
            format,
            config,
            layers,
            data,
        }
    }

    pub(crate) fn open(path: &Path) -> Result<Self, KerasStoreError> {
        let io_error = |source| KerasStoreError::Io {
            path: path.into(),
            source,
        };
        if fs::metadata(path).map_err(io_error)?.is_dir() {
            return Err(not_keras(
                path,
                "a directory (a TensorFlow SavedModel? save it from Keras as `.keras`)",
            ));
        }
        let (mut file, length) = open_ordinary(path)?;
        let mut head = Vec::new();
        (&mut file).take(512).read_to_end(&mut head).map_err(io_error)?;
        if head.starts_with(b"PK\x03\x04") || head.starts_with(b"PK\x05\x06") {
            return archive(path, file);
        }
        if is_hdf5(&mut file, length).map_err(io_error)? {
            return hdf5(path, FileWindow::new(file, 0, length));
        }
        if head.trim_ascii_start().starts_with(b"{") {
            return sharded(path, file);
        }
        Err(not_keras(path, &describe(&head)))
    }
}

fn is_hdf5(file: &mut File, len: u64) -> io::Result<bool> {
    let mut offset = 0;
    let mut signature = [0; HDF5_SIGNATURE.len()];
    while offset <= MAX_USER_BLOCK && offset + HDF5_SIGNATURE.len() as u64 <= len {
        file.seek(SeekFrom::Start(offset))?;
        file.read_exact(&mut signature)?;
        if signature == HDF5_SIGNATURE {
            return Ok(true);
        }
        offset = if offset == 0 { 512 } else { offset * 2 };
    }
    Ok(false)
}

/// Describes a file that is no Keras file, so that a user can see what went wrong.
fn describe(head: &[u8]) -> String {
    let text = head.trim_ascii_start().to_ascii_lowercase();
    if head.is_empty() {
        "an empty file".into()
    } else if text.starts_with(b"<!doctype") || text.starts_with(b"<html") {
        "a web page (the download returned a page instead of the file)".into()
    } else if text.starts_with(b"version https://git-lfs") {
        "a Git LFS pointer (fetch the file itself with `git lfs pull`)".into()
    } else {
        let first: Vec<String> = head.iter().take(8).map(|b| format!("{b:02x}")).collect();
        format!("a file that starts with the bytes {}", first.join(" "))
    }
}

fn archive(path: &Path, file: File) -> Result<Contents, KerasStoreError> {
    let archive = Archive::open(path, file)?;
    let keras_version = archive
        .metadata
        .as_ref()
        .and_then(|m| m.get("keras_version")?.as_str().map(str::to_owned));
    let tree = tree(path, archive.weights)?;
    let config = archive.config.as_ref().and_then(ConfigNode::of);
    check_paths(path, "config.json", config.as_ref())?;
    let layers = keras3_layers(path, &tree, config.as_ref())?;
    let format = KerasFormat::Keras3Archive { keras_version };
    Ok(Contents::new(format, archive.config, layers))
}

fn hdf5(path: &Path, window: FileWindow) -> Result<Contents, KerasStoreError> {
    let tree = tree(path, window)?;
    let listed = |group: &str| {
        tree.groups
            .get(group)
            .is_some_and(|g| g.strings("layer_names").is_some())
    };
    let root = if listed("") {
        Some("")
    } else if listed("model_weights") {
        Some("model_weights")
    } else {
        None
    };
    let Some(root) = root else {
        let layers = keras3_layers(path, &tree, None)?;
        let format = KerasFormat::Keras3Weights { files: 1 };
        return Ok(Contents::new(format, None, layers));
    };

    let attribute = |name: &str| {
        [root, ""]
            .iter()
            .find_map(|group| tree.groups.get(*group)?.string(name))
    };
    let keras_version = attribute("keras_version").map(str::to_owned);
    let config: Option<Value> = attribute("model_config")
        .map(|text| json::parse(text.as_bytes()))
        .transpose()
        .map_err(|reason| json_error(path, "model_config", reason))?;
    let node = config.as_ref().and_then(ConfigNode::of);
    check_paths(path, "model_config", node.as_ref())?;
    let layers = legacy::layers(&tree, root, node.as_ref()).map_err(|e| match e {
        Broken::Missing(reason) => layout(path, reason),
        Broken::Kernels(what) => KerasStoreError::Unsupported {
            path: path.into(),
            what,
            way_out: "load the file in Keras 2 with the TensorFlow backend and save it again".into(),
        },
        Broken::UnknownType(unknown) => unknown_type(path, &unknown),
    })?;
    if layers.iter().all(|l| l.data.is_empty()) {
        return Err(layout(path, "none of its layers has a variable".into()));
    }
    let format = if root.is_empty() {
        KerasFormat::LegacyWeights { keras_version }
    } else {
        KerasFormat::LegacyModel { keras_version }
    };
    Ok(Contents::new(format, config, layers))
}

fn check_paths(path: &Path, place: &str, config: Option<&ConfigNode<'_>>) -> Result<(), KerasStoreError> {
    match config.map_or(0, ConfigNode::path_bytes) {
        bytes if bytes > MAX_PATHS => Err(json_error(
            path,
            place,
            format!("the paths of its layers have {bytes} bytes, more than the {MAX_PATHS} a model can need"),
        )),
        _ => Ok(()),
    }
}

/// Reads a `.weights.json`, which names the shard `x_0000N.weights.h5` of each group.
fn sharded(path: &Path, file: File) -> Result<Contents, KerasStoreError> {
    let mut text = Vec::new();
    let mut file = file;
    file.seek(SeekFrom::Start(0))
        .and_then(|_| file.take(json::MAX_BYTES + 1).read_to_end(&mut text))
        .map_err(|source| KerasStoreError::Io {
            path: path.into(),
            source,
        })?;
    let index = json::parse(&text).map_err(|reason| json_error(path, "weight_map", reason))?;
    let Some(map) = index.get("weight_map").and_then(Value::as_object) else {
        return Err(not_keras(
            path,
            "JSON without a `weight_map` (a config? its weights are in a file of their own)",
        ));
    };
    // The variables of one group may be spread over several shards.
    let shards: BTreeSet<&str> = map
        .values()
        .flat_map(|v| match v {
            Value::Array(list) => list.iter().filter_map(Value::as_str).collect(),
            other => other.as_str().into_iter().collect::<Vec<_>>(),
        })
        .collect();
    let mut whole = H5Tree::default();
    for shard in &shards {
        let shard_path = beside(path, shard)?;
        let (shard_file, length) = open_ordinary(&shard_path)?;
        let part = tree(&shard_path, FileWindow::new(shard_file, 0, length))?;
        whole.merge(part);
    }
    let layers = keras3_layers(path, &whole, None)?;
    let files = shards.len();
    let format = KerasFormat::Keras3Weights { files };
    Ok(Contents::new(format, None, layers))
}

/// Opens an ordinary file and returns its length. Pipes are refused: opening one may block, and a pipe cannot seek.
fn open_ordinary(path: &Path) -> Result<(File, u64), KerasStoreError> {
    let io_error = |source| KerasStoreError::Io {
        path: path.into(),
        source,
    };
    let file = files::open(path).map_err(|error| match error {
        FileError::System { source, .. } => io_error(source),
        _ => not_keras(path, "a pipe or a device, which is no ordinary file"),
    })?;
    let length = file.metadata().map_err(io_error)?.len();
    Ok((file, length))
}

/// The path of a shard, which must lie in the folder of its `.weights.json`; a name with a folder is refused.
fn beside(path: &Path, shard: &str) -> Result<PathBuf, KerasStoreError> {
    let name = Path::new(shard);
    if name.file_name() != Some(name.as_os_str()) || shard.contains(['/', '\\']) {
        return Err(layout(
            path,
            format!("the shard `{}` is not a plain file name", shard.escape_debug()),
        ));
    }
    Ok(path.with_file_name(name))
}

fn tree(path: &Path, window: FileWindow) -> Result<H5Tree, KerasStoreError> {
    H5Tree::read(window, skipped).map_err(|H5Error { place, reason }| KerasStoreError::Hdf5 {
        path: path.into(),
        place,
        reason,
    })
}

/// Whether a group is skipped: optimiser state is twice as large as the weights, and is not needed.
fn skipped(group: &str) -> bool {
    group == "optimizer_weights" || group == "optimizer" || group.ends_with("/optimizer")
}

fn keras3_layers(
    path: &Path,
    tree: &H5Tree,
    config: Option<&ConfigNode<'_>>,
) -> Result<Vec<StoredLayer>, KerasStoreError> {
    let layers = keras3::layers(tree, config).map_err(|unknown| unknown_type(path, &unknown))?;
    if layers.iter().any(|l| !l.data.is_empty()) {
        return Ok(layers);
    }
    let roots: BTreeSet<&str> = tree
        .groups
        .keys()
        .chain(tree.datasets.keys())
        .filter_map(|p| p.split('/').next().filter(|p| !p.is_empty()))
        .collect();
    let mut names: Vec<String> = roots.iter().take(SHOWN).map(|n| format!("`{n}`")).collect();
    if roots.len() > SHOWN {
        names.push(format!("{} more", roots.len() - SHOWN));
    }
    let found = if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    };
    Err(layout(
        path,
        format!(
            "expected the attribute `layer_names` or groups `layers/*/vars` with variables, found {found}; if it is \
             no file of Keras's, set the weights of the model that it belongs to, and save that: \
             model.save(\"model.keras\")"
        ),
    ))
}

fn not_keras(path: &Path, found: &str) -> KerasStoreError {
    KerasStoreError::NotKeras {
        path: path.into(),
        found: found.into(),
    }
}

fn layout(path: &Path, reason: String) -> KerasStoreError {
    KerasStoreError::Layout {
        path: path.into(),
        reason,
    }
}

fn json_error(path: &Path, place: &str, reason: String) -> KerasStoreError {
    KerasStoreError::Json {
        path: path.into(),
        place: place.into(),
        reason,
    }
}

fn unknown_type(path: &Path, unknown: &UnknownType) -> KerasStoreError {
    KerasStoreError::Unsupported {
        path: path.into(),
        what: format!("the type of `{}`", unknown.place),
        way_out: "Burn has floats of 16 to 64 bits, integers of 8 to 64 bits and booleans".into(),
    }
}
