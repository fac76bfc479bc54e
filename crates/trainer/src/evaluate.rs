//! A trained network on pictures whose classes are known.

use std::path::PathBuf;
use std::time::Instant;

use serde::{Deserialize, Serialize};
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{Classifier, ClassifyError};

use crate::metrics::{Evaluation, MetricsError, Predictions};
use crate::pipeline::{PictureStream, Streamed};

/// A picture and what it shows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Labelled {
    /// The file.
    pub path: PathBuf,
    /// Its classes, as the network's outputs count them.
    pub classes: Vec<usize>,
}

/// How pictures go through the network.
#[derive(Clone, Copy, Debug)]
pub struct EvaluateOptions {
    /// Pictures that go through at once.
    pub batch_size: usize,
    /// Threads that decode meanwhile.
    pub threads: usize,
}

/// What an evaluation found.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// What the network said about each picture that could be read.
    pub predictions: Predictions,
    /// How good that is.
    pub evaluation: Evaluation,
    /// Pictures that could not be read and are not judged, each with a sentence.
    pub unreadable: Vec<(PathBuf, String)>,
    /// How pictures were brought to the network's size.
    pub preset: Preset,
    /// How fast it was.
    pub speed: Speed,
}

/// How fast pictures went through.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
pub struct Speed {
    /// From the first file to the last probability.
    pub seconds: f64,
    /// Pictures judged in a second, reading and decoding included.
    pub pictures_per_second: f64,
    /// The part of the time that the network waited for pictures, 0 to 1.
    pub wait_share: f64,
}

/// Pictures that cannot be judged.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum EvaluateError {
    /// The network.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// What it said.
    #[error(transparent)]
    Metrics(#[from] MetricsError),
    /// No picture could be read.
    #[error("none of the {0} pictures can be read; the first: {1}")]
    Unreadable(usize, String),
    /// The network has no classes.
    #[error(
        "the network tells no classes apart, and cannot be judged by them: it has no classifier, or its output is a number"
    )]
    NoClasses,
    /// The network's outputs have no names.
    #[error(
        "the weights don't name their {0} classes, so those of the data cannot be found among them: give the names in a file, \
         one a line in the order of the outputs"
    )]
    NoLabels(usize),
    /// A class of the data is none of the network's.
    #[error(
        "the data has classes that the network does not know: {}; the network knows {}",
        listed(unknown),
        listed(known)
    )]
    Classes {
        /// Those of the data that the network lacks.
        unknown: Vec<String>,
        /// The network's.
        known: Vec<String>,
    },
}

/// Classes that are listed in an error.
const LISTED: usize = 12;

fn listed(names: &[String]) -> String {
    let shown: Vec<String> = names.iter().take(LISTED).map(|name| format!("`{name}`")).collect();
    let more = names.len().saturating_sub(LISTED);
    match more {
        0 => shown.join(", "),
        _ => format!("{} and {more} more", shown.join(", ")),
    }
}

/// The network's number of each of the data's classes, found by its label's name or, as for ImageNet's folders, its id.
///
/// # Errors
///
/// [`EvaluateError::NoLabels`], or [`EvaluateError::Classes`] with both sides.
pub fn match_classes(data: &[String], labels: &[Label], outputs: usize) -> Result<Vec<usize>, EvaluateError> {
    if labels.is_empty() {
        return Err(EvaluateError::NoLabels(outputs));
    }
    let find = |class: &String| {
        let is = |label: &Label| label.name == *class || label.id.as_ref() == Some(class);
        labels.iter().position(is).ok_or_else(|| class.clone())
    };
    let (found, unknown): (Vec<_>, Vec<_>) = data.iter().map(find).partition(Result::is_ok);
    if unknown.is_empty() {
        return Ok(found.into_iter().flatten().collect());
    }
    Err(EvaluateError::Classes {
        unknown: unknown.into_iter().filter_map(Result::err).collect(),
        known: labels.iter().map(|label| label.name.clone()).collect(),
    })
}

/// Judges a network by pictures. Decoding goes on beside it; `progress` hears of every batch how many pictures it was.
///
/// A picture that cannot be read is listed and left out.
///
/// # Errors
///
/// An [`EvaluateError`]: no preset, no classes, no readable picture, outputs that are no numbers.
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

#[cfg(test)]
mod tests {
    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn classes_are_found_by_name_or_id() {
        let labels = [
            Label {
                id: Some("n01440764".to_owned()),
                name: "tench".to_owned(),
            },
            Label::new("cup"),
        ];
        let found = match_classes(&names(&["cup", "n01440764", "tench"]), &labels, 2).unwrap();
        assert_eq!(found, [1, 0, 0]);
        let error = match_classes(&names(&["cup", "mug", "jar"]), &labels, 2).unwrap_err();
        assert_eq!(
            error.to_string(),
            "the data has classes that the network does not know: `mug`, `jar`; the network knows `tench`, `cup`"
        );
        let error = match_classes(&names(&["cup"]), &[], 7).unwrap_err().to_string();
        assert!(error.starts_with("the weights don't name their 7 classes"), "{error}");
    }

    #[test]
    fn long_lists_are_cut() {
        let many: Vec<String> = (0..15).map(|class| class.to_string()).collect();
        assert!(listed(&many).ends_with("`11` and 3 more"));
    }
}
