//! The `.keras` archive: a zip with `metadata.json`, `config.json` and the weights.
//!
//! Members are read only by their exact names, and no member is extracted to a path. A hostile name such as
//! `../../etc/passwd` is therefore never used.

use std::fs::File;
use std::io::{self, BufReader, Read, Seek, SeekFrom};
use std::path::Path;

use serde_json::Value;
use zip::{CompressionMethod, ZipArchive};

use crate::error::KerasStoreError;
use crate::json;
use crate::window::FileWindow;

/// Keras 3 and TF >= 2.12 first, TF 2.11 last.
const WEIGHTS: [&str; 2] = ["model.weights.h5", "variables.h5"];

/// Keras writes 64 bytes: a version and a date.
const MAX_METADATA_BYTES: u64 = 256 << 10;

/// Keras refuses a member above this size when it inflates to more than 100 times what is stored
/// (`saving_lib.py`, `_ZIP_EXTRACT_BOMB_FLOOR_BYTES`, `_ZIP_MEMBER_MAX_EXPANSION`).
const BOMB_FLOOR_BYTES: u64 = 256 << 20;
const BOMB_EXPANSION: u64 = 100;

/// How many members a message lists.
const SHOWN: usize = 5;

/// The parts of an archive that are read before any tensor.
pub(crate) struct Archive {
    pub(crate) metadata: Option<Value>,
    pub(crate) config: Option<Value>,
    pub(crate) weights: FileWindow,
}

impl Archive {
    /// Reads the two JSON members and finds the weights. A stored HDF5 member is read in place; a deflated one is
    /// unpacked into an unnamed temporary file.
    pub(crate) fn open(path: &Path, file: File) -> Result<Self, KerasStoreError> {
        let len = file.metadata().map_err(|e| io_error(path, e))?.len();
        let second = file.try_clone().map_err(|e| io_error(path, e))?;
        let mut zip = ZipArchive::new(BufReader::new(file)).map_err(|e| broken(path, &e))?;

        let metadata = json(path, &mut zip, "metadata.json", MAX_METADATA_BYTES)?;
        let config = json(path, &mut zip, "config.json", json::MAX_BYTES)?;
        let weights = weights(path, &mut zip, second, len)?;
        Ok(Self {
            metadata,
            config,
            weights,
        })
    }
}

type Zip = ZipArchive<BufReader<File>>;

fn json(path: &Path, zip: &mut Zip, name: &str, limit: u64) -> Result<Option<Value>, KerasStoreError> {
    let Some(index) = zip.index_for_name(name) else {
        return Ok(None);
    };
    let member = Member::of(path, zip, index, name)?;
    if member.size > limit {
        return Err(archive(
            path,
            format!(
                "`{name}` declares {} bytes, more than the {limit} it can need",
                member.size
            ),
        ));
    }
    let mut text = Vec::new();
    zip.by_index(index)
        .map_err(|e| broken(path, &e))?
        // The archive may lie about the size: reading one byte more than declared is an error.
        .take(member.size + 1)
        .read_to_end(&mut text)
        .map_err(|e| archive(path, format!("`{name}` cannot be read: {e}")))?;
    if text.len() as u64 != member.size {
        return Err(wrong_size(path, name, member.size));
    }
    json::parse(&text).map(Some).map_err(|reason| KerasStoreError::Json {
        path: path.into(),
        place: name.into(),
        reason,
    })
}

fn weights(path: &Path, zip: &mut Zip, file: File, file_len: u64) -> Result<FileWindow, KerasStoreError> {
    let found = WEIGHTS.iter().find_map(|&name| Some((name, zip.index_for_name(name)?)));
    let Some((name, index)) = found else {
        return Err(no_weights(path, zip));
    };
    let member = Member::of(path, zip, index, name)?;
    match member.compression {
        CompressionMethod::Stored => {
            let end = member.start.checked_add(member.size);
            if member.compressed_size != member.size || end.is_none_or(|end| end > file_len) {
                return Err(archive(
                    path,
                    format!("`{name}` runs past the end of the file, which was probably cut short"),
                ));
            }
            Ok(FileWindow::new(file, member.start, member.size))
        }
        CompressionMethod::Deflated => spool(path, zip, index, name, &member),
        other => Err(archive(
            path,
            format!("`{name}` is packed with {other}; expected it stored or deflated"),
        )),
    }
}

