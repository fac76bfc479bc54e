//! `xception classify`.

use crate::args::ClassifyArgs;
use crate::output::{Outcome, Output};
use crate::pictures::Pictures;
use crate::report::Report;
use crate::weights;

pub fn classify(args: &ClassifyArgs) -> anyhow::Result<Outcome> {
    let output = Output::open(args.output.path.as_deref(), args.output.force)?;
    let threads = weights::start_threads(&args.weights.compute)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    let classifier = weights::load_classifier(&args.weights, &args.labels, args.pictures.max_pixels)?;

    let mut report = Report::new(args.format, output, classifier.spec.outputs);
    let outcome = pictures.each_batch(
        &classifier,
        |batch| Ok(classifier.classify(batch, args.top_k)?),
        |names, predictions| Ok(report.write(names, &predictions)?),
    )?;
    report.finish()?;
    Ok(outcome)
}
