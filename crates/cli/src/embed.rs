//! `xception embed`.

use std::path::Path;

use anyhow::bail;
use burn::tensor::Tensor;
use xception_model::Classifier;
use xception_model::picture::Pixels;

use crate::args::{self, EmbedArgs, RowsFormat};
use crate::output::Outcome;
use crate::pictures::Pictures;
use crate::rows::Rows;
use crate::weights;

pub fn embed(args: &EmbedArgs) -> anyhow::Result<Outcome> {
    let path = args.output.path.as_deref();
    let mut rows = Rows::open(choose_format(args.format, path), path, args.output.force)?;
    let threads = weights::start_threads(&args.weights.compute)?;
    let pictures = Pictures::find(&args.pictures, threads)?;
    let classifier = weights::load_embedder(&args.weights, args.level.as_deref(), args.pictures.max_pixels)?;

    let outcome = pictures.each_batch(
        &classifier,
        |batch| features(&classifier, batch, args.level.as_deref()),
        |names, (shape, values)| rows.write(names, &shape, &values),
    )?;
    rows.finish()?;
    Ok(outcome)
}

/// The shape of one picture's features, and those of the batch behind each other.
fn features(classifier: &Classifier, batch: &[Pixels], level: Option<&str>) -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
    let images = classifier.batch(batch)?;
    let (shape, data) = match level {
        None => {
            let vectors: Tensor<2> = classifier.embed(images)?;
            (vectors.dims().to_vec(), vectors.into_data())
        }
        Some(name) => {
            let pyramid = match classifier.fused() {
                Some(fused) => fused.pyramid(images)?,
                None => classifier.network().pyramid(images)?,
            };
            let Some(level) = pyramid.level(name) else {
                bail!("the network has no level {name}");
            };
            let maps = level.features.clone();
            (maps.dims().to_vec(), maps.into_data())
        }
    };
    Ok((shape.into_iter().skip(1).collect(), data.iter::<f32>().collect()))
}

fn choose_format(format: Option<RowsFormat>, path: Option<&Path>) -> RowsFormat {
    let ending = path.and_then(Path::extension).and_then(|ending| ending.to_str());
    match (format, path) {
        (Some(RowsFormat::Csv), _) | (None, None) => RowsFormat::Csv,
        (Some(format), Some(_)) => format,
        (Some(_), None) => args::wrong_usage("only csv goes to standard output: name a file with --output"),
        (None, Some(path)) => match ending {
            Some("npy") => RowsFormat::Npy,
            Some("safetensors") => RowsFormat::Safetensors,
            Some("csv") => RowsFormat::Csv,
            _ => args::wrong_usage(format_args!(
                "{} ends in none of .npy, .safetensors and .csv: say with --format which it is",
                path.display()
            )),
        },
    }
}
