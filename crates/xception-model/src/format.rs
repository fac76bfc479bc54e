//! Which format a file or folder of weights has, by its content.
//!
//! What is read has a reader's name. What is not read is named too, with the lines of Python that make a file of it
//! that is.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;

use burn::store::burn_pack::MAGIC_NUMBER;
use serde_json::Value;

const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";
/// Bytes of a zip's list of names: a checkpoint of 2,000 tensors has 0.2 MB.
const MAX_DIRECTORY: u64 = 16 << 20;
/// Bytes of a JSON file: a whole model's config has 1 MB.
const MAX_JSON: u64 = 4 << 20;
/// Files of a folder that are looked at.
const MAX_ENTRIES: usize = 4096;
/// Names that a message lists.
const SHOWN: usize = 5;

/// The format of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightFormat {
    /// A Burn record (`.bpk`).
    Record,
    /// A Keras file: an archive, HDF5, or the index of a file in shards.
    Keras,
    /// A PyTorch checkpoint.
    Torch,
    /// safetensors.
    Safetensors,
    /// ONNX.
    Onnx,
    /// None that is read.
    Foreign(Foreign),
}

/// A format that is not read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Foreign {
    /// What it is, for people, such as `a TensorFlow Lite model`.
    pub name: String,
    /// What to do about it, where something can be done: a sentence, and lines of Python.
    pub advice: String,
}

impl Foreign {
    fn new(name: impl Into<String>, advice: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            advice: advice.into(),
        }
    }

    /// Without advice.
    fn named(name: impl Into<String>) -> Self {
        Self::new(name, "")
    }
}

impl std::fmt::Display for Foreign {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.name)?;
        if self.advice.is_empty() {
            return Ok(());
        }
        write!(f, ". {}", self.advice)
    }
}

/// A sentence, and lines of Python below it.
fn python(sentence: &str, lines: &[&str]) -> String {
    let mut text = sentence.to_owned();
    for line in lines {
        text.push_str("\n    ");
        text.push_str(line);
    }
    text
}

impl WeightFormat {
    /// Finds the format of a file or folder.
    ///
    /// # Errors
    ///
    /// When it cannot be read.
    pub fn of(path: &Path) -> io::Result<Self> {
        let metadata = match fs::metadata(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return checkpoint_prefix(path).map(Self::Foreign).ok_or(error);
            }
            metadata => metadata?,
        };
        if metadata.is_dir() {
            return folder(path).map(Self::Foreign);
        }
        // To open a pipe may take for ever, a device may never end, and every reader needs to seek.
        if !metadata.is_file() {
            return Ok(Self::Foreign(Foreign::named("something that is no ordinary file")));
        }
        let mut file = File::open(path)?;
        let mut start = Vec::with_capacity(512);
        (&mut file).take(512).read_to_end(&mut start)?;
        let name = path.file_name().unwrap_or_default().to_string_lossy().to_lowercase();
        let text = start.trim_ascii_start();
        Ok(match start.as_slice() {
            start if start.starts_with(&MAGIC_NUMBER.to_le_bytes()) => Self::Record,
            start if start.starts_with(b"PK") => zip(&mut file, path, metadata.len()),
            start if start.starts_with(HDF5) || has_user_block(&mut file) => Self::Keras,
            _ if text.starts_with(b"{") => json(&mut file, path)?,
            start if is_safetensors(start) => Self::Safetensors,
            start if is_pickle(start) => match tar(start) {
                Some(foreign) => Self::Foreign(foreign),
                None => Self::Torch,
            },
            start => match foreign(start, &name, &mut file, metadata.len()) {
                Some(foreign) => Self::Foreign(foreign),
                None if is_onnx(start) => Self::Onnx,
                None => Self::Foreign(Foreign::named(other(start))),
            },
        })
    }

    /// What it is, for a message about a file that is read by another program.
    pub(crate) fn found(self, path: &Path) -> String {
        let convert = |what: &str| {
            format!(
                "{what}: make a record of it, `xception convert {} OUTPUT.bpk`",
                path.display()
            )
        };
        match self {
            Self::Record => "a Burn record".into(),
            Self::Keras => "a Keras file, which this build does not read".into(),
            Self::Torch => convert("a PyTorch checkpoint"),
            Self::Safetensors => convert("safetensors"),
            Self::Onnx => convert("an ONNX model"),
            Self::Foreign(foreign) => foreign.to_string(),
        }
    }
}

