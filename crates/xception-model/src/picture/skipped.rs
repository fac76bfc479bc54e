//! The files of a folder that are left out, counted.

use std::{
    collections::BTreeMap,
    fmt,
    fs::{self, File},
    io::Read,
    path::Path,
};

use super::formats::{FileKind, HEAD_BYTES, OtherFormat, is_hidden, is_named_as_picture};

/// Files that a search for pictures leaves out, because of the endings of their names, counted by their content.
///
/// Displayed, it is a sentence for people, with the lines that convert the largest group.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SkippedFiles {
    /// Pictures in formats that are not read.
    unread: BTreeMap<&'static str, (usize, Option<OtherFormat>)>,
    /// Pictures in formats that are read.
    unnamed: BTreeMap<&'static str, usize>,
    /// Pictures in formats that are read but not searched for.
    unsearched: BTreeMap<&'static str, usize>,
    others: usize,
}

/// The number of pictures below a folder that a search for pictures passes over, since they or their folders are
/// [hidden](is_hidden).
pub fn hidden_pictures(folder: &Path) -> usize {
    fn count(folder: &Path, inside_hidden: bool) -> usize {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        entries
            .map(|entry| {
                let is_hidden = inside_hidden || is_hidden(&entry.file_name());
                // Links are not followed: they may lead back.
                match entry.file_type() {
                    Ok(kind) if kind.is_dir() => count(&entry.path(), is_hidden),
                    Ok(_) => usize::from(is_hidden && is_named_as_picture(&entry.path())),
                    Err(_) => 0,
                }
            })
            .sum()
    }
    count(folder, false)
}

impl SkippedFiles {
    /// Looks at the first bytes of a file. One that cannot be read counts among the others.
    pub fn add(&mut self, path: &Path) {
        let mut head = Vec::with_capacity(HEAD_BYTES);
        let read = File::open(path).and_then(|file| file.take(HEAD_BYTES as u64).read_to_end(&mut head));
        match FileKind::of(if read.is_ok() { &head } else { &[] }) {
            FileKind::Picture(format) if !format.is_searched() => {
                *self.unsearched.entry(format.name()).or_default() += 1;
            }
            FileKind::Picture(format) => *self.unnamed.entry(format.name()).or_default() += 1,
            FileKind::Other(format) if format.is_picture => {
                let (count, kept) = self.unread.entry(format.name).or_default();
                *count += 1;
                *kept = Some(format);
            }
            FileKind::Other(_) | FileKind::Unknown => self.others += 1,
        }
    }

    /// Whether no file is skipped.
    pub fn is_empty(&self) -> bool {
        self.count() == 0
    }

    /// How many files are skipped.
    pub fn count(&self) -> usize {
        let unread: usize = self.unread.values().map(|(count, _)| count).sum();
        let read: usize = self.unnamed.values().chain(self.unsearched.values()).sum();
        unread + read + self.others
    }

    /// How many of them are pictures, whatever their format.
    pub fn pictures(&self) -> usize {
        self.count() - self.others
    }
}

impl fmt::Display for SkippedFiles {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let unread = self.unread.iter().map(|(name, (count, _))| format!("{count} {name}"));
        let unnamed = self.unnamed.iter();
        let unnamed = unnamed.map(|(name, count)| format!("{count} {name} without a usual ending"));
        let unsearched = self.unsearched.iter();
        let unsearched = unsearched.map(|(name, count)| format!("{count} {name} (read only when named)"));
        let others = match self.others {
            0 => None,
            1 => Some("1 other file".to_owned()),
            count => Some(format!("{count} other files")),
        };
        let parts: Vec<String> = unread.chain(unnamed).chain(unsearched).chain(others).collect();
        write!(f, "skipped {}", parts.join(", "))?;
        let largest = self.unread.values().max_by_key(|(count, _)| count);
        if let Some(OtherFormat { name, advice, .. }) = largest.and_then(|(_, format)| *format) {
            write!(f, "; for {name}: {advice}")?;
        }
        Ok(())
    }
}
