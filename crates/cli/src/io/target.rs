//! Files that results are written to.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use files::FileError;

/// A file to be written, completely or not at all.
pub struct Target {
    path: PathBuf,
    force: bool,
}

impl Target {
    /// Checks, before any work is done, that the file may be written: its folder exists and takes files, and an
    /// existing file is replaced only with `force`.
    pub fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        match files::check_target(path, force) {
            // Renaming a file to `/dev/stdout` would replace the device.
            Err(FileError::NotOrdinary { .. }) => bail!(
                "{} is no ordinary file; results go to standard output without --output",
                path.display()
            ),
            Err(error @ FileError::Exists { .. }) => bail!("{error}; --force replaces it"),
            checked => checked?,
        }
        let target = Self {
            path: path.to_owned(),
            force,
        };
        files::check_folder(files::folder_of(path)).with_context(|| target.cannot_write())?;
        Ok(target)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file without a name on the target's disk, for an incomplete result. The system deletes it when this process
    /// ends.
    pub fn unnamed(&self) -> anyhow::Result<File> {
        files::spool(files::folder_of(&self.path)).with_context(|| self.cannot_write())
    }

    /// Writes a file under a temporary name, syncs it to disk and renames it.
    pub fn publish(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> anyhow::Result<()> {
        files::write_with(&self.path, self.force, fill)
            .map_err(FileError::into_io)
            .with_context(|| self.cannot_write())
    }

    /// The context of an error.
    pub fn cannot_write(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

/// Checks that a folder exists, or can be made, and takes files. Leaves nothing behind.
pub fn check_new_folder(folder: &Path) -> anyhow::Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists());
    files::check_folder(existing.unwrap_or(Path::new(".")))
        .with_context(|| format!("cannot write {}", folder.display()))
}
