//! Pictures through a network: decoded by several threads ahead of it, in order, a batch at a time.

use std::io::Read;
use std::panic::{self, AssertUnwindSafe};
use std::thread;

use anyhow::{Context, anyhow};
use crossbeam_channel::{Receiver, Sender, bounded};
use xception_model::Classifier;
use xception_model::picture::{PictureError, Pixels};

use crate::args::PictureArgs;
use crate::inputs::{self, Input};
use crate::output::{self, Outcome};
use crate::progress::Progress;

/// A picture on its way from a decoder to the network.
type Parcel = (Input, Receiver<anyhow::Result<Pixels>>);
/// A picture on its way to a decoder.
type Order = (Input, Sender<anyhow::Result<Pixels>>);

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
        let (inputs, problems) = inputs::expand(&args.paths);
        for problem in &problems {
            output::complain("error", problem);
        }
        if inputs.is_empty() {
            return Err(anyhow!("there are no pictures to work on"));
        }
        Ok(Self {
            inputs,
            failed_paths: problems.len(),
            batch_size: args.batch_size,
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
        self.decode_ahead(classifier, |decoded| {
            let mut names = Vec::with_capacity(batch_size);
            let mut batch = Vec::with_capacity(batch_size);
            let mut decoded = decoded.peekable();
            while let Some((input, pixels)) = decoded.next() {
                match pixels {
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
                    let result = compute(&batch)?;
                    progress.aside(|| write(&names, result))?;
                    progress.advance(batch.len());
                    names.clear();
                    batch.clear();
                }
            }
            Ok(())
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

    /// Runs decoders beside `consume`, which gets the pictures in order.
    fn decode_ahead(
        &self,
        classifier: &Classifier,
        consume: impl FnOnce(&mut dyn Iterator<Item = (Input, anyhow::Result<Pixels>)>) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        thread::scope(|scope| {
            // What is in `parcels` has been handed to a decoder, so its bound bounds the decoded pictures.
            let (parcels, arriving) = bounded::<Parcel>(self.batch_size);
            let (orders, to_decode) = bounded::<Order>(0);
            scope.spawn(move || {
                for input in &self.inputs {
                    let (pixels, arrives) = bounded(1);
                    // `consume` stops early when nobody wants its results any more.
                    if parcels.send((input.clone(), arrives)).is_err() || orders.send((input.clone(), pixels)).is_err()
                    {
                        return;
                    }
                }
            });
            for _ in 0..self.threads.min(self.inputs.len()) {
                let to_decode = to_decode.clone();
                scope.spawn(move || {
                    for (input, pixels) in to_decode {
                        // An error: the picture's receiver left with `consume`.
                        let _ = pixels.send(decode(classifier, &input));
                    }
                });
            }
            drop(to_decode);
            consume(&mut arriving.into_iter().map(|(input, arrives)| {
                let pixels = arrives.recv().unwrap_or_else(|_| Err(anyhow!("a decoder ended early")));
                (input, pixels)
            }))
        })
    }
}

fn decode(classifier: &Classifier, input: &Input) -> anyhow::Result<Pixels> {
    let decoded = panic::catch_unwind(AssertUnwindSafe(|| match input {
        Input::File(path) => Ok(classifier.prepare_file(path)?),
        Input::Stdin => read_stdin(classifier.limits.max_file_bytes)
            .and_then(|bytes| Ok(classifier.prepare(&bytes)?))
            .context("standard input"),
    }));
    // One file that a decoder was not made for must not end the other thousand.
    decoded.unwrap_or_else(|_| Err(anyhow!("{}: the decoder gave up on this picture", input.name())))
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
