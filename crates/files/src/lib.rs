//! The file system, for all crates: atomic writing, locks, ordinary files, checksums.
//!
//! A weight file is large and takes long to make. A kill, a full disk or a power cut during writing must leave the old
//! file unchanged, and no half of the new one under its name. A pipe or a device given by mistake must not be read
//! without end, nor be replaced by a file. Two processes must not write the same file.
//!
//! * [`write`](fn@write), [`write_with`], [`write_at`], [`NewFile`]: a file appears complete or not at all.
//! * [`publish`], [`rename`], [`remove`], [`sync_folder`]: the same for a file or folder that is already complete.
//! * [`check_target`], [`check_folder`], [`check_space`], [`spool`]: refusals before any work is done.
//! * [`open`], [`Kind`]: only files that have an end.
//! * [`remove_scratch`], [`ScratchFolder`]: nothing is left behind by a process that a signal ends.
//! * [`Lock`]: one process at a time.
//! * `Sha256`, `Md5`, `ContentHash`, `sha256` (feature `hash`): checksums.

mod error;
mod folder;
#[cfg(feature = "hash")]
mod hash;
mod lock;
mod new_file;
mod ordinary;
mod scratch;
mod unfinished;

pub use error::FileError;
pub use folder::{check_folder, check_space, folder_of, spool, sync_folder};
#[cfg(feature = "hash")]
pub use hash::{ContentHash, Md5, Sha256, each_piece, sha256};
pub use lock::Lock;
pub use new_file::{NewFile, check_target, folder_behind_links, publish, remove, rename, write, write_at, write_with};
pub use ordinary::{Kind, open};
pub use scratch::{ScratchFolder, remove_scratch};
pub use unfinished::{is_unfinished, remove_unfinished};
