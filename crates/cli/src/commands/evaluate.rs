//! `xception evaluate`.

mod comparison;
mod dataset;
mod files;
mod imagenet;
mod judgement;
mod pictures;
mod row;
mod summary;
mod table;
mod text;

use std::path::PathBuf;

use anyhow::bail;
use trainer::metrics::write_class_table;

use self::comparison::compare;
use self::files::ResultFiles;
use self::judgement::Judgement;
use self::summary::Summary;
use crate::args::{EvaluateArgs, FigureFormat, WeightsArgs};
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::output::Output;
use crate::io::target::keep_inputs;
use crate::io::{json, path};
use crate::weights::file;

pub fn evaluate(args: &EvaluateArgs) -> anyhow::Result<ExitStatus> {
    let networks: Vec<WeightsArgs> = args.weights.each().collect();
    let read = [Some(&args.data), args.imagenet_labels.as_ref(), args.blacklist.as_ref()];
    let outputs = [&args.report, &args.json, &args.csv, &args.predictions];
    let weights: Vec<PathBuf> = networks
        .iter()
        .filter_map(|network| file::local(&network.file.weights))
        .collect();
    let inputs = read.into_iter().flatten().chain(&weights).map(PathBuf::as_path);
    keep_inputs(outputs.into_iter().flatten().map(PathBuf::as_path), inputs)?;
    let missing = || read.into_iter().flatten().find_map(|file| path::missing(file));
    match networks.as_slice() {
        [weights] => {
            let files = ResultFiles::open(args)?;
            if let Some(problem) = missing() {
                bail!(problem);
            }
            one(args, weights, &files)
        }
        several => {
            let files = comparison::ResultFiles::open(args)?;
            if let Some(problem) = missing() {
                bail!(problem);
            }
            compare(args, several, &files)
        }
    }
}

/// The figures of one network.
fn one(args: &EvaluateArgs, weights: &WeightsArgs, files: &ResultFiles) -> anyhow::Result<ExitStatus> {
    let threads = threads::start(args.weights.inference.compute.threads)?;
    let Judgement {
        classifier,
        labelled,
        judged,
    } = Judgement::of(args, weights, threads, true)?;
    let summary = Summary::new(&classifier.spec, &labelled, &judged);
    files.write(weights, &args.data, &classifier, &summary, &judged)?;
    let mut output = Output::stdout();
    match args.format {
        FigureFormat::Text => text::write(&mut output, &summary)?,
        FigureFormat::Json => json::write(&mut output, &summary)?,
        FigureFormat::Csv => write_class_table(&mut output, &judged.evaluation)?,
    }
    output.finish()?;
    Ok(ExitStatus::after(labelled.unreadable + judged.unreadable.len()))
}
