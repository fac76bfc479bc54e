use std::io;
use std::path::PathBuf;

use files::FileError;

use crate::data::DataError;

/// Why a contact sheet cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// A picture cannot be read, or the augmentation is out of range.
    #[error(transparent)]
    Data(#[from] DataError),

    /// The file exists.
    #[error("{}: the file exists; name another, or allow overwriting", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// The name of the file has the ending of another format.
    #[error("{}: the sheet is a PNG file; give it a name that ends in .png", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
    },

    /// The file cannot be written.
    #[error("{}: cannot be written: {problem}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        problem: io::Error,
    },
}

impl From<FileError> for PreviewError {
    fn from(error: FileError) -> Self {
        let path = error.path().to_owned();
        match error {
            FileError::Exists { .. } => Self::Exists { path },
            error => Self::Write {
                path,
                problem: error.into_io(),
            },
        }
    }
}
