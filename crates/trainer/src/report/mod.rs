//! `report.html`: what a network does well and what it does not, in one file that needs no network and no other file.

mod data_uri;
mod page;

use std::io;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::explain::Examples;
use crate::metrics::{EpochRow, Evaluation};
use crate::plots::PlotError;

/// All that a report shows.
#[derive(Clone, Debug)]
pub struct ReportData {
    /// Its headline.
    pub title: String,
    /// The folder or table of the pictures: they are called by their paths in it.
    pub root: PathBuf,
    /// What was run, as name and value: weights, data, recipe, duration...
    pub facts: Vec<(String, String)>,
    /// Longer texts by name, such as the recipe, folded up.
    pub details: Vec<(String, String)>,
    /// The training's epochs; none for an evaluation alone.
    pub epochs: Vec<EpochRow>,
    /// Which pictures were judged, for people: `the test pictures`.
    pub judged: String,
    /// How good the network is.
    pub evaluation: Evaluation,
    /// Pictures to look at.
    pub examples: Examples,
}

/// A picture in a report.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The file.
    pub path: PathBuf,
    /// What it shows.
    pub truth: String,
    /// What it is said to show.
    pub predicted: String,
    /// How sure the network is of it, 0 to 1.
    pub confidence: f32,
    /// The picture; `None` where it could not be read.
    pub picture: Option<RgbImage>,
    /// The same with the heat of what the network looked at.
    pub heat: Option<RgbImage>,
}

/// A report that cannot be made or written.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReportError {
    /// One of its plots.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// One of its pictures.
    #[error("cannot make the report: {0}")]
    Picture(#[from] image::ImageError),
    /// Its page.
    #[error("cannot make the report: {0}")]
    Page(#[from] minijinja::Error),
    /// The file cannot be written.
    #[error("{}: {source}", path.display())]
    Write {
        /// The file, or the folder that is missing.
        path: PathBuf,
        /// The system's word.
        source: io::Error,
    },
}

/// Writes the report; a file that exists is replaced.
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
/// As [`write()`], but for the file.
pub fn html(data: &ReportData) -> Result<String, ReportError> {
    page::render(data)
}
