//! Pictures through a network: decoded by several threads ahead of it, in order, a batch at a time.

use std::time::Instant;

use anyhow::anyhow;
use trainer::ahead;
use xception_model::Classifier;
use xception_model::picture::Pixels;

use crate::args::PictureArgs;
use crate::exit::ExitStatus;
use crate::io::message;
use crate::io::progress::Progress;
use crate::pictures::find::find;
use crate::pictures::source::Source;

/// The pictures of one command.
pub struct Pictures {
    sources: Vec<Source>,
    /// Arguments and folders without pictures, already reported.
    failed_paths: usize,
    batch_size: usize,
    threads: usize,
}

impl Pictures {
    /// Finds the pictures and reports the arguments that name none.
    pub fn find(args: &PictureArgs, threads: usize) -> anyhow::Result<Self> {
        let (sources, failed_paths) = find(&args.paths)?;
        let (pictures, batch_size) = (sources.len(), args.batch_size);
        tracing::info!(pictures, batch_size, decoding_threads = threads, "pictures found");
        Ok(Self {
            sources,
            failed_paths,
            batch_size,
            threads,
        })
    }

    /// Gives every batch's pixels to `compute`, and its names and what came of them to `write`, in the order of the
    /// pictures.
    ///
    /// A picture that can't be read is reported and left out. Memory is bounded whatever the number of pictures: as
    /// many wait decoded as make up a batch.
    pub fn each_batch<T>(
        self,
        classifier: &Classifier,
        mut compute: impl FnMut(&[Pixels]) -> anyhow::Result<T>,
        mut write: impl FnMut(&[String], T) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitStatus> {
        let total = self.sources.len();
        let batch_size = self.batch_size;
        let progress = Progress::new(total);
        let mut failed = 0;
        let decode = |source: &Source| source.prepare(classifier);
        ahead::in_order(&self.sources, self.threads, batch_size, decode, |decoded| {
            let mut names = Vec::with_capacity(batch_size);
            let mut batch = Vec::with_capacity(batch_size);
            let mut decoded = decoded.peekable();
            while let Some((source, pixels)) = decoded.next() {
                // One file that a decoder was not made for must not end the other thousand.
                let gave_up = || Err(anyhow!("{}: the decoder gave up on this picture", source.name()));
                match pixels.unwrap_or_else(gave_up) {
                    Ok(pixels) => {
                        names.push(source.name());
                        batch.push(pixels);
                    }
                    Err(error) => {
                        failed += 1;
                        progress.message("error", &message::sentence(&error));
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
            message::print("error", &format!("{failed} of {total} pictures could not be read"));
        }
        Ok(ExitStatus::after(failed + self.failed_paths))
    }
}
