use std::io;
use std::path::{Path, PathBuf};

/// An error with the file that it concerns.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum FileError {
    /// A file of this name exists and must not be replaced.
    #[error("{} exists already", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },
    /// A file was expected.
    #[error("{} is a folder; name a file in it", path.display())]
    Folder {
        /// The folder.
        path: PathBuf,
    },
    /// A pipe may never begin, a device may never end, and a rename would replace either.
    #[error("{} is no ordinary file: it is a pipe or a device", path.display())]
    NotOrdinary {
        /// The pipe or device.
        path: PathBuf,
    },
    /// A file cannot be written into a folder that does not exist.
    #[error("there is no folder {}", path.display())]
    NoFolder {
        /// The folder.
        path: PathBuf,
    },
    /// A folder was expected.
    #[error("{} is no folder", path.display())]
    NotAFolder {
        /// The file.
        path: PathBuf,
    },
    /// No file can be made in this folder.
    #[error("the folder {} takes no files: {}", path.display(), source.kind())]
    ClosedFolder {
        /// The folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
    /// The disk is too full.
    #[error(
        "the disk of {} has {} MB free, and {} MB are needed",
        path.display(), free / 1_000_000, needed.div_ceil(1_000_000)
    )]
    NoSpace {
        /// The folder.
        path: PathBuf,
        /// Bytes to write.
        needed: u64,
        /// Bytes that are free.
        free: u64,
    },
    /// The system refused the action: full disk, missing permission, no such file.
    #[error("cannot {action} {}: {source}", path.display())]
    System {
        /// The action: "read", "create", "write", "sync", "remove", "lock".
        action: &'static str,
        /// The file or folder.
        path: PathBuf,
        /// The system's error.
        source: io::Error,
    },
}

impl FileError {
    /// Makes an error of a system call, for an action on a file.
    pub fn system(action: &'static str, path: &Path) -> impl FnOnce(io::Error) -> Self {
        let path = path.to_owned();
        move |source| Self::System { action, path, source }
    }

    /// The file or folder.
    pub fn path(&self) -> &Path {
        match self {
            Self::Exists { path }
            | Self::Folder { path }
            | Self::NotOrdinary { path }
            | Self::NoFolder { path }
            | Self::NotAFolder { path }
            | Self::ClosedFolder { path, .. }
            | Self::NoSpace { path, .. }
            | Self::System { path, .. } => path,
        }
    }

    /// The error without the file's name, for an error type that names the file itself.
    pub fn into_io(self) -> io::Error {
        match self {
            Self::Exists { .. } => io::Error::new(io::ErrorKind::AlreadyExists, "it exists already"),
            Self::Folder { .. } => io::ErrorKind::IsADirectory.into(),
            Self::NotOrdinary { .. } => io::Error::other("it is a pipe or a device, and no ordinary file"),
            Self::NoFolder { .. } => io::Error::new(io::ErrorKind::NotFound, "there is no such folder; make it first"),
            Self::NotAFolder { .. } => io::ErrorKind::NotADirectory.into(),
            Self::NoSpace { needed, free, .. } => io::Error::new(
                io::ErrorKind::StorageFull,
                format!(
                    "the disk has {} MB free, and {} MB are needed",
                    free / 1_000_000,
                    needed.div_ceil(1_000_000)
                ),
            ),
            Self::ClosedFolder { source, .. } | Self::System { source, .. } => source,
        }
    }
}
