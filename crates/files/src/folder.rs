use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::FileError;

/// The folder of a file.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename in a folder durable. Does nothing on systems other than Unix, which cannot open a folder, and on file
/// systems that cannot sync one.
///
/// # Errors
///
/// [`FileError::System`].
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // fsync(2): EINVAL for "a special file which does not support synchronization", such as folders on some network
        // disks.
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Err(FileError::system("sync", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Checks that files can be created in a folder. Leaves no file behind.
///
/// # Errors
///
/// [`FileError::NoFolder`], [`FileError::NotAFolder`], [`FileError::ClosedFolder`].
pub fn check_folder(folder: &Path) -> Result<(), FileError> {
    is_folder(folder)?;
    spool(folder).map(drop)
}

/// A file without a name, for incomplete content. The file vanishes with this process, however the process ends.
///
/// # Errors
///
/// [`FileError::ClosedFolder`].
pub fn spool(folder: &Path) -> Result<File, FileError> {
    tempfile::tempfile_in(folder).map_err(|source| FileError::ClosedFolder {
        path: folder.to_owned(),
        source,
    })
}

/// Refuses a disk with less free space than `bytes`, where the free space can be known. The folder may not exist yet.
///
/// # Errors
///
/// [`FileError::NoSpace`].
pub fn check_space(folder: &Path, bytes: u64) -> Result<(), FileError> {
    match free_space(folder) {
        Some(free) if free < bytes => Err(FileError::NoSpace {
            path: folder.to_owned(),
            needed: bytes,
            free,
        }),
        _ => Ok(()),
    }
}

/// The bytes that this user may still write to the disk of a folder, or of the nearest folder above that exists.
#[cfg(unix)]
fn free_space(folder: &Path) -> Option<u64> {
    let folder = std::path::absolute(folder).ok()?;
    let existing = folder.ancestors().find(|folder| folder.exists())?;
    let disk = rustix::fs::statvfs(existing).ok()?;
    disk.f_bavail.checked_mul(disk.f_frsize)
}

#[cfg(not(unix))]
fn free_space(_: &Path) -> Option<u64> {
    None
}

pub(crate) fn is_folder(folder: &Path) -> Result<(), FileError> {
    let path = || folder.to_owned();
    match fs::metadata(folder) {
        Ok(metadata) if metadata.is_dir() => Ok(()),
        Ok(_) => Err(FileError::NotAFolder { path: path() }),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(FileError::NoFolder { path: path() }),
        Err(error) => Err(FileError::system("read", folder)(error)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bare_name_lies_in_the_working_folder() {
        assert_eq!(folder_of(Path::new("model.bpk")), Path::new("."));
        assert_eq!(folder_of(Path::new("runs/model.bpk")), Path::new("runs"));
        assert_eq!(folder_of(Path::new("/model.bpk")), Path::new("/"));
    }

    #[test]
    fn folders_are_checked_without_a_trace() {
        let home = tempfile::tempdir().unwrap();
        check_folder(home.path()).unwrap();
        sync_folder(home.path()).unwrap();
        assert_eq!(fs::read_dir(home.path()).unwrap().count(), 0);

        let none = home.path().join("none");
        let error = check_folder(&none).unwrap_err();
        assert_eq!(error.to_string(), format!("there is no folder {}", none.display()));
        assert!(matches!(
            sync_folder(&none),
            Err(FileError::System { action: "sync", .. })
        ));

        let file = home.path().join("file");
        fs::write(&file, "").unwrap();
        let error = check_folder(&file).unwrap_err();
        assert_eq!(error.to_string(), format!("{} is no folder", file.display()));
    }

    #[cfg(unix)]
    #[test]
    fn a_disk_is_too_small_or_not() {
        let home = tempfile::tempdir().unwrap();
        let none = home.path().join("none/deeper");
        check_space(&none, 1).unwrap();
        let error = check_space(&none, u64::MAX).unwrap_err().to_string();
        assert!(
            error.starts_with(&format!("the disk of {} has ", none.display())) && error.contains(" MB free, and "),
            "{error}"
        );
    }

    /// Nobody, not even root, can create files in `/proc`.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_folder_that_takes_no_files_is_named() {
        let error = check_folder(Path::new("/proc")).unwrap_err();
        assert!(
            error.to_string().starts_with("the folder /proc takes no files: "),
            "{error}"
        );
        assert!(matches!(error, FileError::ClosedFolder { .. }));
    }
}
