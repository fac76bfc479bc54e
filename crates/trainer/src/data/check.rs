//! Opens every picture once, to learn whether the picture can be decoded, its size and the hash of its content.
//!
//! A picture that is unchanged since an earlier check is not opened.

use std::{
    fs,
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use files::{ContentHash, Sha256};
use image::RgbImage;
use rayon::{
    ThreadPoolBuilder,
    iter::{IntoParallelRefIterator, ParallelIterator},
};
use xception_model::picture::{self, PictureWarning};

use super::{
    dataset::Sample,
    error::DataError,
    known::{Entry, Known, Size, Stamp},
    listing::Item,
    options::DataOptions,
    read::{decoder_failure, read_file},
    report::Unreadable,
    text::LISTED,
};

/// The result for each item: the picture, or why it cannot be decoded.
pub(super) struct Checked(Vec<Result<CheckedPicture, String>>);

/// A picture that can be decoded.
#[derive(Clone)]
struct CheckedPicture {
    content: ContentHash,
    pixels: ContentHash,
    size: Size,
    stamp: Option<Stamp>,
    warnings: Vec<PictureWarning>,
}

/// Decodes all pictures that are not known, `options.threads` at a time. Keeps no decoded picture in memory.
pub(super) fn check(
    items: &[Item],
    options: &DataOptions,
    known: &Known,
    progress: &(dyn Fn(usize, usize) + Sync),
) -> Result<Checked, DataError> {
    let pool = ThreadPoolBuilder::new()
        .num_threads(options.threads.max(1))
        .build()
        .map_err(|error| DataError::Setup {
            what: "starting threads to check the pictures".to_owned(),
            problem: error.to_string(),
        })?;
    let done = AtomicUsize::new(0);
    let check = |item: &Item| {
        let outcome = catch_unwind(AssertUnwindSafe(|| check_one(item, options, known)))
            .unwrap_or_else(|panic| Err(format!("the decoder failed: {}", decoder_failure(&*panic))));
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
        outcome
    };
    Ok(Checked(pool.install(|| items.par_iter().map(check).collect())))
}

fn check_one(item: &Item, options: &DataOptions, known: &Known) -> Result<CheckedPicture, String> {
    // Read before the file's content, so that a change in between counts as a change.
    let stamp = fs::metadata(&item.path).ok().as_ref().and_then(Stamp::of);
    let unchanged = known.get(&item.name).filter(|entry| Some(entry.stamp) == stamp);
    if let Some(&Entry {
        content,
        pixels: Some(pixels),
        size,
        ..
    }) = unchanged
    {
        return Ok(CheckedPicture {
            content,
            pixels,
            size,
            stamp,
            warnings: Vec::new(),
        });
    }
    let checked = read_file(&item.path, &options.limits).and_then(|bytes| {
        let decoded = picture::decode_with_warnings(&bytes, options.decode_options())?;
        Ok(CheckedPicture {
            content: ContentHash::of(&bytes),
            pixels: hash_of_pixels(&decoded.picture),
            size: decoded.picture.dimensions(),
            stamp,
            warnings: decoded.warnings,
        })
    });
    checked.map_err(|problem| problem.to_string())
}

fn hash_of_pixels(picture: &RgbImage) -> ContentHash {
    let mut hash = Sha256::new();
    hash.update(picture.width().to_le_bytes());
    hash.update(picture.height().to_le_bytes());
    hash.update(picture.as_raw());
    hash.finish()
}

/// Pictures that can be decoded, and files that cannot.
pub(super) struct Sorted {
    pub samples: Vec<Sample>,
    /// The sizes of the samples, in their order.
    pub sizes: Vec<Size>,
    pub unreadable: Vec<Unreadable>,
    /// Samples that were decoded with warnings.
    pub doubtful: Vec<Unreadable>,
}

impl Checked {
    /// The results for the next check.
    pub(super) fn known(&self, items: &[Item]) -> Known {
        let entries = items.iter().zip(&self.0).filter_map(|(item, found)| {
            let picture = found.as_ref().ok()?;
            let entry = Entry {
                stamp: picture.stamp?,
                content: picture.content,
                pixels: Some(picture.pixels),
                size: picture.size,
            };
            Some((item.name.clone(), entry))
        });
        Known::collect(entries)
    }

    /// Separates the samples from the files that cannot be decoded.
    pub(super) fn sort(self, path: &Path, items: &[Item], strict: bool) -> Result<Sorted, DataError> {
        let (mut samples, mut unreadable, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        let mut doubtful = Vec::new();
        for (item, outcome) in items.iter().zip(self.0) {
            match outcome {
                Ok(CheckedPicture {
                    content,
                    pixels,
                    size,
                    warnings,
                    ..
                }) => {
                    doubtful.extend(warnings.iter().map(|warning| Unreadable {
                        name: item.name.clone(),
                        reason: warning.to_string(),
                    }));
                    samples.push(Sample {
                        path: item.path.clone(),
                        name: item.name.clone(),
                        labels: item.labels.clone(),
                        split: item.split,
                        content,
                        pixels,
                    });
                    sizes.push(size);
                }
                Err(reason) => unreadable.push(Unreadable {
                    name: item.name.clone(),
                    reason,
                }),
            }
        }
        let sentences = || unreadable.iter().map(|file| format!("{}: {}", file.name, file.reason));
        if samples.is_empty() {
            return Err(DataError::NothingDecodes {
                path: path.to_owned(),
                count: items.len(),
                first: sentences().next().unwrap_or_default(),
            });
        }
        if strict && !unreadable.is_empty() {
            return Err(DataError::Unreadable {
                path: path.to_owned(),
                count: unreadable.len(),
                first: sentences().take(LISTED).collect(),
            });
        }
        Ok(Sorted {
            samples,
            sizes,
            unreadable,
            doubtful,
        })
    }
}
