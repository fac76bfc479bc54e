//! `xception explain`.

mod class;
mod question;
mod targets;
mod view;

use std::io::Write;

use self::question::Question;
use self::targets::Targets;
use self::view::View;
use crate::args::ExplainArgs;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::message::printable;
use crate::io::output::Output;
use crate::io::target::Target;
use crate::pictures::batches::Pictures;
use crate::pictures::source::Source;
use crate::weights::classifier;

pub fn explain(args: &ExplainArgs) -> anyhow::Result<ExitStatus> {
    let threads = threads::start(args.weights.compute.threads)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    let mut targets = Targets::new(args, pictures.count())?;
    let pictures = pictures.one_by_one(|source| {
        Ok(Task {
            target: targets.target(&source)?,
            source,
        })
    })?;
    let classifier = classifier::load(&args.weights, &args.labels, args.pictures.max_pixels)?;
    let question = Question::new(args, &classifier)?;

    let mut output = Output::stdout();
    let status = pictures.each_batch(
        |source| View::read(source, &classifier),
        |tasks, views| {
            let draw = |(task, view): (&&Task, View)| {
                let (prediction, png) = question.draw(&task.source, view)?;
                task.target.publish(|file| file.write_all(&png))?;
                Ok(question.answer(&prediction))
            };
            tasks.iter().zip(views).map(draw).collect::<anyhow::Result<Vec<_>>>()
        },
        |tasks, answers| {
            for (task, answer) in tasks.iter().zip(answers) {
                let path = task.target.path().display().to_string();
                writeln!(
                    output,
                    "{}  {answer}  {}",
                    printable(&task.source.name()),
                    printable(&path)
                )?;
            }
            Ok(output.flush()?)
        },
    )?;
    output.finish()?;
    Ok(status)
}

/// A picture, and the file for its explanation.
struct Task {
    source: Source,
    target: Target,
}

impl AsRef<Source> for Task {
    fn as_ref(&self) -> &Source {
        &self.source
    }
}
