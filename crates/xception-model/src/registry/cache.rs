//! The folder in which weights are kept between runs.
//!
//! [`Cache::weights`] reads and hashes the whole file in each call: its callers are about to convert the file, which
//! takes far longer (0.15 s for the SHA-256 of 86 MB against seconds), and a remembered result would not notice a file
//! that changed since. The fast path is [`Cache::record`]: a record's name contains the hash of its source, the record
//! gets this name only after a verified source was converted, and one look into the folder finds it.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use etcetera::BaseStrategy;
use files::{ContentHash, Lock};

use super::card::Card;
use super::checksum::verify;
use super::error::{RegistryError, Unavailable};
use super::fetch::{Failure, fetch};
use super::options::{CACHE_VARIABLE, FetchOptions};
use super::partial::{partial_path, with_ending, write_error};
use super::weights::{Kind, Weights};

/// Part of every record's name. Raised when the conversion or Burn's record format changes, so that records are made
/// again.
pub const RECORD_VERSION: u32 = 1;

/// The folder in which weights are kept between runs: `<cache>/<card>/<file>`, and beside each file its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cache {
    dir: PathBuf,
}

/// The cached files of one weight file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cached {
    /// With or without the classifier.
    pub kind: Kind,
    /// The path of the original file, which may be put there by hand.
    pub path: PathBuf,
    /// The original file's size, if it exists. The file is verified when it is used, not here.
    pub bytes: Option<u64>,
    /// Size of an unfinished download, if there is one.
    pub partial_bytes: Option<u64>,
    /// The path of the record.
    pub record: PathBuf,
    /// The record's size, if it exists.
    pub record_bytes: Option<u64>,
}

impl Cache {
    /// The cache in `explicit`, or in the folder that `XCEPTION_CACHE` names, or in `xception` under the user's cache
    /// folder (`~/.cache` or `XDG_CACHE_HOME`; on Windows the local application data). Nothing is created yet.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NoCacheFolder`] if none of these folders is known, [`RegistryError::Read`] if a relative path
    /// is given and the working folder is gone.
    pub fn new(explicit: Option<PathBuf>) -> Result<Self, RegistryError> {
        Self::choose(explicit, std::env::var_os(CACHE_VARIABLE), || {
            etcetera::choose_base_strategy()
                .ok()
                .map(|strategy| strategy.cache_dir())
        })
    }

    fn choose(
        explicit: Option<PathBuf>,
        variable: Option<OsString>,
        platform: impl FnOnce() -> Option<PathBuf>,
    ) -> Result<Self, RegistryError> {
        let variable = variable.filter(|value| !value.is_empty());
        let dir = explicit
            .or_else(|| variable.map(PathBuf::from))
            .or_else(|| Some(platform()?.join("xception")))
            .ok_or(RegistryError::NoCacheFolder)?;
        // Messages contain paths, which must also be right in another terminal.
        match std::path::absolute(&dir) {
            Ok(dir) => Ok(Self { dir }),
            Err(source) => Err(RegistryError::Read { path: dir, source }),
        }
    }

    /// The cache's folder.
    pub fn dir(&self) -> &Path {
        &self.dir
    }

    /// The verified original file: beside the user's own card, or from the cache, or downloaded.
    ///
    /// A file in the cache that is not what the card describes, put there by hand or damaged, is reported and
    /// downloaded again; it is replaced only if the download succeeds.
    ///
    /// # Errors
    ///
    /// [`RegistryError::NoWeights`], [`RegistryError::Unavailable`], [`RegistryError::WrongFile`],
    /// [`RegistryError::Read`], [`RegistryError::Write`].
    pub fn weights(&self, card: &Card, kind: Kind, options: &FetchOptions) -> Result<PathBuf, RegistryError> {
        let weights = card.weights(kind)?;
        if let Some(folder) = card.folder() {
            let path = folder.join(&weights.file);
            match look(&path, weights)? {
                Look::Right => return Ok(path),
                Look::Wrong(problem) => return Err(RegistryError::WrongFile { path, problem }),
                Look::Absent => {}
            }
        }

        let path = self.weights_path(card, weights);
        let unavailable = |reason: String| {
            RegistryError::Unavailable(Box::new(Unavailable {
                card: card.name.clone(),
                file: weights.file.clone(),
                reason,
                urls: weights.urls.clone(),
                obtain: weights.obtain.clone(),
                path: path.clone(),
            }))
        };
        let mut remark = String::new();
        match look(&path, weights)? {
            Look::Right => return Ok(path),
            Look::Wrong(problem) => {
                remark = format!("{} is wrong ({problem}), and ", path.display());
            }
            Look::Absent => {}
        }
        if options.offline {
            return Err(unavailable(format!("{remark}this run is offline")));
        }
        if weights.urls.is_empty() {
            return Err(unavailable(format!("{remark}no URL serves it")));
        }

        let _lock = self.lock(&path, options)?;
        match look(&path, weights)? {
            // Another process was faster.
            Look::Right => return Ok(path),
            Look::Wrong(problem) => options
                .reporter
                .say(&format!("{} is wrong ({problem}), fetching it anew", path.display())),
            Look::Absent => {}
        }
        let here = size(&partial_path(&path)).unwrap_or(0);
        let missing = weights.bytes.unwrap_or(0).saturating_sub(here);
        files::check_space(&self.folder(card), missing).map_err(RegistryError::not_written)?;
        match fetch(weights, &path, options) {
            Ok(()) => Ok(path),
            Err(Failure::Local(error)) => Err(error),
            Err(Failure::Sources(answers)) => Err(unavailable(format!("{remark}{answers}"))),
        }
    }

