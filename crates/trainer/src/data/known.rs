//! The results of a check, so that the next check does not decode unchanged files.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs::Metadata,
    io,
    path::Path,
    time::UNIX_EPOCH,
};

use files::{ContentHash, FileError};
use serde::{Deserialize, Serialize};

/// The decodable pictures of a data set when it was last checked, by their names.
///
/// A file with the same length and modification time counts as unchanged. If its content differs all the same, the
/// pipeline notices, because the pipeline compares the hash of every file that it loads.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Known(BTreeMap<String, Entry>);

/// Width and height of an upright picture.
pub(super) type Size = (u32, u32);

/// A picture that could be decoded.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Entry {
    pub stamp: Stamp,
    pub content: ContentHash,
    /// `None` in the tables of older versions.
    pub pixels: Option<ContentHash>,
    pub size: Size,
}

/// The length and the modification time of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    bytes: u64,
    /// Nanoseconds since 1970.
    modified: u64,
}

impl Stamp {
    /// `None` where the file system has no modification times.
    pub fn of(metadata: &Metadata) -> Option<Self> {
        let since = metadata.modified().ok()?.duration_since(UNIX_EPOCH).ok()?;
        Some(Self {
            bytes: metadata.len(),
            modified: u64::try_from(since.as_nanos()).ok()?,
        })
    }
}

/// A row of the table.
#[derive(Serialize, Deserialize)]
struct Line {
    name: String,
    bytes: u64,
    modified: u64,
    sha256: String,
    width: u32,
    height: u32,
    #[serde(default)]
    pixels_sha256: String,
}

impl Known {
    pub(super) fn get(&self, name: &str) -> Option<&Entry> {
        self.0.get(name)
    }

    /// The content of a picture.
    pub(crate) fn content(&self, name: &str) -> Option<ContentHash> {
        self.get(name).map(|entry| entry.content)
    }

    /// Collects entries by name. Names that occur twice are left out. Two different names that are not UTF-8 may become
    /// the same name.
    pub(super) fn collect(entries: impl Iterator<Item = (String, Entry)>) -> Self {
        let (mut known, mut twice) = (BTreeMap::new(), BTreeSet::new());
        for (name, entry) in entries {
            if known.insert(name.clone(), entry).is_some() {
                twice.insert(name);
            }
        }
        known.retain(|name, _| !twice.contains(name));
        Self(known)
    }

    /// Reads the table. An unreadable table counts as empty, because the table only saves time.
    pub(crate) fn read(path: &Path) -> Self {
        let Ok(mut reader) = csv::Reader::from_path(path) else {
            return Self::default();
        };
        let lines: Result<Vec<Line>, _> = reader.deserialize().collect();
        let entry = |line: Line| {
            let entry = Entry {
                stamp: Stamp {
                    bytes: line.bytes,
                    modified: line.modified,
                },
                content: ContentHash::parse(&line.sha256)?,
                pixels: ContentHash::parse(&line.pixels_sha256),
                size: (line.width, line.height),
            };
            Some((line.name, entry))
        };
        Self::collect(lines.unwrap_or_default().into_iter().filter_map(entry))
    }

    /// Writes the table.
    pub(crate) fn write(&self, path: &Path) -> io::Result<()> {
        let mut rows = csv::Writer::from_writer(Vec::new());
        for (name, entry) in &self.0 {
            let line = Line {
                name: name.clone(),
                bytes: entry.stamp.bytes,
                modified: entry.stamp.modified,
                sha256: entry.content.to_string(),
                width: entry.size.0,
                height: entry.size.1,
                pixels_sha256: entry.pixels.map(|hash| hash.to_string()).unwrap_or_default(),
            };
            rows.serialize(line).map_err(io::Error::other)?;
        }
        let text = rows.into_inner().map_err(csv::IntoInnerError::into_error)?;
        files::write(path, true, &text).map_err(FileError::into_io)
    }
}
