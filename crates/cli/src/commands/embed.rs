//! `xception embed`.

mod features;
mod neighbours;

use std::path::Path;

use crate::args::{self, EmbedArgs, EmbeddingFormat};
use crate::commands::embed::features::features;
use crate::commands::embed::neighbours::Wanted;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::embeddings::EmbeddingWriter;
use crate::pictures::batches::Pictures;
use crate::pictures::source::PictureSource;
use crate::weights::classifier;

pub fn embed(args: &EmbedArgs) -> anyhow::Result<ExitStatus> {
    if let Some(wanted) = Wanted::of(args) {
        return neighbours::neighbours(args, wanted);
    }
    let path = args.output.path.as_deref();
    let mut writer = EmbeddingWriter::open(choose_format(args.format, path), path, args.output.force)?;
    let threads = threads::start(args.weights.inference.compute.threads)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    pictures.keep([args.output.path.as_deref()], &args.weights.file.weights)?;
    let classifier = classifier::load_embedder(&args.weights, args.level.as_deref(), args.pictures.max_pixels)?;
    writer.check_space(pictures.count(), features::length(&classifier, args.level.as_deref()))?;

    let status = pictures.each_batch(
        |source| source.prepare(&classifier),
        |_, batch| features(&classifier, &batch, args.level.as_deref()),
        |sources, (shape, values)| writer.write(&PictureSource::names(sources), &shape, &values),
    )?;
    writer.finish()?;
    Ok(status)
}

fn choose_format(format: Option<EmbeddingFormat>, path: Option<&Path>) -> EmbeddingFormat {
    let ending = path.and_then(Path::extension).and_then(|ending| ending.to_str());
    match (format, path) {
        (Some(EmbeddingFormat::Csv), _) | (None, None) => EmbeddingFormat::Csv,
        (Some(format), Some(_)) => format,
        (Some(_), None) => args::wrong_usage("only csv goes to standard output: name a file with --output"),
        (None, Some(path)) => match ending {
            Some("npy") => EmbeddingFormat::Npy,
            Some("safetensors") => EmbeddingFormat::Safetensors,
            Some("csv") => EmbeddingFormat::Csv,
            _ => args::wrong_usage(format_args!(
                "{} ends in none of .npy, .safetensors and .csv: say with --format which it is",
                path.display()
            )),
        },
    }
}
