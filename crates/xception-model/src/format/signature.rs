//! Formats by the first bytes of a file, or by its name where many formats begin alike.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};

use super::foreign::{
    self, Foreign, checkpoint, core_ml, flax, frozen_graph, joblib, openvino, packed, saved_model, tflite,
};

/// The first bytes of an HDF5 file.
pub(super) const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Content of no known format, or of one that only the file's name shows.
pub(super) fn other(start: &[u8], name: &str) -> Foreign {
    let is_text = |byte: &u8| byte.is_ascii_graphic() || byte.is_ascii_whitespace();
    match start {
        [] => Foreign::new("an empty file", "Download or copy it again."),
        start if start.trim_ascii_start().starts_with(b"<") => Foreign::new(
            "a web page",
            "The download did not give the file; sites that show a page of a file have another address for the file \
             itself.",
        ),
        _ if let Some(foreign) = foreign::by_ending(name) => foreign,
        start if start.iter().all(is_text) => Foreign::named("text"),
        _ => Foreign::named("other data"),
    }
}

/// HDF5 may begin at 512, 1024, 2048, ..; h5py's own user blocks go to 64 kB.
pub(super) fn has_user_block(file: &mut File) -> bool {
    (9..=16).any(|power| {
        let mut magic = [0; 8];
        file.seek(SeekFrom::Start(1 << power)).is_ok() && file.read_exact(&mut magic).is_ok() && magic == HDF5
    })
}

/// The length of a JSON header, then the header.
pub(super) fn is_safetensors(start: &[u8]) -> bool {
    let length = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| length < 1 << 32) && start.get(8) == Some(&b'{')
}

/// A pickle of protocol 2 to 5, or PyTorch's first format, a tape archive.
pub(super) fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..]) || start.get(257..262) == Some(b"ustar")
}

/// A protocol buffer that begins with `ir_version`, as every exporter writes it.
pub(super) fn is_onnx(start: &[u8]) -> bool {
    matches!(
        start,
        [0x08, 1..=64, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42 | 0x72, ..]
    )
}

/// A tape archive that is not one of PyTorch before 0.1.10, whose members have the names below.
pub(super) fn tar(start: &[u8]) -> Option<Foreign> {
    if start.get(257..262) != Some(b"ustar") {
        return None;
    }
    let name = start.split(|byte| *byte == 0).next().unwrap_or_default();
    let torch = ["sys_info", "pickle", "storages", "tensors"];
    let name = String::from_utf8_lossy(name);
    (!torch.contains(&name.trim_start_matches("./"))).then(|| packed("a tape archive (.tar)"))
}

/// The format of a file that is not read, by its first bytes, or by its name where many formats begin alike.
pub(super) fn foreign(start: &[u8], name: &str, file: &mut File, length: u64) -> Option<Foreign> {
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
            "A network has many tensors, and an array does not hold their names.",
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
        return Some(Foreign::new("a GGUF file", "It holds a language model."));
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
             model.pdiparams --save_file model.onnx",
        ));
    }
    if is_called(".msgpack") {
        return Some(flax());
    }
    // Protocol buffers: in ONNX a text follows the version, in other formats a message.
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
