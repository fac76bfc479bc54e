use std::collections::HashSet;
use std::path::{Path, PathBuf};

use image::RgbImage;
use xception_model::picture::Pixels;
use xception_model::{Classifier, ClassifyError};

use super::error::ExplainError;
use super::explainer::Explainer;
use super::heatmap::Heatmap;
use super::method::Method;
use super::overlay::{overlay, view};
use crate::judge::metrics::{Evaluation, Predictions, Suspect};
use crate::pipeline::{PictureStream, Streamed};
use crate::random::{Purpose, Random};

/// Gradients take much memory, so four maps are computed at once. Meanwhile one thread decodes the next pictures.
const STREAM: PictureStream = PictureStream {
    batch_size: 4,
    threads: 1,
};

/// The pictures of a report.
#[derive(Clone, Debug, Default)]
pub struct Examples {
    /// Pictures whose labels may be wrong, without heat maps.
    pub suspects: Vec<Shown>,
    /// The mistakes with the highest confidence.
    pub mistakes: Vec<Shown>,
    /// Pictures chosen at random, without heat maps.
    pub ordinary: Vec<Shown>,
    /// The right answers with the highest confidence, taken from each class in turn.
    pub right: Vec<Shown>,
}

/// The numbers of pictures in a report.
#[derive(Clone, Copy, Debug)]
pub struct ExampleCounts {
    /// The mistakes with the highest confidence.
    pub mistakes: usize,
    /// Pictures chosen at random.
    pub ordinary: usize,
    /// The right answers with the highest confidence.
    pub right: usize,
}

/// A picture of a report.
#[derive(Clone, Debug)]
pub struct Shown {
    /// The file.
    pub path: PathBuf,
    /// The names of the picture's classes.
    pub truth: String,
    /// The names of the predicted classes.
    pub predicted: String,
    /// The probability of the prediction, 0 to 1.
    pub confidence: f32,
    /// Whether the prediction is right.
    pub right: bool,
    /// The second likeliest class and its probability; `None` with several labels per picture.
    pub second: Option<(String, f32)>,
    /// The picture; `None` if its file could not be read.
    pub picture: Option<RgbImage>,
    /// Where the network sees a class; `None` if no place of the picture speaks for a class.
    pub heat: Option<Heat>,
}

/// A picture under the heat map of a class.
#[derive(Clone, Debug)]
pub struct Heat {
    /// The name of the class.
    pub class: String,
    /// The picture under its heat map.
    pub picture: RgbImage,
}

/// Chooses pictures for a report, and explains the network's answers by Grad-CAM on the last feature map. `progress`
/// receives the number of completed pictures.
///
/// The classes of `predictions` are the network's outputs, in order. A file that can no longer be read is listed
/// without its picture.
///
/// # Errors
///
/// An [`ExplainError`] if the heat maps cannot be computed.
pub fn examples(
    classifier: &Classifier,
    predictions: &Predictions,
    evaluation: &Evaluation,
    counts: ExampleCounts,
    progress: &mut dyn FnMut(usize),
) -> Result<Examples, ExplainError> {
    let explainer = Explainer::new(classifier.network(), classifier.spec.outputs);
    let mistakes = evaluation.mistakes.iter().take(counts.mistakes);
    let mistakes: Vec<usize> = mistakes.map(|mistake| mistake.picture).collect();
    let right = surest(predictions, counts.right);
    let ordinary = ordinary(predictions, counts.ordinary);
    let mut gallery = Gallery {
        explainer: &explainer,
        classifier,
        predictions,
        done: 0,
        progress,
    };
    Ok(Examples {
        suspects: Vec::new(),
        mistakes: gallery.explained(&mistakes)?,
        right: gallery.explained(&right)?,
        ordinary: gallery.plain(&ordinary),
    })
}

/// The pictures of suspected labels for a report.
pub fn suspect_pictures(classifier: &Classifier, suspects: &[Suspect]) -> Vec<Shown> {
    suspects
        .iter()
        .map(|suspect| Shown {
            path: suspect.path.clone(),
            truth: suspect.label.clone(),
            predicted: suspect.suggestion.clone(),
            confidence: suspect.suggestion_probability,
            right: false,
            second: None,
            picture: open(classifier, &suspect.path).ok().map(|(picture, _)| picture),
            heat: None,
        })
        .collect()
}

/// Pictures chosen at random, the same each time.
fn ordinary(predictions: &Predictions, count: usize) -> Vec<usize> {
    let mut pictures: Vec<usize> = (0..predictions.len()).collect();
    Random::new(0, Purpose::Order, 0, 0).shuffle(&mut pictures);
    pictures.truncate(count);
    pictures
}

