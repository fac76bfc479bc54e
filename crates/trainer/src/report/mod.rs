//! `report.html`: the strengths and weaknesses of a network, in one file that needs no other file and no internet.

mod chart;
mod data;
mod data_uri;
mod error;
mod gallery;
mod matrix;
mod page;

use std::path::Path;

pub use crate::explain::Shown;
pub use crate::shortened::shortened;
pub use data::{ClassPictures, ReportData, TrainingReport};
pub use error::ReportError;
pub use gallery::GalleryPage;
pub use page::duration;

/// Writes the report. An existing file is replaced.
///
/// # Errors
///
/// A [`ReportError`].
pub fn write(path: &Path, data: &ReportData) -> Result<(), ReportError> {
    files::write(path, true, html(data)?.as_bytes()).map_err(|error| ReportError::Write {
        path: error.path().to_owned(),
        source: error.into_io(),
    })
}

/// The report as a page.
///
/// # Errors
///
/// The errors of [`write()`], except errors of the file.
pub fn html(data: &ReportData) -> Result<String, ReportError> {
    page::render(data)
}
