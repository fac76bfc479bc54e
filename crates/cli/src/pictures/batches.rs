//! The pictures of one command, in batches through a network.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use trainer::pipeline::{PictureStream, Streamed};

use crate::args::PictureArgs;
use crate::exit::ExitStatus;
use crate::io::message;
use crate::io::progress::Progress;
use crate::io::target::keep_inputs;
use crate::pictures::find::find;
use crate::pictures::source::{PictureSource, WithWarnings};
use crate::weights::file;

/// The pictures of one command; `P` is a picture's source, alone or with more.
pub struct Pictures<P = PictureSource> {
    items: Vec<P>,
    /// Arguments and folders without pictures, already reported.
    failed_paths: usize,
    stream: PictureStream,
}

impl Pictures {
    /// Finds the pictures, and reports arguments and folders without pictures.
    pub fn find(args: &PictureArgs, threads: usize) -> anyhow::Result<Self> {
        let (items, failed_paths) = find(&args.paths)?;
        let batch_size = args.batch_size;
        tracing::info!(
            pictures = items.len(),
            batch_size,
            decoding_threads = threads,
            "pictures found"
        );
        Ok(Self {
            items,
            failed_paths,
            stream: PictureStream { batch_size, threads },
        })
    }

    pub fn count(&self) -> usize {
        self.items.len()
    }

    /// Refuses results that would replace a picture or the weights.
    pub fn keep<'a>(&self, outputs: impl IntoIterator<Item = Option<&'a Path>>, weights: &OsStr) -> anyhow::Result<()> {
        let weights = file::local(weights);
        let pictures = self.items.iter().filter_map(PictureSource::path);
        keep_inputs(outputs.into_iter().flatten(), pictures.chain(weights.as_deref()))
    }

    /// Adds to each source what the command needs, and puts the pictures through the network one by one.
    pub fn one_by_one<P>(self, with: impl FnMut(PictureSource) -> anyhow::Result<P>) -> anyhow::Result<Pictures<P>> {
        Ok(Pictures {
            items: self.items.into_iter().map(with).collect::<Result<_, _>>()?,
            failed_paths: self.failed_paths,
            stream: PictureStream {
                batch_size: 1,
                ..self.stream
            },
        })
    }
}

impl<P: AsRef<PictureSource> + Sync> Pictures<P> {
    /// Decodes the pictures, gives each batch to `compute`, and gives the result to `write`, in the order of the
    /// pictures.
    ///
    /// A picture that cannot be decoded is reported and left out, a doubtful one reported. An error of `compute` or
    /// `write` ends the command.
    pub fn each_batch<D: Send, T>(
        self,
        decode: impl Fn(&PictureSource) -> anyhow::Result<WithWarnings<D>> + Sync,
        mut compute: impl FnMut(&[&P], Vec<D>) -> anyhow::Result<T>,
        mut write: impl FnMut(&[&P], T) -> anyhow::Result<()>,
    ) -> anyhow::Result<ExitStatus> {
        let total = self.items.len();
        let progress = Progress::new(total);
        let (mut failed, mut doubtful) = (0, 0);
        let decode = |picture: &P| decode(picture.as_ref());
        self.stream.run(&self.items, decode, |steps| {
            for step in steps {
                match step {
                    Streamed::Batch { pictures, decoded } => {
                        let mut values = Vec::with_capacity(decoded.len());
                        for (picture, WithWarnings { value, warnings }) in pictures.iter().zip(decoded) {
                            doubtful += usize::from(!warnings.is_empty());
                            for warning in warnings {
                                progress.message("warning", &format!("{}: {warning}", (**picture).as_ref().name()));
                            }
                            values.push(value);
                        }
                        let start = Instant::now();
                        let result = compute(&pictures, values)?;
                        let elapsed = start.elapsed();
                        progress.aside(|| {
                            tracing::info!(pictures = pictures.len(), ?elapsed, "batch computed");
                            write(&pictures, result)
                        })?;
                        progress.advance(pictures.len());
                    }
                    Streamed::Unreadable { picture, problem } => {
                        failed += 1;
                        progress.message("error", &sentence(picture.as_ref(), problem));
                        progress.advance(1);
                    }
                }
            }
            anyhow::Ok(())
        })?;
        drop(progress);
        if doubtful > 1 {
            message::print("warning", &format!("{doubtful} of {total} pictures are doubtful"));
        }
        if failed > 0 && total > 1 {
            message::print("error", &format!("{failed} of {total} pictures could not be read"));
        }
        Ok(ExitStatus::after(failed + self.failed_paths))
    }
}

/// Why a picture is left out; without an error, its decoder panicked.
fn sentence(source: &PictureSource, problem: Option<anyhow::Error>) -> String {
    match problem {
        Some(error) => message::sentence(&error),
        None => format!("{}: the decoder failed on this picture", source.name()),
    }
}
