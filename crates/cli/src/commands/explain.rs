//! `xception explain`.

mod class;
mod question;
mod targets;

use std::io::Write;

use self::question::{Failure, Question};
use crate::args::ExplainArgs;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::message::{self, printable};
use crate::io::output::Output;
use crate::io::progress::Progress;
use crate::pictures::find::find;
use crate::weights::classifier;

pub fn explain(args: &ExplainArgs) -> anyhow::Result<ExitStatus> {
    let (sources, mut failed) = find(&args.pictures.paths)?;
    let targets = targets::targets(args, &sources)?;
    threads::start(args.weights.compute.threads)?;
    let classifier = classifier::load(&args.weights, &args.labels, args.pictures.max_pixels)?;
    let question = Question::new(args, &classifier)?;

    let mut output = Output::stdout();
    let progress = Progress::new(sources.len());
    for (source, target) in sources.iter().zip(targets) {
        match question.explain(source, &target) {
            Ok(prediction) => progress.aside(|| {
                let (name, path) = (printable(&source.name()), target.path().display().to_string());
                writeln!(output, "{name}  {}  {}", question.answer(&prediction), printable(&path))?;
                output.flush()
            })?,
            Err(Failure::Question(error)) => return Err(error),
            Err(Failure::Picture(error)) => {
                failed += 1;
                progress.message("error", &message::sentence(&error));
            }
        }
        progress.advance(1);
    }
    drop(progress);
    output.finish()?;
    Ok(ExitStatus::after(failed))
}
