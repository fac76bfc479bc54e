use image::RgbImage;

use super::error::PlotError;
use super::png_file;
use super::preview_sheet::{PreviewSheet, small};

/// Pictures in a row of the sheet.
const COLUMNS: usize = 6;
/// The most pictures of a sheet, which is then 32,000 pixels high.
const MOST: usize = 1000;

/// Small pictures in rows, each below a caption, as one picture.
#[derive(Debug, Default)]
pub struct ContactSheet {
    entries: Vec<(RgbImage, String)>,
    left_out: usize,
}

impl ContactSheet {
    /// A sheet without pictures.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a picture with a caption, of which the sheet shows as much as fits. After a thousand pictures, the others
    /// are left out.
    pub fn add(&mut self, picture: &RgbImage, caption: impl Into<String>) {
        if self.entries.len() < MOST {
            self.entries.push((small(picture), caption.into()));
        } else {
            self.left_out += 1;
        }
    }

    /// The number of pictures for which there was no room.
    pub fn left_out(&self) -> usize {
        self.left_out
    }

    /// The sheet as the bytes of a PNG file.
    ///
    /// # Errors
    ///
    /// A [`PlotError`]: the encoder fails.
    pub fn png(&self) -> Result<Vec<u8>, PlotError> {
        let columns = COLUMNS.min(self.entries.len().max(1));
        let mut sheet = PreviewSheet::new(self.entries.len().div_ceil(columns), columns);
        for (index, (picture, caption)) in self.entries.iter().enumerate() {
            let (row, column) = (index / columns, index % columns);
            sheet.show(picture, column, row);
            sheet.label(caption, column, row);
        }
        png_file::png(sheet.picture())
    }
}
