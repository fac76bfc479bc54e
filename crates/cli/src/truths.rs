//! Which pictures are judged, and what each of them shows.

use std::collections::HashSet;
use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use trainer::RunFile;
use trainer::data::{DataOptions, Dataset, Split};
use trainer::evaluate::{Labelled, match_classes};
use xception_model::Classifier;

use crate::evaluate::EvaluateArgs;
use crate::imagenet;
use crate::output;
use crate::progress::Progress;

/// The file that a training run leaves beside its weights.
const RUN_FILE: &str = "run.toml";

/// Pictures to be judged.
pub struct Truths {
    pub pictures: Vec<Labelled>,
    /// For people: `the test pictures of flowers`.
    pub what: String,
    /// Files that were found unreadable, already reported.
    pub failed: usize,
}

impl Truths {
    /// Finds the pictures of `DATA` and matches their classes with the network's.
    pub fn find(
        args: &EvaluateArgs,
        weights: Option<&Path>,
        classifier: &Classifier,
        threads: usize,
    ) -> anyhow::Result<Self> {
        let mut truths = match &args.imagenet_labels {
            Some(labels) => Self {
                pictures: imagenet::validation(&args.data, labels, &classifier.spec.labels)?,
                what: format!("the pictures of {}", args.data.display()),
                failed: 0,
            },
            None => dataset(args, weights, classifier, threads)?,
        };
        if let Some(path) = &args.blacklist {
            let listed: HashSet<usize> = imagenet::blacklist(path)?.into_iter().collect();
            let before = truths.pictures.len();
            truths
                .pictures
                .retain(|picture| imagenet::number(&picture.path).is_none_or(|number| !listed.contains(&number)));
            let left_out = before - truths.pictures.len();
            truths.what = format!("{} without {left_out} that {} lists", truths.what, path.display());
        }
        if truths.pictures.is_empty() {
            bail!("{}: there are no pictures to judge", args.data.display());
        }
        Ok(truths)
    }
}

fn dataset(
    args: &EvaluateArgs,
    weights: Option<&Path>,
    classifier: &Classifier,
    threads: usize,
) -> anyhow::Result<Truths> {
    let run = weights
        .map(|weights| run_on(weights, &args.data))
        .transpose()?
        .flatten();
    let mut options = match (run, args.split) {
        // As it was split when the weights were trained: what they were trained on is no test.
        (Some(run), _) => run.data_options,
        (None, Some(_)) => DataOptions::default(),
        // Nothing is split that is not split already.
        (None, None) => DataOptions {
            val_fraction: 0.0,
            test_fraction: 0.0,
            ..DataOptions::default()
        },
    };
    options.threads = threads;
    options.limits = classifier.limits;
    let progress = Progress::checking();
    let (dataset, report) = Dataset::open_watched(&args.data, &options, &|done, total| progress.set(done, total))?;
    drop(progress);
    for file in &report.unreadable {
        output::complain("error", &format!("{}: {}", file.name, file.reason));
    }

    let spec = &classifier.spec;
    if dataset.multi_label && !spec.is_multi_label() {
        bail!(
            "{} gives pictures several labels and {} gives each one class: they can't be compared",
            args.data.display(),
            spec.source
        );
    }
    let classes = match_classes(&dataset.classes, &spec.labels, spec.classes().unwrap_or(0))
        .with_context(|| args.data.display().to_string())?;
    let has_test = dataset.count(Split::Test) > 0;
    let split = args.split.or(has_test.then_some(Split::Test));
    let pictures: Vec<Labelled> = dataset
        .samples
        .iter()
        .filter(|sample| split.is_none_or(|split| sample.split == split))
        .map(|sample| Labelled {
            path: sample.path.clone(),
            classes: sample
                .labels
                .iter()
                .filter_map(|&label| classes.get(label).copied())
                .collect(),
        })
        .collect();
    let data = args.data.display();
    Ok(Truths {
        pictures,
        what: split.map_or_else(
            || format!("all pictures of {data}"),
            |split| format!("the {split} pictures of {data}"),
        ),
        failed: report.unreadable.len(),
    })
}

/// The run that the weights come from, if it was trained on this data.
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

/// What `--split` takes.
pub fn parse_split(name: &str) -> Result<Split, String> {
    let known = Split::ALL.into_iter().find(|split| split.name() == name);
    known.ok_or_else(|| "expected train, val or test".to_owned())
}

/// The weight file that was named, beside which a run may lie; none for weights of the registry.
pub fn weight_file(weights: &OsStr) -> Option<PathBuf> {
    let path = PathBuf::from(weights);
    let in_run = path.join(trainer::MODEL);
    [path, in_run].into_iter().find(|path| path.is_file())
}
