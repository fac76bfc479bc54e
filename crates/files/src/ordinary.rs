use std::fs::{self, File, Metadata};
use std::io;
use std::path::Path;

use crate::error::FileError;

/// What a path leads to, behind all links.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// A file that has an end.
    File,
    /// A folder.
    Folder,
    /// A named pipe. To open one that nobody writes to takes for ever.
    Pipe,
    /// A device or a socket.
    Device,
}

impl Kind {
    /// Looks without opening.
    ///
    /// # Errors
    ///
    /// The system's, where the path leads nowhere or must not be looked at.
    pub fn of(path: &Path) -> io::Result<Self> {
        fs::metadata(path).map(|metadata| Self::from(&metadata))
    }
}

impl From<&Metadata> for Kind {
    fn from(metadata: &Metadata) -> Self {
        #[cfg(unix)]
        if std::os::unix::fs::FileTypeExt::is_fifo(&metadata.file_type()) {
            return Self::Pipe;
        }
        if metadata.is_dir() {
            Self::Folder
        } else if metadata.is_file() {
            Self::File
        } else {
            Self::Device
        }
    }
}

/// Opens a file that has an end, and refuses folders, pipes and devices without opening them.
///
/// # Errors
///
/// [`FileError::Folder`], [`FileError::NotOrdinary`], or [`FileError::System`].
pub fn open(path: &Path) -> Result<File, FileError> {
    match Kind::of(path).map_err(FileError::system("read", path))? {
        Kind::File => File::open(path).map_err(FileError::system("read", path)),
        Kind::Folder => Err(FileError::Folder { path: path.to_owned() }),
        Kind::Pipe | Kind::Device => Err(FileError::NotOrdinary { path: path.to_owned() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::Read;

    #[test]
    fn files_are_opened_and_folders_are_not() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let error = open(&path).unwrap_err();
        assert!(
            error
                .to_string()
                .starts_with(&format!("cannot read {}: ", path.display())),
            "{error}"
        );
        assert_eq!(error.into_io().kind(), io::ErrorKind::NotFound);

        fs::write(&path, "content").unwrap();
        let mut text = String::new();
        open(&path).unwrap().read_to_string(&mut text).unwrap();
        assert_eq!(text, "content");

        let error = open(home.path()).unwrap_err();
        assert!(matches!(error, FileError::Folder { .. }));
        assert_eq!(error.into_io().kind(), io::ErrorKind::IsADirectory);
    }

    #[cfg(unix)]
    #[test]
    fn links_are_followed_and_pipes_and_devices_refused() {
        let home = tempfile::tempdir().unwrap();
        let at = |name: &str| home.path().join(name);
        fs::write(at("file"), "").unwrap();
        for (link, target) in [("to-file", "file"), ("to-device", "/dev/zero"), ("to-nothing", "none")] {
            std::os::unix::fs::symlink(target, at(link)).unwrap();
        }
        open(&at("to-file")).unwrap();
        assert!(matches!(open(&at("to-nothing")), Err(FileError::System { .. })));
        for device in [at("to-device"), "/dev/null".into()] {
            assert_eq!(Kind::of(&device).unwrap(), Kind::Device);
            let error = open(&device).unwrap_err().to_string();
            assert_eq!(
                error,
                format!("{} is no ordinary file: it is a pipe or a device", device.display())
            );
        }

        let pipe = at("pipe");
        let made = std::process::Command::new("mkfifo").arg(&pipe).status();
        if made.is_ok_and(|status| status.success()) {
            assert_eq!(Kind::of(&pipe).unwrap(), Kind::Pipe);
            // Returns: it was not opened.
            assert!(matches!(open(&pipe), Err(FileError::NotOrdinary { .. })));
        }
    }
}
