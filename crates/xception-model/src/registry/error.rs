//! The errors between a weight set's name and a verified file.

use std::fmt;
use std::io;
use std::path::PathBuf;

use files::FileError;

use super::options::CACHE_VARIABLE;
use super::weights::Kind;

/// An error of the registry; each message says what to do next.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RegistryError {
    /// No built-in card has this name.
    #[error("no weight set is called `{name}`; known are {}", nearest(known))]
    UnknownCard {
        /// The requested name.
        name: String,
        /// The existing names, the most similar first.
        known: Vec<String>,
    },

    /// The content of a card, or of its label file, cannot be used.
    #[error("{}, {place}: {problem}", file.display())]
    Card {
        /// The card or label file.
        file: PathBuf,
        /// The key, or the line and column.
        place: String,
        /// What was expected and what was found.
        problem: String,
    },

    /// The card has no weights of this kind.
    #[error("{card} has no `{kind}` weights, only {}", listed(known))]
    NoWeights {
        /// The card's name.
        card: String,
        /// The requested kind.
        kind: Kind,
        /// The kinds that the card lists.
        known: Vec<Kind>,
    },

    /// The file is not on this machine and could not be fetched.
    #[error(transparent)]
    Unavailable(Box<Unavailable>),

    /// The file beside the user's own card differs from the card's description.
    #[error("{} is not the file that its card describes: {problem}", path.display())]
    WrongFile {
        /// The file beside the card.
        path: PathBuf,
        /// The difference.
        problem: String,
    },

    /// There is no home folder for the cache.
    #[error("this user has no home folder to keep weights in: set {variable} to a folder", variable = CACHE_VARIABLE)]
    NoCacheFolder,

    /// A file or folder could not be read.
    #[error("cannot read {}: {source}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// A file or folder of the cache could not be written: full disk, missing permission, a file system without locks.
    #[error("cannot {action} {}: {source}; {}", path.display(), way_out(source))]
    Write {
        /// The action: "create", "write", "lock", ...
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },

    /// The conversion of a verified file into a record failed; no part of it was kept.
    #[error("cannot convert {} into a record: {source}", path.display())]
    Convert {
        /// The verified source file.
        path: PathBuf,
        /// The converter's error.
        source: Box<dyn std::error::Error + Send + Sync>,
    },
}

impl RegistryError {
    /// A file or folder of the cache that could not be written.
    pub(super) fn not_written(error: FileError) -> Self {
        let path = error.path().to_owned();
        let action = match &error {
            FileError::System { action, .. } => action,
            _ => "create",
        };
        Self::Write {
            action,
            path,
            source: error.into_io(),
        }
    }
}

fn way_out(source: &io::Error) -> String {
    let variable = CACHE_VARIABLE;
    match source.kind() {
        io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => {
            format!("free some space or set {variable} to a folder on a larger disk")
        }
        io::ErrorKind::Unsupported => {
            format!("set {variable} to a folder on a file system with locks")
        }
        _ => format!("set {variable} to a folder that can be written"),
    }
}

/// Why a file is not available, and how to provide it by hand, in one sentence.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Unavailable {
    /// The card's name.
    pub card: String,
    /// The file's name.
    pub file: String,
    /// The reason: offline, no URL, or the answer of each URL.
    pub reason: String,
    /// URLs from which a person can download the file; empty if the card has no URL.
    pub urls: Vec<String>,
    /// The card's advice if there is no URL.
    pub obtain: Option<String>,
    /// Where a person may put the file; it is verified there like a downloaded one.
    pub path: PathBuf,
}

impl fmt::Display for Unavailable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot get {} of {}: {}; ", self.file, self.card, self.reason)?;
        if !self.urls.is_empty() {
            write!(f, "fetch {} by other means", self.urls.join(" or "))?;
        }
        if let Some(obtain) = &self.obtain {
            let or = if self.urls.is_empty() { "" } else { ", or " };
            write!(f, "{or}{obtain}")?;
        }
        write!(
            f,
            ", then save the file as {}, or name one with --weights FILE",
            self.path.display()
        )
    }
}

impl std::error::Error for Unavailable {}

/// The first of many names.
fn nearest(known: &[String]) -> String {
    /// Names that a message lists.
    const LISTED: usize = 8;

    let listed = known.get(..LISTED).unwrap_or(known).join(", ");
    match known.len().saturating_sub(LISTED) {
        0 => listed,
        more => format!("{listed} and {more} more"),
    }
}

/// The kinds in backquotes.
fn listed(kinds: &[Kind]) -> String {
    let quoted: Vec<String> = kinds.iter().map(|kind| format!("`{kind}`")).collect();
    quoted.join(", ")
}
