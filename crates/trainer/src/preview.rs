//! A contact sheet of augmented pictures, to look at before training on them.

use std::{
    io,
    path::{Path, PathBuf},
};

use ab_glyph::{Font, FontRef, PxScale, ScaleFont, point};
use files::FileError;
use image::{
    ImageError, ImageFormat, Rgb, RgbImage,
    imageops::{self, FilterType},
};

use xception_model::Scaling;

use crate::{
    augment::{Augmentation, Draw, Mixable},
    data::{DataError, Dataset, Sample, Split},
    plots,
    random::{Purpose, Random},
};

/// Why there is no contact sheet.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PreviewError {
    /// A picture cannot be read, or the augmentation is out of range.
    #[error(transparent)]
    Data(#[from] DataError),

    /// A file is there already.
    #[error("{}: the file exists; name another, or ask for it to be overwritten", path.display())]
    Exists {
        /// The file.
        path: PathBuf,
    },

    /// A name that promises another format.
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
        /// The system's words.
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

/// Pictures shown, a row each.
const ROWS: usize = 8;

/// Augmented versions of each.
const VERSIONS: usize = 6;

/// Side of the square in which a picture is shown, in pixels.
const CELL: u32 = 160;

/// Between pictures.
const GAP: u32 = 8;

/// Height of a line of text with the room around it.
const LINE: u32 = 22;

const TEXT: PxScale = PxScale { x: 15.0, y: 15.0 };

const WHITE: Rgb<u8> = Rgb([255; 3]);

/// Writes a PNG with a row a picture: the picture, what evaluation makes of it, and what training makes of it in the first
/// few epochs, mixing included.
///
/// The pictures are training pictures, of as many classes as fit, chosen by the seed.
///
/// # Errors
///
/// [`PreviewError`]: a picture that cannot be read, an augmentation out of range, or a file that is not called `.png`, cannot
/// be written, or exists and `overwrite` is false.
pub fn contact_sheet(
    dataset: &Dataset,
    augmentation: &Augmentation,
    seed: u64,
    path: &Path,
    overwrite: bool,
) -> Result<(), PreviewError> {
    augmentation.check().map_err(DataError::from)?;
    if !plots::is_png(path) {
        return Err(PreviewError::Ending { path: path.to_owned() });
    }
    files::check_folder(files::folder_of(path))?;
    files::check_target(path, overwrite)?;
    let samples = chosen(dataset, seed);
    let mut canvas = Canvas::new(samples.len());
    for column in 0..2 + VERSIONS {
        canvas.write(column_name(column), left(column), 0, CELL);
    }
    let mut versions = vec![Vec::new(); VERSIONS];
    for (row, sample) in samples.iter().enumerate() {
        let failed = |problem| DataError::Picture {
            path: sample.path.clone(),
            problem,
        };
        let labels: Vec<&str> = sample
            .labels
            .iter()
            .map(|&label| dataset.classes[label].as_str())
            .collect();
        let caption = format!("{}: {}", labels.join(", "), sample.name);
        canvas.write(&caption, left(0), top(row) - LINE, canvas.picture.width() - 2 * GAP);

        let preset = augmentation.eval.preset;
        let picture = preset.open(&sample.path, &dataset.limits).map_err(failed)?;
        canvas.show(&picture, 0, row);
        let size = augmentation.eval.size;
        let pixels = preset.apply(&picture, size, size).map_err(failed)?;
        canvas.show(
            &shown(&pixels.to_nchw(augmentation.scaling), augmentation.scaling, size),
            1,
            row,
        );

        let picture = augmentation
            .train_preset()
            .open(&sample.path, &dataset.limits)
            .map_err(failed)?;
        for (epoch, batch) in versions.iter_mut().enumerate() {
            let draw = Draw {
                seed,
                epoch,
                position: row,
            };
            batch.extend(augmentation.augment(&picture, draw).map_err(failed)?);
        }
    }
    let size = augmentation.train.size;
    for (epoch, mut batch) in versions.into_iter().enumerate() {
        let mut batch = Mixable {
            pixels: &mut batch,
            targets: &mut [],
            pictures: samples.len(),
            height: size,
            width: size,
        };
        augmentation.mix(
            &mut batch,
            Draw {
                seed,
                epoch,
                position: 0,
            },
        );
        for (row, planes) in batch.pixels.chunks_exact(3 * size * size).enumerate() {
            canvas.show(&shown(planes, augmentation.scaling, size), 2 + epoch, row);
        }
    }
    canvas.save(path, overwrite)
}

fn column_name(column: usize) -> &'static str {
    match column {
        0 => "the picture",
        1 => "evaluation",
        2 => "training",
        _ => "",
    }
}

/// Training pictures, one of each class, then a second of each, until the sheet is full.
fn chosen(dataset: &Dataset, seed: u64) -> Vec<&Sample> {
    let random = &mut Random::new(seed, Purpose::Order, 0, 0);
    let mut classes = vec![Vec::new(); dataset.classes.len() + 1];
    for index in dataset.indices(Split::Train) {
        let sample = &dataset.samples[index];
        let class = sample.labels.first().copied().unwrap_or(dataset.classes.len());
        classes[class].push(sample);
    }
    for class in &mut classes {
        random.shuffle(class);
    }
    // Of many classes not always the first few.
    if classes.len() > ROWS {
        random.shuffle(&mut classes);
    }
    let longest = classes.iter().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|round| classes.iter().filter_map(move |class| class.get(round)));
    rounds.take(ROWS).copied().collect()
}

/// The network's input, `[3, size, size]`, as a picture of 8 bits.
fn shown(planes: &[f32], scaling: Scaling, size: usize) -> RgbImage {
    let plane_len = size * size;
    RgbImage::from_fn(size as u32, size as u32, |x, y| {
        let at = y as usize * size + x as usize;
        let channels = [0, 1, 2].map(|channel| planes[channel * plane_len + at]);
        Rgb(scaling.undo(channels).map(|level| level.round() as u8))
    })
}

/// Where a column begins.
fn left(column: usize) -> u32 {
    GAP + column as u32 * (CELL + GAP)
}

/// Where the pictures of a row begin; their caption is above.
fn top(row: usize) -> u32 {
    LINE + row as u32 * (LINE + CELL + GAP) + LINE
}

/// The sheet while it is drawn.
struct Canvas {
    picture: RgbImage,
    font: Option<FontRef<'static>>,
}

impl Canvas {
    fn new(rows: usize) -> Self {
        let columns = (2 + VERSIONS) as u32;
        let height = LINE + rows as u32 * (LINE + CELL + GAP);
        Self {
            picture: RgbImage::from_pixel(GAP + columns * (CELL + GAP), height, WHITE),
            font: FontRef::try_from_slice(dejavu::sans::regular()).ok(),
        }
    }

    /// Puts a picture into its cell, as large as fits.
    fn show(&mut self, picture: &RgbImage, column: usize, row: usize) {
        let scale = f64::from(CELL) / f64::from(picture.width().max(picture.height()).max(1));
        let side = |side: u32| ((f64::from(side) * scale).round() as u32).clamp(1, CELL);
        let (width, height) = (side(picture.width()), side(picture.height()));
        let fitting = imageops::resize(picture, width, height, FilterType::Triangle);
        let x = left(column) + (CELL - width) / 2;
        let y = top(row) + (CELL - height) / 2;
        imageops::replace(&mut self.picture, &fitting, x.into(), y.into());
    }

    /// Writes a line of text, cut to the width.
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
                    // The bounds are whole numbers, and never above or left of the sheet.
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

    fn save(&self, path: &Path, overwrite: bool) -> Result<(), PreviewError> {
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
