use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::Path;

use crate::error::FileError;

/// The folder that a file lies in.
pub fn folder_of(path: &Path) -> &Path {
    match path.parent() {
        Some(folder) if !folder.as_os_str().is_empty() => folder,
        _ => Path::new("."),
    }
}

/// Makes a rename in a folder last through a power cut. Does nothing on systems other than Unix, which cannot open a
/// folder, and on file systems that cannot sync one.
///
/// # Errors
///
/// [`FileError::System`].
pub fn sync_folder(folder: &Path) -> Result<(), FileError> {
    if !cfg!(unix) {
        return Ok(());
    }
    match File::open(folder).and_then(|folder| folder.sync_all()) {
        // fsync(2): EINVAL of "a special file which does not support synchronization", as folders are on some network
        // disks.
        Err(error) if !matches!(error.kind(), ErrorKind::InvalidInput | ErrorKind::Unsupported) => {
            Err(FileError::system("sync", folder)(error))
        }
        _ => Ok(()),
    }
}

/// Whether files can be made in a folder. Nothing is left behind.
///
/// # Errors
///
/// [`FileError::NoFolder`], [`FileError::NotAFolder`], [`FileError::ClosedFolder`].
pub fn check_folder(folder: &Path) -> Result<(), FileError> {
    is_folder(folder)?;
    spool(folder).map(drop)
}

/// A file without a name, for what is not complete yet. It is gone with this process, however that ends.
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

    /// `/proc` takes no files of anyone, not even of root.
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
