use std::io;
use std::path::Path;

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use image::imageops::{self, FilterType};
use image::{ImageError, ImageFormat, Rgb, RgbImage};

use super::preview_error::PreviewError;

/// Side of the square in which a picture is shown, in pixels.
const CELL: u32 = 160;

/// The space between pictures.
const GAP: u32 = 8;

/// The height of a line of text with the space around it.
const LINE: u32 = 22;

const TEXT: PxScale = PxScale { x: 15.0, y: 15.0 };

const WHITE: Rgb<u8> = Rgb([255; 3]);

/// A contact sheet while it is drawn: columns of squares with pictures, and a caption above each row.
pub(super) struct PreviewSheet {
    picture: RgbImage,
    font: Option<FontRef<'static>>,
}

impl PreviewSheet {
    /// A white sheet.
    pub fn new(rows: usize, columns: usize) -> Self {
        let columns = columns as u32;
        let height = LINE + rows as u32 * (LINE + CELL + GAP);
        Self {
            picture: RgbImage::from_pixel(GAP + columns * (CELL + GAP), height, WHITE),
            font: FontRef::try_from_slice(dejavu::sans::regular()).ok(),
        }
    }

    /// Draws a picture into its square, as large as it fits.
    pub fn show(&mut self, picture: &RgbImage, column: usize, row: usize) {
        let fitting = small(picture);
        let (width, height) = fitting.dimensions();
        let x = left(column) + (CELL - width) / 2;
        let y = top(row) + (CELL - height) / 2;
        imageops::replace(&mut self.picture, &fitting, x.into(), y.into());
    }

    /// The sheet so far.
    pub fn picture(&self) -> &RgbImage {
        &self.picture
    }

    /// Writes the caption of one picture.
    pub fn label(&mut self, text: &str, column: usize, row: usize) {
        self.write(text, left(column), top(row) - LINE, CELL);
    }

    /// Writes the heading of a column.
    pub fn heading(&mut self, text: &str, column: usize) {
        self.write(text, left(column), 0, CELL);
    }

    /// Writes the caption of a row.
    pub fn caption(&mut self, text: &str, row: usize) {
        let width = self.picture.width() - 2 * GAP;
        self.write(text, left(0), top(row) - LINE, width);
    }

    /// Writes a line of text, shortened to the width.
    fn write(&mut self, text: &str, left: u32, top: u32, width: u32) {
        let Some(font) = &self.font else { return };
        let font = font.as_scaled(TEXT);
        let (mut x, baseline) = (left as f32, top as f32 + 3.0 + font.ascent());
        let end = (left + width) as f32 - font.h_advance(font.glyph_id('…'));
        for letter in text.chars() {
            let full = x + font.h_advance(font.glyph_id(letter)) > end;
            let glyph = font.glyph_id(if full { '…' } else { letter });
            let advance = font.h_advance(glyph);
            if let Some(outline) = font.outline_glyph(glyph.with_scale_and_position(TEXT, point(x, baseline))) {
                let bounds = outline.px_bounds();
                outline.draw(|column, row, ink| {
                    // The bounds are whole numbers, never above or left of the sheet.
                    let (x, y) = (bounds.min.x as u32 + column, bounds.min.y as u32 + row);
                    if let Some(pixel) = self.picture.get_pixel_mut_checked(x, y) {
                        pixel.0 = pixel.0.map(|level| (f32::from(level) * (1.0 - ink)) as u8);
                    }
                });
            }
            if full {
                return;
            }
            x += advance;
        }
    }

    /// Writes the sheet as a PNG file.
    pub fn save(&self, path: &Path, overwrite: bool) -> Result<(), PreviewError> {
        let failed = |problem| PreviewError::Write {
            path: path.to_owned(),
            problem,
        };
        let mut encoded = io::Cursor::new(Vec::new());
        self.picture
            .write_to(&mut encoded, ImageFormat::Png)
            .map_err(|error| match error {
                ImageError::IoError(error) => failed(error),
                other => failed(io::Error::other(other)),
            })?;
        Ok(files::write(path, overwrite, encoded.get_ref())?)
    }
}

/// The picture, as large as it fits into a square.
pub(super) fn small(picture: &RgbImage) -> RgbImage {
    let scale = f64::from(CELL) / f64::from(picture.width().max(picture.height()).max(1));
    let side = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, CELL);
    imageops::resize(
        picture,
        side(picture.width()),
        side(picture.height()),
        FilterType::Triangle,
    )
}

/// The left edge of a column.
fn left(column: usize) -> u32 {
    GAP + column as u32 * (CELL + GAP)
}

/// The upper edge of the pictures of a row; their caption is above.
fn top(row: usize) -> u32 {
    LINE + row as u32 * (LINE + CELL + GAP) + LINE
}
