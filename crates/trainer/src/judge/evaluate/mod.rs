//! Evaluates a trained network on pictures whose classes are known.

mod classes;
mod error;

use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use xception_model::picture::Preset;
use xception_model::{Classifier, ClassifyError};

pub use classes::{MatchedClasses, match_classes};
pub use error::EvaluateError;

use super::metrics::{Evaluation, Predictions};
use crate::pipeline::{PictureStream, Streamed};

/// A picture and its classes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The file.
    pub path: PathBuf,
    /// The classes' numbers among the network's outputs.
    pub classes: Vec<usize>,
}

/// How pictures are passed to the network.
#[derive(Clone, Copy, Debug)]
pub struct EvaluateOptions {
    /// Pictures per batch.
    pub batch_size: usize,
    /// Threads that decode.
    pub threads: usize,
}

/// The result of an evaluation.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The predictions for every picture that could be read.
    pub predictions: Predictions,
    /// The figures about the predictions.
    pub evaluation: Evaluation,
    /// Unreadable pictures, each with the reason as a sentence. They are left out of the figures.
    pub unreadable: Vec<(PathBuf, String)>,
    /// How pictures were resized to the network's input.
    pub preset: Preset,
    /// The speed of the evaluation.
    pub speed: Speed,
}

/// The speed of an evaluation.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// Seconds from the first file to the last probability.
    pub seconds: f64,
    /// Evaluated pictures per second, including reading and decoding.
    pub pictures_per_second: f64,
    /// The share of the time in which the network waited for pictures, 0 to 1.
    pub wait_share: f64,
}

/// Evaluates a network on pictures, which are decoded while the network computes. `progress` receives the number of
/// pictures of every batch.
///
/// An unreadable picture is listed and left out.
///
/// # Errors
///
/// An [`EvaluateError`]: there is no preset, no class or no readable picture, or an output is not a number.
pub fn evaluate(
    classifier: &Classifier,
    pictures: &[Labelled],
    options: EvaluateOptions,
    mut progress: impl FnMut(usize),
) -> Result<Evaluated, EvaluateError> {
    let preset = classifier.spec.input.preset.ok_or(ClassifyError::NoPreset)?;
    let count = classifier.spec.classes().ok_or(EvaluateError::NoClasses)?;
    let mut predictions = Predictions {
        classes: (0..count).map(|class| classifier.spec.label(class).name).collect(),
        multi_label: classifier.spec.is_multi_label(),
        paths: Vec::with_capacity(pictures.len()),
        truths: Vec::with_capacity(pictures.len()),
        probabilities: Vec::with_capacity(pictures.len().saturating_mul(count).min(1 << 28)),
    };
    let mut unreadable = Vec::new();
    let stream = PictureStream {
        batch_size: options.batch_size,
        threads: options.threads,
    };
    let start = Instant::now();
    let decode = |picture: &Labelled| classifier.prepare_file(&picture.path);
    let waited = stream.run(pictures, decode, |steps| {
        for step in steps.by_ref() {
            match step {
                Streamed::Batch { pictures, decoded } => {
                    predictions
                        .probabilities
                        .extend(classifier.predict(&decoded)?.into_iter().flatten());
                    predictions
                        .paths
                        .extend(pictures.iter().map(|picture| picture.path.clone()));
                    predictions
                        .truths
                        .extend(pictures.iter().map(|picture| picture.classes.clone()));
                    progress(pictures.len());
                }
                Streamed::Unreadable { picture, problem } => {
                    let sentence = problem.map_or_else(
                        || format!("{}: the decoder failed on this picture", picture.path.display()),
                        |problem| problem.to_string(),
                    );
                    unreadable.push((picture.path.clone(), sentence));
                    progress(1);
                }
            }
        }
        Ok::<_, ClassifyError>(steps.waited())
    })?;
    let seconds = start.elapsed().as_secs_f64();
    if let (true, Some((_, first))) = (predictions.is_empty(), unreadable.first()) {
        return Err(EvaluateError::Unreadable(unreadable.len(), first.clone()));
    }
    Ok(Evaluated {
        evaluation: Evaluation::new(&predictions)?,
        speed: Speed {
            seconds,
            pictures_per_second: predictions.len() as f64 / seconds.max(f64::MIN_POSITIVE),
            wait_share: waited.as_secs_f64() / seconds.max(f64::MIN_POSITIVE),
        },
        predictions,
        unreadable,
        preset,
    })
}
