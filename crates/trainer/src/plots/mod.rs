//! Pictures of figures, as PNG files.
//!
//! Text is set in the sans of the `dejavu` crate, compiled in: no font and no library of the system is used. Files appear
//! complete or not at all, and replace what was there.

mod calibration;
mod canvas;
mod confusion;
mod curves;
mod explanation;
mod lr_finder;

use std::io;
use std::path::{Path, PathBuf};

use image::RgbImage;

use crate::metrics::{EpochRow, Evaluation};

/// A plot that cannot be made or written.
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
        /// The system's word.
        source: io::Error,
    },
}

/// Whether a file's name says that it is a PNG file.
pub fn is_png(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// Loss, accuracy and learning rate by epoch. Values that are missing or not finite are gaps.
///
/// # Errors
///
/// A [`PlotError`]: no epoch, or the file cannot be written.
pub fn curves(rows: &[EpochRow], path: &Path) -> Result<(), PlotError> {
    canvas::save(&curves::draw(rows)?, path)
}

/// Which classes are taken for which: counts on the left, parts of each row on the right.
///
/// Cells hold their numbers up to 25 classes and axes the classes' names up to 200.
///
/// # Errors
///
/// A [`PlotError`]: no confusion matrix (several labels a picture, or thousands of classes), or the file cannot be written.
pub fn confusion_matrix(evaluation: &Evaluation, path: &Path) -> Result<(), PlotError> {
    canvas::save(&confusion::draw(evaluation)?, path)
}

/// Accuracy by confidence (the reliability diagram of Guo et al. 2017, figure 1), and how often each confidence occurs.
///
/// # Errors
///
/// A [`PlotError`]: the file cannot be written.
pub fn calibration(evaluation: &Evaluation, path: &Path) -> Result<(), PlotError> {
    canvas::save(&calibration::draw(evaluation)?, path)
}

/// The loss by learning rate of a range test, `(rate, loss)` in the order of the steps, and the suggested rate.
///
/// # Errors
///
/// A [`PlotError`]: fewer than two finite points with a positive rate, or the file cannot be written.
pub fn lr_finder(points: &[(f64, f64)], suggestion: Option<f64>, path: &Path) -> Result<(), PlotError> {
    canvas::save(&lr_finder::draw(points, suggestion)?, path)
}

/// A picture beside the same with the heat of what the network looked at, under two lines of text, with the colours' scale.
///
/// # Errors
///
/// A [`PlotError`]: the font or the drawing library refuses.
pub fn explanation(picture: &RgbImage, heat: &RgbImage, lines: [&str; 2]) -> Result<RgbImage, PlotError> {
    explanation::draw(picture, heat, lines)
}

/// A picture as the bytes of a PNG file.
///
/// # Errors
///
/// A [`PlotError`]: the encoder refuses.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, PlotError> {
    canvas::png(picture)
}

/// A plot as the bytes of a PNG file, for the report, which holds its pictures itself.
pub(crate) fn curves_png(rows: &[EpochRow]) -> Result<Vec<u8>, PlotError> {
    canvas::png(&curves::draw(rows)?)
}

/// As [`curves_png`].
pub(crate) fn confusion_matrix_png(evaluation: &Evaluation) -> Result<Vec<u8>, PlotError> {
    canvas::png(&confusion::draw(evaluation)?)
}

/// As [`curves_png`].
pub(crate) fn calibration_png(evaluation: &Evaluation) -> Result<Vec<u8>, PlotError> {
    canvas::png(&calibration::draw(evaluation)?)
}
