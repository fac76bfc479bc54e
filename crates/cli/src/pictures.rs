//! Pictures through a network: decoded by several threads ahead of it, in order, a batch at a time.

use std::io::Read;
use std::time::Instant;

use anyhow::{Context, anyhow};
use image::RgbImage;
use trainer::ahead;
use xception_model::Classifier;
use xception_model::picture::{PictureError, Pixels, Preset};

use crate::args::PictureArgs;
use crate::inputs::{self, Input};
use crate::output::{self, Outcome};
use crate::progress::Progress;

/// The pictures of one command.
pub struct Pictures {
    inputs: Vec<Input>,
    /// Arguments and folders without pictures, already reported.
    failed_paths: usize,
    batch_size: usize,
    threads: usize,
}

impl Pictures {
    /// Finds the pictures and reports the arguments that name none.
    pub fn find(args: &PictureArgs, threads: usize) -> anyhow::Result<Self> {
        let (inputs, failed_paths) = inputs::find(&args.paths)?;
        let (pictures, batch_size) = (inputs.len(), args.batch_size);
        tracing::info!(pictures, batch_size, decoding_threads = threads, "pictures found");
        Ok(Self {
            inputs,
            failed_paths,
            batch_size,
            threads,
        })
    }

    /// Gives every batch's pixels to `compute`, and its names and what came of them to `write`, in the order of the pictures.
    ///
    /// A picture that can't be read is reported and left out. Memory is bounded whatever the number of pictures: as many
    /// wait decoded as make up a batch.
    pub fn each_batch<T>(
        self,
        classifier: &Classifier,
        mut compute: impl FnMut(&[Pixels]) -> anyhow::Result<T>,
        mut write: impl FnMut(&[String], T) -> anyhow::Result<()>,
    ) -> anyhow::Result<Outcome> {
        let total = self.inputs.len();
        let batch_size = self.batch_size;
        let progress = Progress::new(total);
        let mut failed = 0;
        let decode = |input: &Input| decode(classifier, input);
        ahead::in_order(&self.inputs, self.threads, batch_size, decode, |decoded| {
            let mut names = Vec::with_capacity(batch_size);
            let mut batch = Vec::with_capacity(batch_size);
            let mut decoded = decoded.peekable();
            while let Some((input, pixels)) = decoded.next() {
                // One file that a decoder was not made for must not end the other thousand.
                let gave_up = || Err(anyhow!("{}: the decoder gave up on this picture", input.name()));
                match pixels.unwrap_or_else(gave_up) {
                    Ok(pixels) => {
                        names.push(input.name());
                        batch.push(pixels);
                    }
                    Err(error) => {
                        failed += 1;
                        progress.complain("error", &output::sentence(&error));
                        progress.advance(1);
                    }
                }
                if batch.len() == batch_size || (decoded.peek().is_none() && !batch.is_empty()) {
                    let start = Instant::now();
                    let result = compute(&batch)?;
                    let elapsed = start.elapsed();
                    progress.aside(|| {
                        tracing::info!(pictures = batch.len(), ?elapsed, "batch computed");
                        write(&names, result)
                    })?;
                    progress.advance(batch.len());
                    names.clear();
                    batch.clear();
                }
            }
            anyhow::Ok(())
        })?;
        drop(progress);
        if failed > 0 && total > 1 {
            output::complain("error", &format!("{failed} of {total} pictures could not be read"));
        }
        Ok(if failed + self.failed_paths > 0 {
            Outcome::Incomplete
        } else {
            Outcome::Complete
        })
    }
}

fn decode(classifier: &Classifier, input: &Input) -> anyhow::Result<Pixels> {
    match input {
        Input::File(path) => Ok(classifier.prepare_file(path)?),
        Input::Stdin => read_stdin(classifier.limits.max_file_bytes)
            .and_then(|bytes| Ok(classifier.prepare(&bytes)?))
            .context("standard input"),
    }
}

/// A picture as it is in its file, for the network's own preset.
pub fn open(classifier: &Classifier, preset: Preset, input: &Input) -> anyhow::Result<RgbImage> {
    match input {
        Input::File(path) => Ok(preset.open(path, &classifier.limits)?),
        Input::Stdin => read_stdin(classifier.limits.max_file_bytes)
            .and_then(|bytes| Ok(preset.decode(&bytes, &classifier.limits)?))
            .context("standard input"),
    }
}

fn read_stdin(limit: u64) -> anyhow::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    std::io::stdin()
        .lock()
        .take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(PictureError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(PictureError::FileTooLarge { limit }.into());
    }
    Ok(bytes)
}
