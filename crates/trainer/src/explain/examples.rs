use std::collections::HashSet;
use std::path::{Path, PathBuf};

use image::RgbImage;
use xception_model::{Classifier, ClassifyError};

use super::error::ExplainError;
use super::explainer::Explainer;
use super::method::Method;
use super::overlay::{overlay, view};
use crate::judge::metrics::{Evaluation, Predictions};
use crate::pipeline::{PictureStream, Streamed};

/// Gradients take much memory: four maps are computed at once, while one thread decodes the next pictures.
const STREAM: PictureStream = PictureStream {
    batch_size: 4,
    threads: 1,
};

/// The pictures of a report.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// The mistakes of the highest confidence.
    pub mistakes: Vec<Shown>,
    /// The right answers of the highest confidence, one class after the other.
    pub right: Vec<Shown>,
}

/// A picture of a report.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The file.
    pub path: PathBuf,
    /// The names of its classes.
    pub truth: String,
    /// The names of the predicted classes.
    pub predicted: String,
    /// The probability of the prediction, 0 to 1.
    pub confidence: f32,
    /// The picture; `None` where it could not be read.
    pub picture: Option<RgbImage>,
    /// The same picture under its heat map.
    pub heat: Option<RgbImage>,
}

/// Chooses pictures for a report, and explains the network's answers by Grad-CAM on the last feature map.
///
/// The classes of `predictions` are the network's outputs, in order. A file that cannot be read any more is listed
/// without its picture.
///
/// # Errors
///
/// An [`ExplainError`] if the heat maps cannot be computed.
pub fn examples(
    classifier: &Classifier,
    predictions: &Predictions,
    evaluation: &Evaluation,
    [mistakes, right]: [usize; 2],
) -> Result<Examples, ExplainError> {
    let explainer = Explainer::new(classifier.network(), classifier.spec.outputs);
    let mistakes: Vec<usize> = evaluation
        .mistakes
        .iter()
        .take(mistakes)
        .map(|mistake| mistake.picture)
        .collect();
    Ok(Examples {
        mistakes: show(&explainer, classifier, predictions, &mistakes)?,
        right: show(&explainer, classifier, predictions, &surest(predictions, right))?,
    })
}

/// The right answers of the highest confidence, one class after the other until there are `count`.
fn surest(predictions: &Predictions, count: usize) -> Vec<usize> {
    let mut by_class: Vec<Vec<(f32, usize)>> = vec![Vec::new(); predictions.classes.len()];
    for (picture, (truth, probabilities)) in predictions.rows().enumerate() {
        let said = predictions.decide(probabilities);
        let (is, said) = (
            truth.iter().copied().collect::<HashSet<_>>(),
            said.into_iter().collect(),
        );
        if let (true, Some(&class)) = (is == said, truth.first()) {
            by_class[class].push((probabilities[class], picture));
        }
    }
    for answers in &mut by_class {
        answers.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    }
    let most = by_class.iter().map(Vec::len).max().unwrap_or(0);
    let in_turn = (0..most).flat_map(|rank| by_class.iter().filter_map(move |answers| answers.get(rank)));
    in_turn.take(count).map(|(_, picture)| *picture).collect()
}

/// The pictures of a report with their heat maps, in the order of `pictures`.
fn show(
    explainer: &Explainer,
    classifier: &Classifier,
    predictions: &Predictions,
    pictures: &[usize],
) -> Result<Vec<Shown>, ExplainError> {
    let rows: Vec<_> = predictions.rows().collect();
    let decided = |picture: usize| predictions.decide(rows[picture].1);
    // The map shows what speaks for the answer; without an answer, what speaks for the truth.
    let class = |picture: usize| {
        let (said, truth) = (decided(picture), rows[picture].0);
        said.iter().chain(truth).copied().next().unwrap_or(0)
    };
    let mut shown: Vec<Shown> = pictures
        .iter()
        .map(|&picture| Shown {
            path: predictions.paths[picture].clone(),
            truth: names(predictions, rows[picture].0),
            predicted: names(predictions, &decided(picture)),
            confidence: rows[picture].1[class(picture)],
            picture: None,
            heat: None,
        })
        .collect();
    let entries: Vec<(usize, usize)> = pictures.iter().copied().enumerate().collect();
    let decode = |&(_, picture): &(usize, usize)| open(classifier, &predictions.paths[picture]);
    STREAM.run(&entries, decode, |steps| {
        for step in steps {
            let Streamed::Batch { pictures, decoded } = step else {
                continue;
            };
            let (seen, pixels): (Vec<_>, Vec<_>) = decoded.into_iter().unzip();
            let classes: Vec<usize> = pictures.iter().map(|entry| class(entry.1)).collect();
            let images = classifier.batch(&pixels)?;
            let maps = explainer.heatmaps(images, &classes, explainer.last_layer(), Method::GradCam)?;
            for ((entry, seen), map) in pictures.iter().zip(seen).zip(maps) {
                let shown = &mut shown[entry.0];
                shown.heat = Some(overlay(&seen, &map));
                shown.picture = Some(seen);
            }
        }
        Ok::<_, ExplainError>(())
    })?;
    Ok(shown)
}

fn names(predictions: &Predictions, classes: &[usize]) -> String {
    let names: Vec<&str> = classes
        .iter()
        .map(|class| predictions.classes[*class].as_str())
        .collect();
    if names.is_empty() {
        "nothing".to_owned()
    } else {
        names.join(", ")
    }
}

/// A picture for people, and the same as the network takes it.
fn open(classifier: &Classifier, path: &Path) -> Result<(RgbImage, xception_model::picture::Pixels), ClassifyError> {
    let input = classifier.spec.input;
    let preset = input.preset.ok_or(ClassifyError::NoPreset)?;
    let picture = preset.open(path, &classifier.limits)?;
    let pixels = preset.apply(&picture, input.height, input.width)?;
    Ok((view(&picture, &pixels, preset), pixels))
}