/// What content that has no format is called.
fn other(start: &[u8]) -> &'static str {
    match start {
        [] => "an empty file",
        start if start.trim_ascii_start().starts_with(b"<") => "a web page",
        start
            if start
                .iter()
                .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
        {
            "text"
        }
        _ => "other data",
    }
}

/// HDF5 may begin at 512, 1024, 2048, ..; h5py's own user blocks go to 64 kB.
fn has_user_block(file: &mut File) -> bool {
    (9..=16).any(|power| {
        let mut magic = [0; 8];
        file.seek(SeekFrom::Start(1 << power)).is_ok() && file.read_exact(&mut magic).is_ok() && magic == HDF5
    })
}

/// The length of a JSON header, then the header.
fn is_safetensors(start: &[u8]) -> bool {
    let length = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| length < 1 << 32) && start.get(8) == Some(&b'{')
}

/// A pickle of protocol 2 to 5, or PyTorch's first format, a tape archive.
fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..]) || start.get(257..262) == Some(b"ustar")
}

/// A protocol buffer that begins with `ir_version`, as every exporter writes it.
fn is_onnx(start: &[u8]) -> bool {
    matches!(
        start,
        [0x08, 1..=64, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42 | 0x72, ..]
    )
}

/// A tape archive that PyTorch before 0.1.10 did not write, whose members were these.
fn tar(start: &[u8]) -> Option<Foreign> {
    if start.get(257..262) != Some(b"ustar") {
        return None;
    }
    let name = start.split(|byte| *byte == 0).next().unwrap_or_default();
    let torch = ["sys_info", "pickle", "storages", "tensors"];
    let name = String::from_utf8_lossy(name);
    (!torch.contains(&name.trim_start_matches("./"))).then(|| packed("a tape archive (.tar)"))
}

fn packed(what: &str) -> Foreign {
    Foreign::new(what, "Unpack it, and name the weight file in it.")
}

