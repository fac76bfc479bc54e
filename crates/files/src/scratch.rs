use std::collections::BTreeSet;
use std::fs;
use std::mem;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};

use tempfile::{TempDir, TempPath};

/// The temporary files and folders of this process that have a name.
static NAMED: Mutex<BTreeSet<PathBuf>> = Mutex::new(BTreeSet::new());

fn with_named<T>(change: impl FnOnce(&mut BTreeSet<PathBuf>) -> T) -> T {
    change(&mut NAMED.lock().unwrap_or_else(PoisonError::into_inner))
}

/// Removes the temporary files and folders of this process: for a process that a signal ends, which drops no value.
pub fn remove_scratch() {
    for path in with_named(mem::take) {
        // Nothing more can be done about a file that stays.
        let _ = if path.is_dir() {
            fs::remove_dir_all(&path)
        } else {
            fs::remove_file(&path)
        };
    }
}

/// A temporary file that [`remove_scratch`] removes, too.
#[derive(Debug)]
pub(crate) struct Scratch {
    path: TempPath,
    _named: Named,
}

impl Scratch {
    pub fn new(path: TempPath) -> Self {
        Self {
            _named: Named::new(&path),
            path,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The file for its last step, a rename, which takes the name away.
    pub fn into_path(self) -> TempPath {
        self.path
    }
}

/// A path in the list for as long as this value lives.
#[derive(Debug)]
struct Named(PathBuf);

impl Named {
    fn new(path: &Path) -> Self {
        with_named(|named| named.insert(path.to_owned()));
        Self(path.to_owned())
    }
}

impl Drop for Named {
    fn drop(&mut self) {
        with_named(|named| named.remove(&self.0));
    }
}

/// A folder that is removed when this value is dropped, and by [`remove_scratch`].
#[derive(Debug)]
pub struct ScratchFolder {
    folder: TempDir,
    _named: Named,
}

impl ScratchFolder {
    /// Makes a folder in the system's folder for temporary files.
    ///
    /// # Errors
    ///
    /// The system's error.
    pub fn new() -> std::io::Result<Self> {
        let folder = TempDir::new()?;
        Ok(Self {
            _named: Named::new(folder.path()),
            folder,
        })
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The list is of the whole process, and other tests have files in it: this one runs alone in a process.
    #[test]
    fn a_process_that_ends_removes_its_temporary_files() {
        const PLACE: &str = "FILES_TEST_SCRATCH";
        if let Some(place) = std::env::var_os(PLACE) {
            let target = PathBuf::from(place).join("file");
            let mut new = crate::NewFile::create(&target, false).unwrap();
            std::io::Write::write_all(new.file(), b"half").unwrap();
            let folder = ScratchFolder::new().unwrap();
            fs::write(folder.path().join("file"), "").unwrap();
            remove_scratch();
            assert!(!folder.path().exists());
            // As after a signal: no value is dropped.
            std::process::exit(0);
        }
        let home = tempfile::tempdir().unwrap();
        let child = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "scratch::tests::a_process_that_ends_removes_its_temporary_files",
            ])
            .env(PLACE, home.path())
            .output()
            .unwrap();
        assert!(child.status.success(), "{}", String::from_utf8_lossy(&child.stdout));
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);
    }
}