/// Unpacks a deflated member to disk: HDF5 needs random access, which a deflate stream does not offer.
fn spool(path: &Path, zip: &mut Zip, index: usize, name: &str, member: &Member) -> Result<FileWindow, KerasStoreError> {
    if member.size > BOMB_FLOOR_BYTES && member.size > member.compressed_size.saturating_mul(BOMB_EXPANSION) {
        return Err(archive(
            path,
            format!(
                "`{name}` declares {} bytes from {} stored ones, which no weights deflate to",
                member.size, member.compressed_size
            ),
        ));
    }
    let mut spooled = tempfile::tempfile().map_err(|e| io_error(path, e))?;
    let packed = zip.by_index(index).map_err(|e| broken(path, &e))?;
    let written = io::copy(&mut packed.take(member.size + 1), &mut spooled)
        .map_err(|e| archive(path, format!("`{name}` cannot be unpacked: {e}")))?;
    if written != member.size {
        return Err(wrong_size(path, name, member.size));
    }
    spooled.seek(SeekFrom::Start(0)).map_err(|e| io_error(path, e))?;
    Ok(FileWindow::new(spooled, 0, written))
}

struct Member {
    compression: CompressionMethod,
    compressed_size: u64,
    size: u64,
    start: u64,
}

impl Member {
    fn of(path: &Path, zip: &mut Zip, index: usize, name: &str) -> Result<Self, KerasStoreError> {
        let raw = zip.by_index_raw(index).map_err(|e| broken(path, &e))?;
        if raw.encrypted() {
            return Err(archive(
                path,
                format!("`{name}` is encrypted; decrypt the archive first"),
            ));
        }
        let Some(start) = raw.data_start() else {
            return Err(archive(path, format!("`{name}` has no data")));
        };
        Ok(Self {
            compression: raw.compression(),
            compressed_size: raw.compressed_size(),
            size: raw.size(),
            start,
        })
    }
}

fn no_weights(path: &Path, zip: &Zip) -> KerasStoreError {
    if zip.index_for_name("model.weights.npz").is_some() {
        return KerasStoreError::Unsupported {
            path: path.into(),
            what: "a .keras archive with NumPy weights (`model.weights.npz`)".into(),
            way_out: "load it in Keras and save it again, which writes `model.weights.h5`".into(),
        };
    }
    let mut names: Vec<String> = zip
        .file_names_raw()
        .take(SHOWN)
        .map(|raw| format!("`{}`", String::from_utf8_lossy(raw).escape_debug()))
        .collect();
    if zip.len() > SHOWN {
        names.push(format!("{} more", zip.len() - SHOWN));
    }
    let found = if names.is_empty() {
        "no member at all".to_owned()
    } else {
        names.join(", ")
    };
    archive(
        path,
        format!("it has no member `{}` or `{}`, only {found}", WEIGHTS[0], WEIGHTS[1]),
    )
}

fn wrong_size(path: &Path, name: &str, size: u64) -> KerasStoreError {
    archive(
        path,
        format!("`{name}` does not unpack to the {size} bytes it declares"),
    )
}

fn archive(path: &Path, reason: String) -> KerasStoreError {
    KerasStoreError::Archive {
        path: path.into(),
        reason,
    }
}

fn broken(path: &Path, error: &zip::result::ZipError) -> KerasStoreError {
    archive(path, error.to_string())
}

fn io_error(path: &Path, source: io::Error) -> KerasStoreError {
    KerasStoreError::Io {
        path: path.into(),
        source,
    }
}