/// Files that are told by their first bytes, or by their names where the bytes are everyone's.
fn foreign(start: &[u8], name: &str, file: &mut File, length: u64) -> Option<Foreign> {
    let magic = |bytes: &[u8]| start.starts_with(bytes);
    let is_called = |ending: &str| name.ends_with(ending);
    if start.get(4..8) == Some(b"TFL3") {
        return Some(tflite());
    }
    if magic(b"version https://git-lfs") {
        return Some(Foreign::named(
            "a Git LFS pointer: fetch the file itself with `git lfs pull`",
        ));
    }
    if magic(b"\x93NUMPY") {
        return Some(Foreign::new(
            "one NumPy array",
            "A network has many tensors, and an array says none of their names.",
        ));
    }
    for (bytes, what) in [
        (b"\x1f\x8b".as_slice(), "a gzip file"),
        (b"BZh", "a bzip2 file"),
        (b"\xfd7zXZ\0", "an xz file"),
        (b"7z\xbc\xaf\x27\x1c", "a 7z archive"),
        (b"Rar!", "a rar archive"),
        (b"\x28\xb5\x2f\xfd", "a zstd file"),
    ] {
        if magic(bytes) {
            return Some(packed(what));
        }
    }
    if magic(b"\x89PNG") || magic(b"\xff\xd8\xff") || magic(b"GIF8") || magic(b"II*\0") || magic(b"MM\0*") {
        return Some(Foreign::named("a picture"));
    }
    if magic(b"GGUF") {
        return Some(Foreign::new("a GGUF file", "That is for language models."));
    }
    if magic(b"x\x01") || magic(b"x\x9c") || magic(b"x\xda") {
        return Some(joblib());
    }
    let text = start.trim_ascii_start();
    let holds = |part: &[u8]| start.windows(part.len()).any(|bytes| bytes == part);
    if text.starts_with(b"<") && holds(b"<net ") {
        return Some(openvino());
    }
    if magic(b"model_checkpoint_path:") {
        return Some(checkpoint());
    }
    if is_called(".index") && table_magic(file, length) || name.contains(".data-0000") {
        return Some(checkpoint());
    }
    if is_called(".ckpt.meta") {
        return Some(checkpoint());
    }
    if is_called(".mlmodel") {
        return Some(core_ml());
    }
    if is_called(".pdparams") || is_called(".pdmodel") || is_called(".pdiparams") {
        return Some(Foreign::new(
            "a PaddlePaddle model",
            "Export it to ONNX: paddle2onnx --model_dir FOLDER --model_filename model.pdmodel --params_filename \
             model.pdiparams \
             --save_file model.onnx",
        ));
    }
    if is_called(".msgpack") {
        return Some(flax());
    }
    // Protocol buffers: a text behind the version is ONNX's producer, a message the first thing in other formats.
    match start {
        [0x08, 1, 0x12, rest @ ..] if begins_with_message(rest) => Some(saved_model()),
        [0x08, 1..=12, 0x12, rest @ ..] if begins_with_message(rest) => Some(core_ml()),
        [0x0a, rest @ ..] if is_graph_def(rest) => Some(frozen_graph()),
        _ => None,
    }
}

/// A length, then the tag of a message's first field.
fn begins_with_message(bytes: &[u8]) -> bool {
    let length = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    bytes.get(length) == Some(&0x0a)
}

/// A node of a graph of TensorFlow: its name, then its operation.
fn is_graph_def(bytes: &[u8]) -> bool {
    let varint = bytes.iter().take_while(|byte| **byte >= 0x80).count() + 1;
    let text = |from: usize, tag: u8| {
        let length = usize::from(*bytes.get(from + 1)?);
        let end = from + 2 + length;
        let text = bytes.get(from + 2..end)?;
        (bytes[from] == tag && length > 0 && text.iter().all(u8::is_ascii_graphic)).then_some(end)
    };
    text(varint, 0x0a).and_then(|end| text(end, 0x12)).is_some()
}

/// The last bytes of a table of TensorFlow's checkpoints (`kTableMagicNumber` of `tensorflow/core/lib/io/format.h`).
fn table_magic(file: &mut File, length: u64) -> bool {
    let mut end = [0; 8];
    length >= 8
        && file.seek(SeekFrom::Start(length - 8)).is_ok()
        && file.read_exact(&mut end).is_ok()
        && u64::from_le_bytes(end) == 0xdb47_7524_8b80_fb57
}

/// The name that a checkpoint of TensorFlow goes by, which is no file's.
fn checkpoint_prefix(path: &Path) -> Option<Foreign> {
    let mut index = path.as_os_str().to_owned();
    index.push(".index");
    Path::new(&index).is_file().then(checkpoint)
}

