//! A contact sheet of augmented pictures, to look at before training on them.

use std::path::Path;

use image::{Rgb, RgbImage};
use xception_model::Scaling;

use super::png_file::is_png;
pub use super::preview_error::PreviewError;
use super::preview_sheet::PreviewSheet;
use crate::augment::{Augmentation, Draw, Mixable};
use crate::data::{DataError, Dataset, Sample, Split};
use crate::random::{Purpose, Random};

/// The number of pictures, one per row.
const ROWS: usize = 8;

/// The number of augmented versions of each picture.
const VERSIONS: usize = 6;

/// Writes a PNG file with one row per picture: the picture itself, its evaluation version, and its training versions of
/// the first epochs, with mixing.
///
/// The pictures are training pictures, of as many classes as fit, chosen by the seed.
///
/// # Errors
///
/// [`PreviewError`]: a picture that cannot be read, an augmentation out of range, or a file whose name does not end in
/// `.png`, that cannot be written, or that exists while `overwrite` is false.
pub fn contact_sheet(
    dataset: &Dataset,
    augmentation: &Augmentation,
    seed: u64,
    path: &Path,
    overwrite: bool,
) -> Result<(), PreviewError> {
    augmentation.check().map_err(DataError::from)?;
    if !is_png(path) {
        return Err(PreviewError::Ending { path: path.to_owned() });
    }
    files::check_folder(files::folder_of(path))?;
    files::check_target(path, overwrite)?;
    let preview = Preview {
        dataset,
        augmentation,
        seed,
        samples: chosen(dataset, seed),
    };
    let mut sheet = PreviewSheet::new(preview.samples.len(), 2 + VERSIONS);
    for (column, heading) in ["the picture", "evaluation", "training"].into_iter().enumerate() {
        sheet.heading(heading, column);
    }
    preview.show_pictures(&mut sheet)?;
    preview.show_training(&mut sheet)?;
    sheet.save(path, overwrite)
}

/// What a contact sheet shows.
struct Preview<'a> {
    dataset: &'a Dataset,
    augmentation: &'a Augmentation,
    seed: u64,
    samples: Vec<&'a Sample>,
}

impl Preview<'_> {
    /// The captions, the pictures, and their evaluation versions.
    fn show_pictures(&self, sheet: &mut PreviewSheet) -> Result<(), DataError> {
        let eval = self.augmentation.eval;
        for (row, sample) in self.samples.iter().enumerate() {
            let labels = sample.labels.iter().map(|&label| self.dataset.classes[label].as_str());
            let labels: Vec<&str> = labels.collect();
            sheet.caption(&format!("{}: {}", labels.join(", "), sample.name), row);
            let failed = |problem| DataError::Picture {
                path: sample.path.clone(),
                problem,
            };
            let picture = eval.preset.open(&sample.path, &self.dataset.limits).map_err(failed)?;
            sheet.show(&picture, 0, row);
            let pixels = eval.preset.apply(&picture, eval.size, eval.size).map_err(failed)?;
            let planes = pixels.to_nchw(self.augmentation.scaling);
            sheet.show(&shown(&planes, self.augmentation.scaling, eval.size), 1, row);
        }
        Ok(())
    }

    /// The training versions. Those of one epoch are mixed as one batch.
    fn show_training(&self, sheet: &mut PreviewSheet) -> Result<(), DataError> {
        let size = self.augmentation.train.size;
        for (epoch, mut pixels) in self.training_versions()?.into_iter().enumerate() {
            let mut batch = Mixable {
                pixels: &mut pixels,
                targets: &mut [],
                pictures: self.samples.len(),
                height: size,
                width: size,
            };
            self.augmentation.mix(&mut batch, self.draw(epoch, 0));
            for (row, planes) in batch.pixels.chunks_exact(3 * size * size).enumerate() {
                sheet.show(&shown(planes, self.augmentation.scaling, size), 2 + epoch, row);
            }
        }
        Ok(())
    }

    /// The augmented pictures of each epoch, `[pictures, 3, size, size]`.
    fn training_versions(&self) -> Result<Vec<Vec<f32>>, DataError> {
        let mut versions = vec![Vec::new(); VERSIONS];
        for (row, sample) in self.samples.iter().enumerate() {
            let failed = |problem| DataError::Picture {
                path: sample.path.clone(),
                problem,
            };
            let preset = self.augmentation.train_preset();
            let picture = preset.open(&sample.path, &self.dataset.limits).map_err(failed)?;
            for (epoch, batch) in versions.iter_mut().enumerate() {
                let augmented = self.augmentation.augment(&picture, self.draw(epoch, row));
                batch.extend(augmented.map_err(failed)?);
            }
        }
        Ok(versions)
    }

    fn draw(&self, epoch: usize, position: usize) -> Draw {
        Draw {
            seed: self.seed,
            epoch,
            position,
        }
    }
}

/// Training pictures: one of each class, then a second of each, until the sheet is full.
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
    // Not always the first classes, where there are many.
    if classes.len() > ROWS {
        random.shuffle(&mut classes);
    }
    let longest = classes.iter().map(Vec::len).max().unwrap_or(0);
    let rounds = (0..longest).flat_map(|round| classes.iter().filter_map(move |class| class.get(round)));
    rounds.take(ROWS).copied().collect()
}

/// The network's input, `[3, size, size]`, as a picture of 8 bits per channel.
fn shown(planes: &[f32], scaling: Scaling, size: usize) -> RgbImage {
    let plane_len = size * size;
    RgbImage::from_fn(size as u32, size as u32, |x, y| {
        let at = y as usize * size + x as usize;
        let channels = [0, 1, 2].map(|channel| planes[channel * plane_len + at]);
        Rgb(scaling.undo(channels).map(|level| level.round() as u8))
    })
}
