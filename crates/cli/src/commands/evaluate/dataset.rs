//! The data set of an evaluation, split as the training run split it.

use std::path::Path;

use anyhow::bail;
use trainer::data::{DataOptions, DataReport, Dataset, Sample, Split};
use trainer::{RUN_FILE, RunFile, RunPictures};
use xception_model::Classifier;

use crate::args::EvaluateArgs;
use crate::io::message;
use crate::io::progress::Progress;

/// The run that trained the weights.
pub struct TrainedRun {
    file: RunFile,
    pictures: RunPictures,
}

impl TrainedRun {
    /// The run beside the weights, if there is one. A warning if it cannot be read.
    pub fn beside(weights: &Path) -> Option<Self> {
        let folder = weights.parent().filter(|folder| folder.join(RUN_FILE).is_file())?;
        let read = || -> anyhow::Result<Self> {
            let file = RunFile::read(folder)?;
            let pictures = RunPictures::read(folder)?;
            Ok(Self { file, pictures })
        };
        match read() {
            Ok(run) => Some(run),
            Err(error) => {
                let problem = message::sentence(&error);
                message::print(
                    "warning",
                    &format!("{problem}: the evaluation cannot know which pictures the network was trained on"),
                );
                None
            }
        }
    }

    /// How many of these pictures the network was trained on.
    pub fn count_trained_on<'a>(&self, samples: impl Iterator<Item = &'a Sample>) -> usize {
        samples
            .filter(|sample| self.pictures.split(sample) == Some(Split::Train))
            .count()
    }
}

/// How DATA is read: as the training run read it, if it is the same folder or table.
pub fn options(args: &EvaluateArgs, run: Option<&TrainedRun>) -> DataOptions {
    let same = |path: &Path| path.canonicalize().ok();
    let its_own = |run: &&TrainedRun| same(&run.file.data).is_some_and(|data| Some(data) == same(&args.data));
    let mut options = run
        .filter(its_own)
        .map_or_else(DataOptions::default, |run| run.file.data_options.clone());
    if run.is_some() || args.split.is_none() {
        // The split is the run's, or data without a split stays in one part.
        (options.val_fraction, options.test_fraction) = (0.0, 0.0);
    }
    options.judging = true;
    options.strict = false;
    options.classes = None;
    args.layout.over(options)
}

/// The pictures to judge, before their classes are known to the network.
pub struct Opened {
    pub dataset: Dataset,
    /// Of the pictures, those to judge.
    pub judged: Vec<usize>,
    /// Their part of the data, if it is one.
    pub split: Option<Split>,
    /// The number of files that cannot be read, already reported.
    pub unreadable: usize,
}

/// Opens DATA and, if it `tells`, reports the files that cannot be read.
pub fn open(
    args: &EvaluateArgs,
    run: Option<&TrainedRun>,
    classifier: &Classifier,
    threads: usize,
    tells: bool,
) -> anyhow::Result<Opened> {
    let mut options = options(args, run);
    options.threads = threads;
    options.limits = classifier.limits;
    options.reading = classifier.spec.input.reading;
    let progress = Progress::checking();
    let (mut dataset, report) = Dataset::open_watched(&args.data, &options, &|done, total| progress.set(done, total))?;
    drop(progress);
    if tells {
        report_faults(&report);
    }
    let in_split = split(args, run, &mut dataset)?;
    let has_test = in_split.iter().flatten().any(|&split| split == Split::Test);
    let split = args.split.or(has_test.then_some(Split::Test));
    let judged = (0..dataset.samples.len()).filter(|&index| split.is_none() || in_split[index] == split);
    let judged: Vec<usize> = judged.collect();
    Ok(Opened {
        dataset,
        judged,
        split,
        unreadable: report.unreadable.len(),
    })
}

/// What is wrong with the data.
fn report_faults(report: &DataReport) {
    for warning in &report.warnings {
        message::print("warning", warning);
    }
    for file in &report.doubtful {
        message::print("warning", &format!("{}: {}", file.name, file.reason));
    }
    for file in &report.unreadable {
        message::print("error", &format!("{}: {}", file.name, file.reason));
    }
}

/// The split of each picture: that of the data, or that of the run for pictures of the same content or pixels; `None`
/// where it is not known.
fn split(args: &EvaluateArgs, run: Option<&TrainedRun>, dataset: &mut Dataset) -> anyhow::Result<Vec<Option<Split>>> {
    let own: Vec<Option<Split>> = dataset.samples.iter().map(|sample| Some(sample.split)).collect();
    let is_split = own.iter().any(|split| *split != Some(Split::Train));
    let Some(run) = run.filter(|_| !is_split) else {
        return Ok(own);
    };
    let of_run = dataset.samples.iter().map(|sample| run.pictures.split(sample));
    let of_run: Vec<Option<Split>> = of_run.collect();
    let unknown = of_run.iter().filter(|split| split.is_none()).count();
    let data = args.data.display();
    match args.split {
        None if unknown > 0 => return Ok(vec![None; own.len()]),
        Some(split) if unknown == own.len() => bail!(
            "{data} is not split, and none of its pictures is one of the run beside the weights: without --split \
             {split} all of them are judged"
        ),
        Some(_) if unknown > 0 => message::print(
            "warning",
            &format!("{unknown} pictures of {data} are not among the pictures of the run beside the weights: left out"),
        ),
        Some(_) | None => {}
    }
    Ok(of_run)
}

/// Warns of pictures that the network was trained on: they say nothing about other pictures.
pub fn warn_of_trained_on(args: &EvaluateArgs, judged: usize, trained_on: usize) {
    if trained_on == 0 {
        return;
    }
    let advice = if args.split.is_none() {
        "; --split test judges those that the run held out"
    } else {
        ""
    };
    message::print(
        "warning",
        &format!(
            "the network was trained on {trained_on} of the {judged} pictures that are judged, so the figures look \
             better than the network is{advice}"
        ),
    );
}
