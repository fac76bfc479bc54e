//! Files that results are written to.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};

/// A file to be written, completely or not at all.
pub struct Target {
    path: PathBuf,
    force: bool,
}

impl Target {
    /// Checks, before any work is done, that the file may be written: its folder exists and takes files, and an
    /// existing file is replaced only with `force`.
    pub fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        match fs::symlink_metadata(path) {
            Ok(_) if path.is_dir() => bail!("{} is a folder; name a file in it", path.display()),
            // Renaming a file to `/dev/stdout` would replace the device.
            Ok(_) if path.exists() && !path.is_file() => {
                bail!(
                    "{} is no ordinary file; results go to standard output without --output",
                    path.display()
                )
            }
            Ok(_) if !force => bail!("{} exists already; --force replaces it", path.display()),
            _ => {}
        }
        let target = Self {
            path: path.to_owned(),
            force,
        };
        check_folder(target.folder()).with_context(|| target.cannot_write())?;
        Ok(target)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// A file without a name on the target's disk, for an incomplete result. The system deletes it when this process
    /// ends.
    pub fn unnamed(&self) -> anyhow::Result<File> {
        tempfile::tempfile_in(self.folder()).with_context(|| self.cannot_write())
    }

    /// Writes a file under a temporary name, syncs it to disk and renames it.
    pub fn publish(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> anyhow::Result<()> {
        converter::publish(&self.path, self.force, |scratch| fill(&mut File::create(scratch)?))
            .with_context(|| self.cannot_write())
    }

    fn folder(&self) -> &Path {
        match self.path.parent() {
            Some(folder) if folder != Path::new("") => folder,
            _ => Path::new("."),
        }
    }

    /// The context of an error.
    pub fn cannot_write(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

/// Checks that files can be made in a folder, by making one without a name.
fn check_folder(folder: &Path) -> anyhow::Result<()> {
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => {}
        Ok(_) => bail!("{} is no folder", folder.display()),
        Err(error) if error.kind() == ErrorKind::NotFound => bail!("there is no folder {}", folder.display()),
        Err(error) => bail!("the folder {}: {error}", folder.display()),
    }
    match tempfile::tempfile_in(folder) {
        Ok(_) => Ok(()),
        Err(error) => bail!("the folder {} takes no files: {}", folder.display(), error.kind()),
    }
}

/// Checks that a folder exists, or can be made, and takes files. Leaves nothing behind.
pub fn check_new_folder(folder: &Path) -> anyhow::Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists());
    check_folder(existing.unwrap_or(Path::new("."))).with_context(|| format!("cannot write {}", folder.display()))
}