/// What a folder holds.
fn folder(path: &Path) -> io::Result<Foreign> {
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
    let is_weights = |name: &&String| {
        ["keras", "h5", "pth", "pt", "safetensors", "onnx", "bpk", "bin", "ckpt"]
            .iter()
            .any(|ending| ends(name, ending))
    };
    let weights: Vec<&str> = names
        .iter()
        .filter(is_weights)
        .map(String::as_str)
        .take(SHOWN)
        .collect();
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

fn ends(name: &str, ending: &str) -> bool {
    Path::new(name)
        .extension()
        .is_some_and(|found| found.eq_ignore_ascii_case(ending))
}

/// `.keras`, PyTorch's archives, NumPy's and others are zip files. A damaged one goes to the Keras reader, which says
/// what is wrong with it.
fn zip(file: &mut File, path: &Path, length: u64) -> WeightFormat {
    let Some(names) = zip_names(file, length) else {
        return WeightFormat::Keras;
    };
    let ends_in = |end: &str| {
        names.iter().find(|name| {
            let leaves = name.starts_with('/') || name.split('/').any(|part| part == "..");
            !leaves && (*name == end || name.ends_with(&format!("/{end}")))
        })
    };
    if names
        .iter()
        .any(|name| ["model.weights.h5", "variables.h5"].contains(&name.as_str()))
    {
        return WeightFormat::Keras;
    }
    if names
        .iter()
        .any(|name| name.contains("/code/") || name.ends_with("/constants.pkl"))
        && ends_in("data.pkl").is_some()
        && names.iter().any(|name| name.contains("/code/"))
    {
        return WeightFormat::Foreign(Foreign::new(
            "a TorchScript program",
            python(
                "It holds code, which is not run. In Python:",
                &[
                    "import torch",
                    "torch.save(torch.jit.load(\"model.pt\", map_location=\"cpu\").state_dict(), \"weights.pth\")",
                ],
            ),
        ));
    }
    let is_export =
        |name: &&String| name.ends_with("serialized_exported_program.json") || name.ends_with("archive_format");
    if names.iter().any(|name| is_export(&name)) {
        return WeightFormat::Foreign(Foreign::new(
            "an exported program of PyTorch (.pt2)",
            python(
                "In Python:",
                &[
                    "import torch",
                    "torch.save(dict(torch.export.load(\"model.pt2\").state_dict), \"weights.pth\")",
                ],
            ),
        ));
    }
    if ends_in("data.pkl").is_some() {
        return WeightFormat::Torch;
    }
    if !names.is_empty() && names.iter().all(|name| ends(name, "npy")) {
        return WeightFormat::Foreign(Foreign::new(
            "NumPy arrays (.npz)",
            python(
                "Arrays do not say which layer they are of. In Python, with the program that builds the model:",
                &[
                    "import numpy",
                    "model.set_weights(list(numpy.load(\"model.npz\").values()))    # in the order of get_weights()",
                    "model.save(\"model.keras\")",
                ],
            ),
        ));
    }
    if ends_in("model.weights.h5").is_some() || ends_in("variables.h5").is_some() {
        return WeightFormat::Foreign(zipped_keras());
    }
    if ends_in("saved_model.pb").is_some() {
        return WeightFormat::Foreign(saved_model());
    }
    if ends_in("Manifest.json").is_some() && names.iter().any(|name| name.contains(".mlpackage/")) {
        return WeightFormat::Foreign(core_ml());
    }
    let is_weights = |name: &&String| {
        ["keras", "h5", "pth", "pt", "safetensors", "onnx", "bpk"]
            .iter()
            .any(|ending| ends(name, ending))
    };
    let weights: Vec<&str> = names
        .iter()
        .filter(is_weights)
        .map(String::as_str)
        .take(SHOWN)
        .collect();
    if !weights.is_empty() && path.extension() != Some(OsStr::new("keras")) {
        return WeightFormat::Foreign(Foreign::new(
            "a zip archive",
            format!("Unpack it, and name the weight file in it: {}", weights.join(", ")),
        ));
    }
    WeightFormat::Keras
}

/// The names of a zip archive's members, from its list of them (APPNOTE 4.3.12 and 4.3.16); `None` for a damaged list.
fn zip_names(file: &mut File, length: u64) -> Option<Vec<String>> {
    // The record at the end has 22 bytes and a comment of up to 65,535.
    let tail = length.min(22 + 65_535);
    let mut end = vec![0; usize::try_from(tail).ok()?];
    file.seek(SeekFrom::Start(length - tail)).ok()?;
    file.read_exact(&mut end).ok()?;
    let at = end.windows(4).rposition(|bytes| bytes == b"PK\x05\x06")?;
    let word = |at: usize| Some(u32::from_le_bytes(*end.get(at..)?.first_chunk()?));
    let (mut size, mut start) = (u64::from(word(at + 12)?), u64::from(word(at + 16)?));
    // Beyond 4 GiB a record before that one holds both (APPNOTE 4.3.14).
    if start == u64::from(u32::MAX)
        && let Some(at) = end.windows(4).rposition(|bytes| bytes == b"PK\x06\x06")
    {
        let long = |at: usize| Some(u64::from_le_bytes(*end.get(at..)?.first_chunk()?));
        (size, start) = (long(at + 40)?, long(at + 48)?);
    }
    if size > MAX_DIRECTORY || start.checked_add(size)? > length {
        return None;
    }
    let mut list = vec![0; usize::try_from(size).ok()?];
    file.seek(SeekFrom::Start(start)).ok()?;
    file.read_exact(&mut list).ok()?;
    let mut names = Vec::new();
    let mut rest = list.as_slice();
    while rest.starts_with(b"PK\x01\x02") {
        let half = |at: usize| Some(usize::from(u16::from_le_bytes(*rest.get(at..)?.first_chunk()?)));
        let (name, extra, comment) = (half(28)?, half(30)?, half(32)?);
        names.push(String::from_utf8_lossy(rest.get(46..46 + name)?).into_owned());
        rest = rest.get(46 + name + extra + comment..)?;
    }
    Some(names)
}

/// A JSON file by its keys. What is none of these goes to the Keras reader, as the index of a file in shards.
fn json(file: &mut File, path: &Path) -> io::Result<WeightFormat> {
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

fn saved_model() -> Foreign {
    Foreign::new(
        "a TensorFlow SavedModel",
        "It holds a program of TensorFlow and no Keras model. Make an ONNX file of it: pip install tf2onnx; \
         python -m tf2onnx.convert --saved-model FOLDER --output model.onnx",
    )
}

fn keras_saved_model() -> Foreign {
    Foreign::new(
        "a TensorFlow SavedModel of a Keras model",
        python(
            "In Python, with Keras 2 (pip install tf_keras):",
            &[
                "import tf_keras",
                "tf_keras.models.load_model(\"FOLDER\").save(\"model.h5\")",
            ],
        ),
    )
}

fn checkpoint() -> Foreign {
    Foreign::new(
        "a TensorFlow checkpoint",
        python(
            "It does not say what its layers compute. In Python, with the program that builds the model:",
            &[
                "model.load_weights(\"CHECKPOINT\")    # the path without .index; Keras 2",
                "model.save(\"model.h5\")",
            ],
        ),
    )
}

fn tflite() -> Foreign {
    Foreign::new(
        "a TensorFlow Lite model",
        python(
            "Save the Keras model that it was made of, in Python:",
            &["model.save(\"model.keras\")"],
        ) + "\n  Without that model, make an ONNX file: pip install tf2onnx; python -m tf2onnx.convert --tflite \
             model.tflite --output \
           model.onnx",
    )
}

fn frozen_graph() -> Foreign {
    Foreign::new(
        "a frozen graph of TensorFlow (.pb)",
        "Make an ONNX file of it: pip install tf2onnx; python -m tf2onnx.convert --graphdef model.pb --inputs INPUT:0 \
         --outputs \
         OUTPUT:0 --output model.onnx",
    )
}

fn tfjs() -> Foreign {
    Foreign::new(
        "a TensorFlow.js model",
        "Make a Keras file of it: pip install tensorflowjs; tensorflowjs_converter --input_format tfjs_layers_model \
         --output_format keras model.json model.h5",
    )
}

fn core_ml() -> Foreign {
    Foreign::new(
        "a Core ML model",
        python(
            "There is no way back from it. Save the model that it was made of, in Python:",
            &[
                "model.save(\"model.keras\")    # Keras",
                "torch.save(model.state_dict(), \"weights.pth\")    # PyTorch",
            ],
        ),
    )
}

fn openvino() -> Foreign {
    Foreign::new(
        "an OpenVINO model (.xml and .bin)",
        python(
            "There is no way back from it. Save the model that it was made of, in Python:",
            &[
                "model.save(\"model.keras\")    # Keras",
                "torch.save(model.state_dict(), \"weights.pth\")    # PyTorch",
            ],
        ),
    )
}

fn flax() -> Foreign {
    Foreign::new(
        "a checkpoint of JAX",
        "It does not say what its layers compute. Save the Keras model with model.save(\"model.keras\"), or export \
         the function \
         to ONNX with jax2onnx.",
    )
}

fn joblib() -> Foreign {
    Foreign::new(
        "a compressed pickle (joblib)",
        python(
            "It is a program, and is not run. If you trust it, in Python:",
            &[
                "import joblib",
                "joblib.load(\"model.joblib\").save(\"model.keras\")    # of a Keras model",
            ],
        ),
    )
}

fn unzipped_keras() -> Foreign {
    Foreign::new(
        "a .keras archive that was unpacked",
        python(
            "Pack it again, in Python:",
            &[
                "import os, shutil",
                "shutil.make_archive(\"model\", \"zip\", \"FOLDER\"); os.rename(\"model.zip\", \"model.keras\")",
            ],
        ),
    )
}

fn zipped_keras() -> Foreign {
    Foreign::new(
        "a zip archive of a folder that is an unpacked .keras archive",
        python(
            "Its members must lie at the top. In Python:",
            &[
                "import os, shutil",
                "shutil.unpack_archive(\"model.zip\", \"unpacked\", \"zip\")",
                "shutil.make_archive(\"model\", \"zip\", \"unpacked/FOLDER\"); os.rename(\"model.zip\", \
                 \"model.keras\")",
            ],
        ),
    )
}

fn shards(first: &str) -> Foreign {
    let (load, what) = if first.ends_with(".safetensors") {
        ("weights.update(safetensors.torch.load_file(name))", "safetensors")
    } else {
        ("weights.update(torch.load(name, map_location=\"cpu\"))", "PyTorch")
    };
    Foreign::new(
        format!("the index of {what} weights in several files"),
        python(
            "Put them into one file, in Python:",
            &[
                "import json, safetensors.torch, torch",
                "weights = {}",
                "for name in set(json.load(open(\"INDEX.json\"))[\"weight_map\"].values()):",
                &format!("    {load}"),
                "torch.save(weights, \"weights.pth\")",
            ],
        ),
    )
}

fn architecture(path: &Path) -> Foreign {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    Foreign::new(
        "a Keras model's architecture without its weights",
        python(
            "In Python:",
            &[
                "import keras",
                &format!("model = keras.models.model_from_json(open(\"{name}\").read())"),
                "model.load_weights(\"WEIGHTS.h5\")",
                "model.save(\"model.keras\")",
            ],
        ),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn written(name: &str, bytes: &[u8]) -> WeightFormat {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(name);
        fs::write(&path, bytes).unwrap();
        WeightFormat::of(&path).unwrap()
    }

    /// A folder of empty files.
    fn held(names: &[&str]) -> String {
        let folder = tempfile::tempdir().unwrap();
        for name in names {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, "").unwrap();
        }
        match WeightFormat::of(folder.path()).unwrap() {
            WeightFormat::Foreign(foreign) => foreign.to_string(),
            other => panic!("{other:?}"),
        }
    }

    /// A zip archive of empty members.
    fn zipped(names: &[&str]) -> Vec<u8> {
        let (mut bytes, mut list) = (Vec::new(), Vec::new());
        for name in names {
            let header = |magic: &[u8], rest: &[u8]| [magic, rest].concat();
            let length = (name.len() as u16).to_le_bytes();
            let start = (bytes.len() as u32).to_le_bytes();
            bytes.extend(header(b"PK\x03\x04", &[0; 22]));
            bytes.extend(length);
            bytes.extend([0; 2]);
            bytes.extend(name.as_bytes());
            list.extend(header(b"PK\x01\x02", &[0; 24]));
            list.extend(length);
            list.extend([0; 12]);
            list.extend(start);
            list.extend(name.as_bytes());
        }
        let (start, size) = (bytes.len() as u32, list.len() as u32);
        bytes.extend(list);
        bytes.extend(b"PK\x05\x06");
        bytes.extend([0; 8]);
        bytes.extend(size.to_le_bytes());
        bytes.extend(start.to_le_bytes());
        bytes.extend([0; 2]);
        bytes
    }

    #[test]
    fn formats_that_are_read() {
        assert_eq!(written("x", &MAGIC_NUMBER.to_le_bytes()), WeightFormat::Record);
        assert_eq!(written("x", HDF5), WeightFormat::Keras);
        assert_eq!(written("x", &[&[0; 1024][..], HDF5].concat()), WeightFormat::Keras);
        assert_eq!(written("x", b"\x10\0\0\0\0\0\0\0{\"a\":1}"), WeightFormat::Safetensors);
        assert_eq!(written("x", b"\x80\x02}q\0."), WeightFormat::Torch);
        assert_eq!(written("x", b"\x08\x07\x12\x07pytorch"), WeightFormat::Onnx);
        assert_eq!(
            written("x", &zipped(&["metadata.json", "config.json", "model.weights.h5"])),
            WeightFormat::Keras
        );
        assert_eq!(
            written("x", &zipped(&["archive/data.pkl", "archive/data/0"])),
            WeightFormat::Torch
        );
        assert_eq!(
            written("x", br#"{"weight_map": {"/layers": "x_00000.weights.h5"}}"#),
            WeightFormat::Keras
        );
        // A damaged archive goes to the reader that says so.
        assert_eq!(written("x", b"PK\x03\x04 cut"), WeightFormat::Keras);
    }

    #[test]
    fn files_that_are_not_read_are_named() {
        let table = [&[0; 16][..], &0xdb47_7524_8b80_fb57_u64.to_le_bytes()].concat();
        for (name, bytes, parts) in [
            (
                "m.tflite",
                b"\x1c\0\0\0TFL3".to_vec(),
                ["TensorFlow Lite", "model.save("],
            ),
            (
                "model.json",
                br#"{"modelTopology": {}, "weightsManifest": []}"#.to_vec(),
                ["TensorFlow.js", "tensorflowjs_converter"],
            ),
            (
                "m.json",
                br#"{"class_name": "Functional", "config": {}}"#.to_vec(),
                ["without its weights", "load_weights"],
            ),
            (
                "model.safetensors.index.json",
                br#"{"weight_map": {"a": "model-00001-of-00002.safetensors"}}"#.to_vec(),
                ["in several files", "torch.save(weights"],
            ),
            ("m.npz", zipped(&["arr_0.npy", "arr_1.npy"]), ["NumPy", "set_weights"]),
            ("m.npy", b"\x93NUMPY\x01\0".to_vec(), ["one NumPy array", "names"]),
            (
                "m.pt",
                zipped(&["m/data.pkl", "m/code/__torch__.py", "m/constants.pkl"]),
                ["TorchScript", "torch.jit.load("],
            ),
            (
                "m.pt2",
                zipped(&["m/archive_format", "m/models/model.json", "m/data/weights/model.pt"]),
                ["exported program", "torch.export.load("],
            ),
            (
                "m.zip",
                zipped(&["m/metadata.json", "m/config.json", "m/model.weights.h5"]),
                ["unpacked .keras", "make_archive"],
            ),
            ("m.zip", zipped(&["m/saved_model.pb"]), ["SavedModel", "tf2onnx"]),
            (
                "m.zip",
                zipped(&["readme.txt", "best.pth"]),
                ["a zip archive", "best.pth"],
            ),
            (
                "saved_model.pb",
                b"\x08\x01\x12\xb4\xdf\x07\x0a\x05".to_vec(),
                ["SavedModel", "tf2onnx"],
            ),
            (
                "frozen.pb",
                b"\x0a\x1d\x0a\x07input_1\x12\x0bPlaceholder*".to_vec(),
                ["frozen graph", "--graphdef"],
            ),
            (
                "m.mlmodel",
                b"\x08\x04\x12\x20\x0a\x05".to_vec(),
                ["Core ML", "model.save("],
            ),
            (
                "m.xml",
                b"<?xml version=\"1.0\"?>\n<net name=\"m\" version=\"11\">".to_vec(),
                ["OpenVINO", "model.save("],
            ),
            ("m.index", table, ["checkpoint", "load_weights("]),
            ("m.data-00000-of-00001", vec![1, 2, 3], ["checkpoint", "load_weights("]),
            (
                "checkpoint",
                b"model_checkpoint_path: \"m\"".to_vec(),
                ["checkpoint", "load_weights("],
            ),
            ("m.joblib", b"x\x9c\x01\x02".to_vec(), ["joblib", "joblib.load("]),
            ("m.gz", b"\x1f\x8b\x08".to_vec(), ["gzip", "Unpack"]),
            ("m.png", b"\x89PNG\r\n\x1a\n".to_vec(), ["a picture", ""]),
            ("m.h5", b"<html>404</html>".to_vec(), ["a web page", ""]),
            ("m.h5", b"".to_vec(), ["an empty file", ""]),
            (
                "m.h5",
                b"version https://git-lfs.github.com/spec/v1".to_vec(),
                ["Git LFS", "git lfs pull"],
            ),
        ] {
            match written(name, &bytes) {
                WeightFormat::Foreign(foreign) => {
                    let text = foreign.to_string();
                    for part in parts {
                        assert!(text.contains(part), "{name}: {text}");
                    }
                }
                other => panic!("{name}: {other:?}"),
            }
        }
    }

    #[test]
    fn folders_are_named_by_what_they_hold() {
        for (names, part) in [
            (
                vec!["saved_model.pb", "keras_metadata.pb", "variables/variables.index"],
                "tf_keras",
            ),
            (vec!["saved_model.pb", "variables/variables.index"], "tf2onnx"),
            (vec!["config.json", "metadata.json", "model.weights.h5"], "make_archive"),
            (
                vec!["checkpoint", "ckpt.index", "ckpt.data-00000-of-00001"],
                "load_weights(",
            ),
            (vec!["model.json", "group1-shard1of1.bin"], "tensorflowjs_converter"),
            (vec!["Manifest.json", "Data/model"], "Core ML"),
            (vec!["m.xml", "m.bin"], "OpenVINO"),
            (
                vec!["config.json", "model.safetensors"],
                "Name the weight file in it: model.safetensors",
            ),
            (vec!["cat.jpg"], "it holds cat.jpg"),
            (vec![], "an empty folder"),
        ] {
            let text = held(&names);
            assert!(text.contains(part), "{names:?}: {text}");
        }
    }

    #[test]
    fn a_checkpoint_goes_by_a_name_that_is_no_files() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("best.index"), "").unwrap();
        let format = WeightFormat::of(&folder.path().join("best")).unwrap();
        assert!(matches!(format, WeightFormat::Foreign(foreign) if foreign.name.contains("checkpoint")));
        assert!(WeightFormat::of(&folder.path().join("lost")).is_err());
    }
}
