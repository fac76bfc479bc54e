use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use crate::error::FileError;

/// A lock for one process (or thread) at a time. It is released when this value is dropped, and when the process ends.
///
/// The lock file stays: removing it would let a third process lock a new file while the second holds the old one.
#[derive(Debug)]
pub struct Lock {
    _file: File,
}

impl Lock {
    /// Takes the lock; `None` if another process holds it.
    ///
    /// # Errors
    ///
    /// [`FileError::System`], also if the file system has no locks.
    pub fn try_take(path: &Path) -> Result<Option<Self>, FileError> {
        let file = lock_file(path)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(Self { _file: file })),
            Err(TryLockError::WouldBlock) => Ok(None),
            Err(TryLockError::Error(source)) => Err(FileError::system("lock", path)(source)),
        }
    }

    /// Waits for the lock. Calls `on_wait` once if another process holds it.
    ///
    /// # Errors
    ///
    /// Those of [`try_take`](Self::try_take).
    pub fn wait(path: &Path, on_wait: impl FnOnce()) -> Result<Self, FileError> {
        if let Some(lock) = Self::try_take(path)? {
            return Ok(lock);
        }
        on_wait();
        let file = lock_file(path)?;
        while let Err(source) = file.lock() {
            if source.kind() != io::ErrorKind::Interrupted {
                return Err(FileError::system("lock", path)(source));
            }
        }
        Ok(Self { _file: file })
    }
}

fn lock_file(path: &Path) -> Result<File, FileError> {
    OpenOptions::new()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path)
        .map_err(FileError::system("create", path))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc;
    use std::thread;

    #[test]
    fn one_holds_it_and_the_next_waits() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("lock");
        let first = Lock::try_take(&path).unwrap().unwrap();
        assert!(Lock::try_take(&path).unwrap().is_none());

        let (waits, told) = mpsc::channel();
        thread::scope(|scope| {
            let second = scope.spawn(|| Lock::wait(&path, || waits.send(()).unwrap()).unwrap());
            told.recv().unwrap();
            assert!(!second.is_finished());
            drop(first);
            drop(second.join().unwrap());
        });
        assert!(path.exists(), "the file stays");
        // A process that another test starts holds it for a moment, until it runs its program.
        Lock::wait(&path, || ()).unwrap();
    }

    #[test]
    fn a_folder_that_is_missing_is_named() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("none/lock");
        let error = Lock::try_take(&path).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("cannot create {}: ", path.display())),
            "{error}"
        );
    }
}
