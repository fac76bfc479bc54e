use std::io;
use std::path::PathBuf;

/// Why a report cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// A picture cannot be encoded.
    #[error("cannot make the report: {0}")]
    Picture(#[from] image::ImageError),
    /// The page cannot be rendered.
    #[error("cannot make the report: {0}")]
    Page(#[from] minijinja::Error),
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file, or the folder that is missing.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
