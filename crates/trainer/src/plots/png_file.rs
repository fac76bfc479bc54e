use std::path::Path;

use image::RgbImage;
use image::codecs::png::{CompressionType, FilterType, PngEncoder};

use super::canvas::refused;
use super::error::PlotError;

/// Whether a file's name says that it is a PNG file.
pub fn is_png(path: &Path) -> bool {
    path.extension()
        .is_some_and(|ending| ending.eq_ignore_ascii_case("png"))
}

/// Writes a plot; an existing file is replaced.
pub(super) fn save(image: &RgbImage, path: &Path) -> Result<(), PlotError> {
    files::write(path, true, &png(image)?).map_err(|error| PlotError::Write {
        path: error.path().to_owned(),
        source: error.into_io(),
    })
}

/// A PNG file's bytes.
pub(super) fn png(image: &RgbImage) -> Result<Vec<u8>, PlotError> {
    let mut bytes = Vec::new();
    // Plots have large areas of one colour: without a filter the file is a third as large.
    let encoder = PngEncoder::new_with_quality(&mut bytes, CompressionType::Default, FilterType::NoFilter);
    image.write_with_encoder(encoder).map_err(refused)?;
    Ok(bytes)
}
