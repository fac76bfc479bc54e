//! `xception explain`.

mod class;
mod question;
mod targets;

use std::io::Write;

use trainer::plots;

use self::question::Question;
use self::targets::Targets;
use crate::args::ExplainArgs;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::message::printable;
use crate::io::output::Output;
use crate::io::pages::Pages;
use crate::io::target::Target;
use crate::pictures::batches::Pictures;
use crate::pictures::source::PictureSource;
use crate::pictures::view::View;
use crate::weights::classifier;

pub fn explain(args: &ExplainArgs) -> anyhow::Result<ExitStatus> {
    let mut pages = Pages::open("Explanations", args.html.as_deref(), args.sheet.as_deref(), args.force)?;
    // A page or a sheet replaces the files, unless a place is named for them.
    let files = args.output.is_some() || !pages.wanted();
    let threads = threads::start(args.weights.inference.compute.threads)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    let mut targets = files.then(|| Targets::new(args, pictures.count())).transpose()?;
    let outputs = [&args.output, &args.html, &args.sheet];
    pictures.keep(outputs.map(Option::as_deref), &args.weights.file.weights)?;
    let pictures = pictures.one_by_one(|source| {
        Ok(PictureAndTarget {
            target: targets.as_mut().map(|targets| targets.target(&source)).transpose()?,
            source,
        })
    })?;
    let classifier = classifier::load(&args.weights, &args.labels, args.pictures.max_pixels)?;
    let question = Question::new(args, &classifier)?;

    let mut output = Output::stdout();
    let status = pictures.each_batch(
        |source| View::read(source, &classifier),
        |pictures, views| {
            let draw = |(picture, view): (&&PictureAndTarget, View)| {
                let explanation = question.explain(&picture.source, view)?;
                if let Some(target) = &picture.target {
                    let sheet = plots::explanation(&explanation.picture, &explanation.heats, &explanation.title)?;
                    let png = plots::png(&sheet)?;
                    target.publish(|file| file.write_all(&png))?;
                }
                Ok(explanation)
            };
            pictures.iter().zip(views).map(draw).collect::<anyhow::Result<Vec<_>>>()
        },
        |pictures, explanations| {
            for (picture, mut explanation) in pictures.iter().zip(explanations) {
                let name = picture.source.name();
                let answers = explanation.answers.join(", ");
                let place = picture
                    .target
                    .as_ref()
                    .map(|target| target.path().display().to_string());
                let place = place.map_or_else(String::new, |place| format!("  {}", printable(&place)));
                writeln!(output, "{}  {answers}{place}", printable(&name))?;
                if pages.wanted() {
                    let mut versions = vec![(explanation.picture, String::new())];
                    versions.append(&mut explanation.heats);
                    pages.add(&name, &versions, explanation.answers)?;
                }
            }
            Ok(output.flush()?)
        },
    )?;
    output.finish()?;
    pages.finish()?;
    Ok(status)
}

/// A picture, and the file for its explanation.
struct PictureAndTarget {
    source: PictureSource,
    target: Option<Target>,
}

impl AsRef<PictureSource> for PictureAndTarget {
    fn as_ref(&self) -> &PictureSource {
        &self.source
    }
}
