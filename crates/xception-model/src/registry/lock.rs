//! One process at a time.

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::path::Path;

use super::error::RegistryError;
use super::reporter::Reporter;

/// One process (or thread) at a time, from here until this is dropped, also by the end of the process.
///
/// The lock file stays: removing it would let a third process lock a new file while the second holds the old one.
#[derive(Debug)]
pub(super) struct Lock {
    _file: File,
}

impl Lock {
    /// Waits as long as the other one takes, which the other's time-outs bound.
    pub(super) fn wait(path: &Path, reporter: &Reporter) -> Result<Self, RegistryError> {
        let error = |action| {
            move |source| RegistryError::Write {
                action,
                path: path.to_owned(),
                source,
            }
        };
        let file = OpenOptions::new()
            .create(true)
            .truncate(false)
            .write(true)
            .open(path)
            .map_err(error("create"))?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => {
                reporter.say(&format!(
                    "waiting for another process that prepares the same weights (it holds {})",
                    path.display()
                ));
                while let Err(source) = file.lock() {
                    if source.kind() != io::ErrorKind::Interrupted {
                        return Err(error("lock")(source));
                    }
                }
            }
            Err(TryLockError::Error(source)) => return Err(error("lock")(source)),
        }
        Ok(Self { _file: file })
    }
}
