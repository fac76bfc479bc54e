//! Plots as PNG files.
//!
//! The font is the sans of the `dejavu` crate, compiled in: no font or library of the system is used. Files appear
//! complete or not at all, and replace existing files.

mod canvas;
mod comparison;
mod confusion;
mod contact_sheet;
mod curves;
mod error;
mod explanation;
mod lr_finder;
mod png_file;
pub mod preview;
mod preview_error;
mod preview_sheet;

use std::path::Path;

use image::RgbImage;

pub use comparison::Compared;
pub use contact_sheet::ContactSheet;
pub use error::PlotError;
pub use png_file::is_png;

use crate::judge::metrics::{EpochRow, Evaluation};

/// Loss, accuracy and learning rate by epoch. Values that are missing or not finite are gaps.
///
/// # Errors
///
/// A [`PlotError`]: no epoch, or the file cannot be written.
pub fn curves(rows: &[EpochRow], path: &Path) -> Result<(), PlotError> {
    png_file::save(&curves::draw(rows)?, path)
}

/// Accuracy and loss on the validation pictures by epoch, of several kinds of runs: the mean of each kind's runs, on a
/// band from the lowest to the highest. An epoch that a run lacks, or has no value for, is a gap.
///
/// # Errors
///
/// A [`PlotError`]: no epoch, or the file cannot be written.
pub fn comparison(title: &str, kinds: &[Compared], path: &Path) -> Result<(), PlotError> {
    png_file::save(&comparison::draw(title, kinds)?, path)
}

/// The confusion matrix: counts on the left, parts of each row on the right.
///
/// Cells show numbers up to 25 classes, axes show names up to 200.
///
/// # Errors
///
/// A [`PlotError`]: no confusion matrix (several labels per picture, or thousands of classes), or the file cannot be
/// written.
pub fn confusion_matrix(evaluation: &Evaluation, path: &Path) -> Result<(), PlotError> {
    png_file::save(&confusion::draw(evaluation)?, path)
}

/// The loss by learning rate of a range test, `(rate, loss)` in the order of the steps, and the suggested rate.
///
/// # Errors
///
/// A [`PlotError`]: fewer than two finite points with a positive rate, or the file cannot be written.
pub fn lr_finder(points: &[(f64, f64)], suggestion: Option<f64>, path: &Path) -> Result<(), PlotError> {
    png_file::save(&lr_finder::draw(points, suggestion)?, path)
}

/// A picture beside the same picture under its heat maps, each with a caption, below a title, with the scale of the
/// colours.
///
/// # Errors
///
/// A [`PlotError`]: the font or the drawing library fails.
pub fn explanation(picture: &RgbImage, heats: &[(RgbImage, String)], title: &str) -> Result<RgbImage, PlotError> {
    explanation::draw(picture, heats, title)
}

/// A picture as the bytes of a PNG file.
///
/// # Errors
///
/// A [`PlotError`]: the encoder fails.
pub fn png(picture: &RgbImage) -> Result<Vec<u8>, PlotError> {
    png_file::png(picture)
}
