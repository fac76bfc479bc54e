//! `xception classify`.

use xception_model::{Outputs, Prediction};

use crate::args::ClassifyArgs;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::output::Output;
use crate::io::pages::Pages;
use crate::io::predictions::PredictionWriter;
use crate::pictures::batches::Pictures;
use crate::pictures::source::{PictureSource, WithWarnings};
use crate::pictures::view::View;
use crate::weights::classifier;

pub fn classify(args: &ClassifyArgs) -> anyhow::Result<ExitStatus> {
    let output = Output::open(args.output.path.as_deref(), args.output.force)?;
    let mut pages = Pages::open(
        "Predictions",
        args.html.as_deref(),
        args.sheet.as_deref(),
        args.output.force,
    )?;
    let threads = threads::start(args.weights.inference.compute.threads)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    let outputs = [&args.output.path, &args.html, &args.sheet];
    pictures.keep(outputs.map(Option::as_deref), &args.weights.file.weights)?;
    let classifier = classifier::load(&args.weights, &args.labels, args.pictures.max_pixels)?;

    let outputs = classifier.spec.outputs;
    let mut writer = PredictionWriter::new(args.format, output, outputs);
    let shown = pages.wanted();
    let status = pictures.each_batch(
        |source| {
            if shown {
                let WithWarnings { value, warnings } = View::read(source, &classifier)?;
                let value = (value.pixels, Some(value.picture));
                return Ok(WithWarnings { value, warnings });
            }
            let WithWarnings { value, warnings } = source.prepare(&classifier)?;
            let value = (value, None);
            Ok(WithWarnings { value, warnings })
        },
        |_, batch| {
            let (pixels, pictures): (Vec<_>, Vec<_>) = batch.into_iter().unzip();
            Ok((classifier.classify(&pixels, args.top_k)?, pictures))
        },
        |sources, (predictions, pictures)| {
            let names = PictureSource::names(sources);
            for ((name, picture), predictions) in names.iter().zip(pictures).zip(&predictions) {
                if let Some(picture) = picture {
                    let lines = predictions.iter().map(|prediction| line(prediction, outputs)).collect();
                    pages.add(name, &[(picture, String::new())], lines)?;
                }
            }
            Ok(writer.write(&names, &predictions)?)
        },
    )?;
    writer.finish()?;
    pages.finish()?;
    Ok(status)
}

/// A prediction on a page.
fn line(prediction: &Prediction, outputs: Outputs) -> String {
    match outputs {
        Outputs::Value => prediction.probability.to_string(),
        _ => format!("{} {:.1} %", prediction.label.name, 100.0 * prediction.probability),
    }
}