    /// The record, made once from the verified original by `convert`, and kept.
    ///
    /// `convert` gets the verified source and the path of a file to write, which does not exist yet. The result appears
    /// in the cache only if `convert` returns `Ok`. The record's name depends on the source's hash, the card's network
    /// table and [`RECORD_VERSION`]: when one of them changes, the record is made again. The original is kept for other
    /// versions, and for conversions to other formats.
    ///
    /// # Errors
    ///
    /// As [`Cache::weights`], and [`RegistryError::Convert`] with the converter's own error.
    pub fn record<E>(
        &self,
        card: &Card,
        kind: Kind,
        options: &FetchOptions,
        convert: impl FnOnce(&Path, &Path) -> Result<(), E>,
    ) -> Result<PathBuf, RegistryError>
    where
        E: Into<Box<dyn std::error::Error + Send + Sync>>,
    {
        let record = self.record_path(card, card.weights(kind)?);
        if size(&record).is_some() {
            return Ok(record);
        }
        let source = self.weights(card, kind, options)?;
        let _lock = self.lock(&record, options)?;
        if size(&record).is_some() {
            return Ok(record);
        }

        // Only the holder of the lock uses this name, so an existing file was left by a killed process.
        let scratch = with_ending(&record, "tmp");
        match fs::remove_dir_all(&scratch) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => {
                return Err(write_error("remove", &scratch)(error));
            }
            _ => {}
        }
        let name = scratch.file_name().unwrap_or_default();
        let folder = tempfile::Builder::new()
            .prefix(name)
            .rand_bytes(0)
            .tempdir_in(self.folder(card))
            .map_err(write_error("create", &scratch))?;
        let temporary = folder.path().join("record.bpk");
        let failed = |error| RegistryError::Convert {
            path: source.clone(),
            source: error,
        };
        convert(&source, &temporary).map_err(|error| failed(error.into()))?;
        if size(&temporary).is_none_or(|bytes| bytes == 0) {
            return Err(failed("the converter wrote no file".into()));
        }
        files::publish(&temporary, &record).map_err(RegistryError::not_written)?;
        Ok(record)
    }

    /// The state of this card's files in the cache, in the card's order. No file is read or hashed.
    pub fn status(&self, card: &Card) -> Vec<Cached> {
        card.weights
            .iter()
            .map(|weights| {
                let path = self.weights_path(card, weights);
                let record = self.record_path(card, weights);
                Cached {
                    kind: weights.kind,
                    bytes: size(&path),
                    partial_bytes: size(&partial_path(&path)),
                    record_bytes: size(&record),
                    path,
                    record,
                }
            })
            .collect()
    }

    fn folder(&self, card: &Card) -> PathBuf {
        self.dir.join(&card.name)
    }

    fn weights_path(&self, card: &Card, weights: &Weights) -> PathBuf {
        self.folder(card).join(&weights.file)
    }

    fn record_path(&self, card: &Card, weights: &Weights) -> PathBuf {
        let sha256 = weights.sha256.as_ref().or(weights.sha256_prefix.as_ref());
        let key = format!(
            "{RECORD_VERSION}\n{}\n{}\n{}",
            sha256.map_or_else(String::new, |digits| digits.to_lowercase()),
            weights.md5.as_deref().unwrap_or_default().to_lowercase(),
            card.network
        );
        let mut key = ContentHash::of(key.as_bytes()).to_string();
        key.truncate(16);
        self.folder(card).join(format!("{}-{key}.bpk", weights.kind))
    }

    /// Locks the file that is about to appear at `path`.
    fn lock(&self, path: &Path, options: &FetchOptions) -> Result<Lock, RegistryError> {
        let folder = path.parent().unwrap_or(&self.dir);
        fs::create_dir_all(folder).map_err(write_error("create", folder))?;
        let path = with_ending(path, "lock");
        Lock::wait(&path, || {
            options.reporter.say(&format!(
                "waiting for another process that prepares the same weights (it holds {})",
                path.display()
            ));
        })
        .map_err(RegistryError::not_written)
    }
}

enum Look {
    Absent,
    Right,
    Wrong(String),
}

/// Whether the right file is at `path`.
fn look(path: &Path, weights: &Weights) -> Result<Look, RegistryError> {
    match verify(path, weights) {
        Ok(Ok(())) => Ok(Look::Right),
        Ok(Err(problem)) => Ok(Look::Wrong(problem)),
        Err(error) if matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => {
            Ok(Look::Absent)
        }
        Err(source) => Err(RegistryError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// The size of an existing file.
fn size(path: &Path) -> Option<u64> {
    fs::metadata(path)
        .ok()
        .filter(fs::Metadata::is_file)
        .map(|metadata| metadata.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_argument_wins_over_the_variable_and_that_over_the_platform() {
        let choose = |explicit: Option<&str>, variable: Option<&str>, platform: Option<&str>| {
            Cache::choose(explicit.map(PathBuf::from), variable.map(OsString::from), || {
                platform.map(PathBuf::from)
            })
            .map(|cache| cache.dir)
        };
        let absolute = |path: &str| std::path::absolute(path).unwrap();
        let dir = choose(Some("/a"), Some("/b"), Some("/c")).unwrap();
        assert_eq!(dir, absolute("/a"));
        let dir = choose(None, Some("/b"), Some("/c")).unwrap();
        assert_eq!(dir, absolute("/b"));
        let dir = choose(None, Some(""), Some("/c")).unwrap();
        assert_eq!(dir, absolute("/c/xception"));
        let dir = choose(Some("relative"), None, None).unwrap();
        assert!(dir.is_absolute());
        let error = choose(None, None, None).unwrap_err().to_string();
        assert_eq!(
            error,
            "this user has no home folder to keep weights in: set XCEPTION_CACHE to a folder"
        );
    }
}
