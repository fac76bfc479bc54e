//! The data set of an evaluation, split as the training run split it.

use std::fs;
use std::path::Path;

use anyhow::Context;
use trainer::data::{DataOptions, Dataset};
use trainer::{RUN_FILE, RunFile};
use xception_model::Classifier;

use crate::args::EvaluateArgs;
use crate::io::message;
use crate::io::progress::Progress;

/// Opens DATA and reports the files that cannot be read. Returns the data set and the number of these files.
pub fn open(
    args: &EvaluateArgs,
    weights: Option<&Path>,
    classifier: &Classifier,
    threads: usize,
) -> anyhow::Result<(Dataset, usize)> {
    let mut options = split_options(args, weights)?;
    options.threads = threads;
    options.limits = classifier.limits;
    let progress = Progress::checking();
    let (dataset, report) = Dataset::open_watched(&args.data, &options, &|done, total| progress.set(done, total))?;
    drop(progress);
    for file in &report.unreadable {
        message::print("error", &format!("{}: {}", file.name, file.reason));
    }
    Ok((dataset, report.unreadable.len()))
}

fn split_options(args: &EvaluateArgs, weights: Option<&Path>) -> anyhow::Result<DataOptions> {
    let run = match weights {
        Some(weights) => run_on(weights, &args.data)?,
        None => None,
    };
    Ok(match (run, args.split) {
        // The training's own split: a picture that the weights were trained on tests nothing.
        (Some(run), _) => run.data_options,
        (None, Some(_)) => DataOptions::default(),
        // Data without a split stays in one part.
        (None, None) => DataOptions {
            val_fraction: 0.0,
            test_fraction: 0.0,
            ..DataOptions::default()
        },
    })
}

/// The run beside the weights, if it was trained on this data.
fn run_on(weights: &Path, data: &Path) -> anyhow::Result<Option<RunFile>> {
    let path = weights.with_file_name(RUN_FILE);
    if !path.is_file() {
        return Ok(None);
    }
    let text = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
    let run: RunFile = toml::from_str(&text).with_context(|| path.display().to_string())?;
    let same = |path: &Path| path.canonicalize().ok();
    Ok(Some(run).filter(|run| same(&run.data).is_some_and(|trained| Some(trained) == same(data))))
}
