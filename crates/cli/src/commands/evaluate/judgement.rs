//! A network, the pictures it is judged by, and the result.

use trainer::data::Dataset;
use trainer::evaluate::{EvaluateOptions, Evaluated, evaluate};
use xception_model::Classifier;

use crate::args::{EvaluateArgs, WeightsArgs};
use crate::commands::evaluate::dataset::{self, TrainedRun};
use crate::commands::evaluate::pictures::LabelledPictures;
use crate::io::message;
use crate::io::progress::Progress;
use crate::weights::{check, classifier, file};

/// A network, the pictures it is judged by, and the result.
pub struct Judgement {
    pub classifier: Classifier,
    pub labelled: LabelledPictures,
    pub judged: Evaluated,
}

impl Judgement {
    /// Loads the network and judges it. `tells` says whether faults of the pictures are reported.
    pub fn of(args: &EvaluateArgs, weights: &WeightsArgs, threads: usize, tells: bool) -> anyhow::Result<Self> {
        let local = file::local(&weights.file.weights);
        let run = local.as_deref().and_then(TrainedRun::beside);
        if args.imagenet_labels.is_none() {
            // Faults of the data are found before weights are downloaded.
            Dataset::check_listing(&args.data, &dataset::options(args, run.as_ref()))?;
        }
        let classifier = classifier::load(weights, &args.labels, args.max_pixels)?;
        check::has_classes(&weights.file.weights, &classifier.spec)?;
        let labelled = LabelledPictures::find(args, run.as_ref(), &classifier, threads, tells)?;
        let judged = judge(args, &classifier, &labelled, threads)?;
        if tells {
            for (_, problem) in &judged.unreadable {
                message::print("error", problem);
            }
        }
        Ok(Self {
            classifier,
            labelled,
            judged,
        })
    }
}

fn judge(
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
    Ok(evaluate(classifier, &labelled.pictures, options, |pictures| {
        progress.advance(pictures);
    })?)
}
