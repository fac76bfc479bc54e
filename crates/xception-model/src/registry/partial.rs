//! The part of a file that has come so far, and where it came from.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::error::RegistryError;

/// `<file>.part` holds the bytes that have come so far, `<file>.part.from` where they came from. Both outlive the
/// process, so that the next one resumes.
#[derive(Debug)]
pub(super) struct Partial {
    path: PathBuf,
    note: PathBuf,
    origin: Origin,
    length: u64,
}

/// The answer that the bytes belong to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Origin {
    /// The URL asked.
    pub url: String,
    /// The server's `ETag`, where it gave one.
    pub etag: Option<String>,
    /// The size of the whole file, where the server gave one.
    pub total: Option<u64>,
}

impl Partial {
    /// What an earlier attempt left for this file. Bytes without a readable note of their origin are dropped.
    pub(super) fn open(target: &Path) -> Result<Self, RegistryError> {
        let path = with_ending(target, "part");
        let note = with_ending(&path, "from");
        let origin = fs::read_to_string(&note)
            .ok()
            .and_then(|text| toml::from_str(&text).ok());
        let length = fs::metadata(&path).map_or(0, |metadata| metadata.len());
        let mut partial = Self {
            path,
            note,
            origin: Origin::default(),
            length,
        };
        match origin {
            Some(origin) => partial.origin = origin,
            None => partial.clear()?,
        }
        Ok(partial)
    }

    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    pub(super) fn origin(&self) -> &Origin {
        &self.origin
    }

    /// Bytes that have come so far.
    pub(super) fn length(&self) -> u64 {
        self.length
    }

    /// Forgets everything that has come.
    pub(super) fn clear(&mut self) -> Result<(), RegistryError> {
        for path in [&self.path, &self.note] {
            files::remove(path).map_err(RegistryError::not_written)?;
        }
        self.origin = Origin::default();
        self.length = 0;
        Ok(())
    }

    /// Notes whose bytes are about to come, and opens the file behind those that are there.
    pub(super) fn append(&mut self, origin: Origin) -> Result<File, RegistryError> {
        let text = toml::to_string(&origin)
            .map_err(io::Error::other)
            .map_err(write_error("write", &self.note))?;
        fs::write(&self.note, text).map_err(write_error("write", &self.note))?;
        self.origin = origin;
        OpenOptions::new()
            .create(true)
            .append(true)
            .open(&self.path)
            .map_err(write_error("create", &self.path))
    }

    /// Counts bytes that were written.
    pub(super) fn grow(&mut self, bytes: u64) {
        self.length += bytes;
    }

    /// Makes the complete and verified file visible under its own name; it is on the disk before that.
    pub(super) fn publish(mut self, target: &Path) -> Result<(), RegistryError> {
        files::publish(&self.path, target).map_err(RegistryError::not_written)?;
        self.clear()
    }
}

/// Where an unfinished download of `target` is kept.
pub(super) fn partial_path(target: &Path) -> PathBuf {
    with_ending(target, "part")
}

pub(super) fn write_error<'a>(action: &'static str, path: &'a Path) -> impl Fn(io::Error) -> RegistryError + use<'a> {
    move |source| RegistryError::Write {
        action,
        path: path.to_owned(),
        source,
    }
}

/// `path` with one more ending: `with_extension` would replace the last one.
pub(super) fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    PathBuf::from(name)
}
