use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::Path;

use burn_store::burn_pack::MAGIC_NUMBER;
use files::FileError;
use zip::ZipArchive;

use crate::error::ConvertError;

/// The reader for a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Keras,
    Torch,
    Safetensors,
    Onnx,
    Record,
}

const HDF5: &[u8] = b"\x89HDF\r\n\x1a\n";

/// Detects a file's format from its content.
pub(crate) fn detect(path: &Path) -> Result<Kind, ConvertError> {
    let cannot_read = |source| ConvertError::Read {
        path: path.to_owned(),
        source,
    };
    // Every reader needs to seek.
    let mut file = files::open(path).map_err(|error| match error {
        FileError::NotOrdinary { path } => ConvertError::UnknownFormat {
            path,
            found: "something that is no ordinary file",
        },
        error => cannot_read(error.into_io()),
    })?;
    let mut start = Vec::with_capacity(512);
    (&mut file).take(512).read_to_end(&mut start).map_err(cannot_read)?;

    let unknown = |found| {
        Err(ConvertError::UnknownFormat {
            path: path.to_owned(),
            found,
        })
    };
    match start.as_slice() {
        [] => unknown("an empty file"),
        start if start.starts_with(&MAGIC_NUMBER.to_le_bytes()) => Ok(Kind::Record),
        start if start.starts_with(b"PK") => Ok(zip_kind(file)),
        start if start.starts_with(HDF5) || has_user_block(&mut file) => Ok(Kind::Keras),
        // The index of a sharded Keras file.
        start if start.trim_ascii_start().starts_with(b"{") => Ok(Kind::Keras),
        start if is_safetensors(start) => Ok(Kind::Safetensors),
        start if is_pickle(start) => Ok(Kind::Torch),
        start if is_onnx(start) => Ok(Kind::Onnx),
        start if start.trim_ascii_start().starts_with(b"<") => unknown("a web page"),
        start if start.starts_with(b"version https://git-lfs") => {
            unknown("a Git LFS pointer: fetch the file itself with `git lfs pull`")
        }
        start
            if start
                .iter()
                .all(|byte| byte.is_ascii_graphic() || byte.is_ascii_whitespace()) =>
        {
            unknown("text")
        }
        _ => unknown("other data"),
    }
}

/// `.keras` files and PyTorch's archives are both zip; only PyTorch's holds a pickle. A damaged archive goes to the
/// Keras reader, which reports the damage.
fn zip_kind(file: File) -> Kind {
    let pickled = ZipArchive::new(file).is_ok_and(|archive| {
        archive
            .file_names_raw()
            .any(|name| name == b"data.pkl" || name.ends_with(b"/data.pkl"))
    });
    if pickled { Kind::Torch } else { Kind::Keras }
}

/// HDF5 may begin at 512, 1024, 2048, ..; h5py's own user blocks go up to 64 kB.
fn has_user_block(file: &mut File) -> bool {
    (9..=16).any(|power| {
        let mut magic = [0; 8];
        file.seek(SeekFrom::Start(1 << power)).is_ok() && file.read_exact(&mut magic).is_ok() && magic == HDF5
    })
}

/// A length, then a JSON header of that length.
fn is_safetensors(start: &[u8]) -> bool {
    let length = start.first_chunk().map(|bytes| u64::from_le_bytes(*bytes));
    length.is_some_and(|length| length < 1 << 32) && start.get(8) == Some(&b'{')
}

/// A pickle of protocol 2 to 5, or PyTorch's first format, a tar archive.
fn is_pickle(start: &[u8]) -> bool {
    matches!(start, [0x80, 2..=5, ..]) || start.get(257..262) == Some(b"ustar")
}

/// A protocol buffer that begins with `ir_version`, which every exporter writes first.
fn is_onnx(start: &[u8]) -> bool {
    matches!(
        start,
        [0x08, 1..=64, 0x12 | 0x1a | 0x22 | 0x2a | 0x32 | 0x3a | 0x42 | 0x72, ..]
    )
}