/// The right answers with the highest confidence, taken from each class in turn until there are `count`.
fn surest(predictions: &Predictions, count: usize) -> Vec<usize> {
    let mut by_class: Vec<Vec<(f32, usize)>> = vec![Vec::new(); predictions.classes.len()];
    for (picture, (truth, probabilities)) in predictions.rows().enumerate() {
        let said = predictions.decide(probabilities);
        if let (true, Some(&class)) = (same(truth, &said), truth.first()) {
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

fn same(truth: &[usize], said: &[usize]) -> bool {
    truth.iter().collect::<HashSet<_>>() == said.iter().collect::<HashSet<_>>()
}

/// Makes the pictures of a report.
struct Gallery<'a> {
    explainer: &'a Explainer,
    classifier: &'a Classifier,
    predictions: &'a Predictions,
    done: usize,
    progress: &'a mut dyn FnMut(usize),
}

impl Gallery<'_> {
    /// Pictures with the network's answers, in the order of `pictures`.
    fn described(&self, pictures: &[usize]) -> Vec<Shown> {
        let predictions = self.predictions;
        let rows: Vec<_> = predictions.rows().collect();
        pictures
            .iter()
            .map(|&picture| {
                let (truth, probabilities) = rows[picture];
                let said = predictions.decide(probabilities);
                Shown {
                    path: predictions.paths[picture].clone(),
                    truth: names(predictions, truth),
                    predicted: names(predictions, &said),
                    confidence: probabilities[shown_class(truth, &said)],
                    right: same(truth, &said),
                    second: second(predictions, probabilities, &said),
                    picture: None,
                    heat: None,
                }
            })
            .collect()
    }

    fn plain(&self, pictures: &[usize]) -> Vec<Shown> {
        let mut shown = self.described(pictures);
        for shown in &mut shown {
            shown.picture = open(self.classifier, &shown.path).ok().map(|(picture, _)| picture);
        }
        shown
    }

    /// Pictures with the network's answers and heat maps.
    fn explained(&mut self, pictures: &[usize]) -> Result<Vec<Shown>, ExplainError> {
        let mut shown = self.described(pictures);
        let rows: Vec<_> = self.predictions.rows().collect();
        let classifier = self.classifier;
        let entries: Vec<(usize, usize)> = pictures.iter().copied().enumerate().collect();
        let paths = &self.predictions.paths;
        let decode = |&(_, picture): &(usize, usize)| open(classifier, &paths[picture]);
        STREAM.run(&entries, decode, |steps| {
            for step in steps {
                let Streamed::Batch { pictures, decoded } = step else {
                    continue;
                };
                let (seen, pixels): (Vec<_>, Vec<_>) = decoded.into_iter().unzip();
                let of = |picture: usize| (rows[picture].0, self.predictions.decide(rows[picture].1));
                let classes = pictures.iter().map(|entry| {
                    let (truth, said) = of(entry.1);
                    shown_class(truth, &said)
                });
                let classes: Vec<usize> = classes.collect();
                let truths: Vec<Option<usize>> = pictures.iter().map(|entry| of(entry.1).0.first().copied()).collect();
                let maps = self.maps(&pixels, &classes, &truths)?;
                for ((entry, seen), map) in pictures.iter().zip(seen).zip(maps) {
                    let shown = &mut shown[entry.0];
                    shown.heat = map.map(|(class, map)| Heat {
                        class: names(self.predictions, &[class]),
                        picture: overlay(&seen, &map),
                    });
                    shown.picture = Some(seen);
                }
                self.done += pictures.len();
                (self.progress)(self.done);
            }
            Ok::<_, ExplainError>(())
        })?;
        Ok(shown)
    }

    /// A heat map per picture, with its class: the answer, or the true class if nothing speaks for the answer.
    fn maps(
        &self,
        pixels: &[Pixels],
        classes: &[usize],
        truths: &[Option<usize>],
    ) -> Result<Vec<Option<(usize, Heatmap)>>, ExplainError> {
        let maps = |pixels: &[Pixels], classes: &[usize]| {
            let images = self.classifier.batch(pixels)?;
            self.explainer
                .heatmaps(images, classes, self.explainer.last_layer(), Method::GradCam)
        };
        let mut found = Vec::new();
        for (index, map) in maps(pixels, classes)?.into_iter().enumerate() {
            found.push(match truths[index] {
                _ if map.max() > 0.0 => Some((classes[index], map)),
                Some(truth) if truth != classes[index] => maps(&pixels[index..=index], &[truth])?
                    .pop()
                    .filter(|map| map.max() > 0.0)
                    .map(|map| (truth, map)),
                _ => None,
            });
        }
        Ok(found)
    }
}

/// The class whose probability and heat are shown: the answer, or the true class if there is no answer.
fn shown_class(truth: &[usize], said: &[usize]) -> usize {
    said.iter().chain(truth).copied().next().unwrap_or(0)
}

/// The likeliest class other than the answer.
fn second(predictions: &Predictions, probabilities: &[f32], said: &[usize]) -> Option<(String, f32)> {
    let others = probabilities
        .iter()
        .enumerate()
        .filter(|(class, _)| !said.contains(class));
    let (class, probability) = others.reduce(|best, class| if class.1 > best.1 { class } else { best })?;
    (!predictions.multi_label).then(|| (predictions.classes[class].clone(), *probability))
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

/// A picture for people, and the same picture in the form that the network takes.
fn open(classifier: &Classifier, path: &Path) -> Result<(RgbImage, Pixels), ClassifyError> {
    let input = classifier.spec.input;
    let preset = input.preset.ok_or(ClassifyError::NoPreset)?;
    let picture = preset.open(path, classifier.decode_options())?;
    let pixels = preset.apply(&picture, input.height, input.width)?;
    Ok((view(&picture, &pixels, preset), pixels))
}
