use std::io;
use std::path::PathBuf;

/// Why a plot cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PlotError {
    /// There is nothing to show.
    #[error("cannot draw {what}: {problem}")]
    Nothing {
        /// The plot.
        what: &'static str,
        /// What is missing.
        problem: &'static str,
    },
    /// The plotting library refuses.
    #[error("cannot draw: {0}")]
    Draw(String),
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file, or the folder that is missing.
        path: PathBuf,
        /// The error of the operating system.
        source: io::Error,
    },
}
