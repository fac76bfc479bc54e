//! Files that appear whole or not at all.

use std::io::{self, Write};
use std::path::Path;

use crate::checkpoint::sync_folder;
use crate::error::TrainError;

/// Writes a file beside itself, then takes its name.
pub(crate) fn write(path: &Path, bytes: &[u8]) -> Result<(), TrainError> {
    let folder = folder_of(path);
    if !folder.is_dir() {
        return Err(TrainError::file(folder)(no_folder()));
    }
    publish(path, bytes, true).map_err(TrainError::file(path))
}

/// The same, and where `overwrite` is false only if there is no such file: else the error is
/// [`AlreadyExists`](io::ErrorKind::AlreadyExists).
pub(crate) fn publish(path: &Path, bytes: &[u8], overwrite: bool) -> io::Result<()> {
    let folder = folder_of(path);
    let mut builder = tempfile::Builder::new();
    // For whoever the user's mask lets, as of any file.
    #[cfg(unix)]
    builder.permissions(<std::fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(
        0o666,
    ));
    let mut partial = builder.tempfile_in(folder)?;
    partial.write_all(bytes)?;
    partial.as_file().sync_all()?;
    if overwrite {
        partial.persist(path)?;
    } else {
        partial.persist_noclobber(path)?;
    }
    sync_folder(folder)
}

/// Takes a file away, if there is one.
pub(crate) fn remove(path: &Path) -> Result<(), TrainError> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(TrainError::file(path)(error)),
        _ => Ok(()),
    }
}

/// Where a file lies.
pub(crate) fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// For a file that is to be written into a folder that is none: the system would name a temporary file.
pub(crate) fn no_folder() -> io::Error {
    io::Error::new(io::ErrorKind::NotFound, "there is no such folder; make it first")
}
