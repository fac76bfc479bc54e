//! `xception classify`.

use crate::args::ClassifyArgs;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::output::Output;
use crate::io::predictions::PredictionWriter;
use crate::pictures::batches::Pictures;
use crate::pictures::source::Source;
use crate::weights::classifier;

pub fn classify(args: &ClassifyArgs) -> anyhow::Result<ExitStatus> {
    let output = Output::open(args.output.path.as_deref(), args.output.force)?;
    let threads = threads::start(args.weights.compute.threads)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    let classifier = classifier::load(&args.weights, &args.labels, args.pictures.max_pixels)?;

    let mut writer = PredictionWriter::new(args.format, output, classifier.spec.outputs);
    let status = pictures.each_batch(
        |source| source.prepare(&classifier),
        |_, batch| Ok(classifier.classify(&batch, args.top_k)?),
        |sources, predictions| Ok(writer.write(&Source::names(sources), &predictions)?),
    )?;
    writer.finish()?;
    Ok(status)
}
