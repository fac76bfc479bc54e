//! Formats that are zip archives.

use std::ffi::OsStr;
use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use super::foreign::{Foreign, core_ml, python, saved_model, zipped_keras};
use super::names::{ends, weight_files};
use super::weight_format::WeightFormat;

/// Bytes of a zip's list of names: a checkpoint of 2,000 tensors has 0.2 MB.
const MAX_DIRECTORY: u64 = 16 << 20;

/// The format of a zip archive, by the names of its members: `.keras`, PyTorch's, NumPy's and others. A damaged archive
/// goes to the Keras reader, which names the damage.
pub(super) fn zip(file: &mut File, path: &Path, length: u64) -> WeightFormat {
    let Some(names) = zip_names(file, length) else {
        // PyTorch's files are such archives, too.
        let is_torch = path
            .extension()
            .is_some_and(|ending| ["pth", "pt", "ckpt", "bin"].iter().any(|one| ending == *one));
        return if is_torch {
            WeightFormat::Foreign(Foreign::new(
                "an archive without its list of members",
                "The file was probably cut short: download or copy it again.",
            ))
        } else {
            WeightFormat::Keras
        };
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
                "The arrays do not name their layers. In Python, with the program that builds the model:",
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
    let weights = weight_files(&names, &["keras", "h5", "pth", "pt", "safetensors", "onnx", "bpk"]);
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
