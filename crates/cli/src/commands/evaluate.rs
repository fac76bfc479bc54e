//! `xception evaluate`.

mod dataset;
mod files;
mod imagenet;
mod pictures;
mod summary;
mod text;

use std::path::PathBuf;

use anyhow::bail;
use trainer::data::Dataset;
use trainer::evaluate::{EvaluateOptions, Evaluated, evaluate as judge};
use trainer::metrics::write_class_table;
use xception_model::Classifier;

use self::dataset::TrainedRun;
use self::files::ResultFiles;
use self::pictures::LabelledPictures;
use self::summary::Summary;
use crate::args::{EvaluateArgs, FigureFormat};
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::output::Output;
use crate::io::progress::Progress;
use crate::io::target::keep_inputs;
use crate::io::{json, message, path};
use crate::weights::{check, classifier, file};

pub fn evaluate(args: &EvaluateArgs) -> anyhow::Result<ExitStatus> {
    let files = ResultFiles::open(args)?;
    let read = [Some(&args.data), args.imagenet_labels.as_ref(), args.blacklist.as_ref()];
    if let Some(problem) = read.into_iter().flatten().find_map(|file| path::missing(file)) {
        bail!(problem);
    }
    let threads = threads::start(args.weights.compute.threads)?;
    let weights = file::local(&args.weights.source.weights);
    let outputs = [&args.report, &args.json, &args.csv, &args.predictions];
    let inputs = read.into_iter().flatten().chain(&weights).map(PathBuf::as_path);
    keep_inputs(outputs.into_iter().flatten().map(PathBuf::as_path), inputs)?;
    let run = weights.as_deref().and_then(TrainedRun::beside);
    if args.imagenet_labels.is_none() {
        // Faults of the data are found before weights are downloaded.
        Dataset::check_listing(&args.data, &dataset::options(args, run.as_ref()))?;
    }
    let classifier = classifier::load(&args.weights, &args.labels, args.max_pixels)?;
    check::has_classes(&args.weights.source.weights, &classifier.spec)?;
    let labelled = LabelledPictures::find(args, run.as_ref(), &classifier, threads)?;

    let judged = judge_all(args, &classifier, &labelled, threads)?;
    let summary = Summary::new(&classifier, &labelled, &judged);
    files.write(args, &classifier, &summary, &judged)?;
    let mut output = Output::stdout();
    match args.format {
        FigureFormat::Text => text::write(&mut output, &summary)?,
        FigureFormat::Json => json::write(&mut output, &summary)?,
        FigureFormat::Csv => write_class_table(&mut output, &judged.evaluation)?,
    }
    output.finish()?;
    Ok(ExitStatus::after(labelled.unreadable + judged.unreadable.len()))
}

/// Judges the network by the pictures, and reports the pictures that cannot be read.
fn judge_all(
    args: &EvaluateArgs,
    classifier: &Classifier,
    labelled: &LabelledPictures,
    threads: usize,
) -> anyhow::Result<Evaluated> {
    let progress = Progress::new(labelled.pictures.len());
    let options = EvaluateOptions {
        batch_size: args.batch_size,
        threads,
    };
    let judged = judge(classifier, &labelled.pictures, options, |pictures| {
        progress.advance(pictures);
    })?;
    drop(progress);
    for (_, problem) in &judged.unreadable {
        message::print("error", problem);
    }
    Ok(judged)
}
