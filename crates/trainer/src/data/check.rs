//! Every picture opened once: whether it decodes, how large it is, and what its content's hash is.

use std::{
    panic::{AssertUnwindSafe, catch_unwind},
    path::Path,
    sync::atomic::{AtomicUsize, Ordering},
};

use rayon::{
    ThreadPoolBuilder,
    iter::{IntoParallelRefIterator, ParallelIterator},
};
use xception_model::picture;

use super::{
    ContentHash, DataError, DataOptions, Sample, Unreadable, decoder_failure, error::LISTED, listing::Item, read_file,
};

/// Width and height of an upright picture.
pub(super) type Size = (u32, u32);

/// For each item its content and size, or why it cannot be decoded.
pub(super) struct Checked(Vec<Result<(ContentHash, Size), String>>);

/// Opens all pictures, `options.threads` at a time, each decoded and dropped again.
pub(super) fn check(
    items: &[Item],
    options: &DataOptions,
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
        let outcome = catch_unwind(AssertUnwindSafe(|| check_one(&item.path, options)))
            .unwrap_or_else(|panic| Err(format!("the decoder failed: {}", decoder_failure(&*panic))));
        progress(done.fetch_add(1, Ordering::Relaxed) + 1, items.len());
        outcome
    };
    Ok(Checked(pool.install(|| items.par_iter().map(check).collect())))
}

fn check_one(path: &Path, options: &DataOptions) -> Result<(ContentHash, Size), String> {
    let checked = read_file(path, &options.limits).and_then(|bytes| {
        let picture = picture::decode(&bytes, &options.limits)?;
        Ok((ContentHash::of(&bytes), picture.dimensions()))
    });
    checked.map_err(|problem| problem.to_string())
}

/// The pictures and the rest.
pub(super) struct Sorted {
    pub samples: Vec<Sample>,
    /// Of the samples, in their order.
    pub sizes: Vec<Size>,
    pub unreadable: Vec<Unreadable>,
}

impl Checked {
    /// The samples and the unreadable files apart, and the samples' sizes.
    pub(super) fn sort(self, path: &Path, items: &[Item], strict: bool) -> Result<Sorted, DataError> {
        let (mut samples, mut unreadable, mut sizes) = (Vec::new(), Vec::new(), Vec::new());
        for (item, outcome) in items.iter().zip(self.0) {
            match outcome {
                Ok((content, size)) => {
                    samples.push(Sample {
                        path: item.path.clone(),
                        name: item.name.clone(),
                        labels: item.labels.clone(),
                        split: item.split,
                        content,
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
        })
    }
}
