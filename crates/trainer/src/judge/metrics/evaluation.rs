use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::mistakes::{self, Mistake};
use super::predictions::{MetricsError, Predictions};
use super::scores::{self, ClassScore, Score, Tally};

/// The most classes with a confusion matrix. The matrix then takes 128 MB.
const MAX_CONFUSION: usize = 4096;

/// All figures about a network's predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// The number of pictures.
    pub pictures: usize,
    /// The mean loss: cross-entropy in nats; with several labels per picture, the mean binary cross-entropy over the
    /// classes. The loss of one answer is at most 87.3, the loss of the smallest normal 32-bit number.
    pub loss: f64,
    /// The figures that depend on whether a picture may have several labels.
    pub task: Task,
    /// The scores of every class, in the order of the network's outputs.
    pub classes: Vec<ClassScore>,
    /// The mean score over the classes that occur or are predicted.
    pub macro_average: Score,
    /// The mean score over the classes, weighted by their pictures.
    pub weighted_average: Score,
    /// Whether confidence predicts accuracy.
    pub calibration: Calibration,
    /// The number of wrong pictures.
    pub mistake_count: usize,
    /// The mistakes with the highest confidence, at most a hundred.
    pub mistakes: Vec<Mistake>,
}

/// The figures that depend on whether a picture may have several labels.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "labels", rename_all = "kebab-case")]
pub enum Task {
    /// One class per picture.
    Single {
        /// The share of the pictures whose likeliest class is right.
        top_1: f64,
        /// The share of the pictures whose class is among the five likeliest; `None` with five classes or fewer.
        top_5: Option<f64>,
        /// The number of pictures of each class (row) by predicted class (column); `None` for more than 4,096 classes.
        confusion: Option<Vec<Vec<usize>>>,
    },
    /// Any number of classes per picture.
    Multi {
        /// The share of the pictures whose classes are all predicted correctly.
        subset_accuracy: f64,
        /// The score over the answers of all classes together.
        micro_average: Score,
        /// The mean of the average precisions of the classes.
        mean_average_precision: f64,
    },
}

/// A pair of classes, the first of which is predicted as the second.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ConfusedPair {
    /// The true class.
    pub truth: usize,
    /// The predicted class.
    pub predicted: usize,
    /// The number of pictures of the true class with this prediction.
    pub count: usize,
    /// Their share of the true class's pictures.
    pub share: f64,
}

impl Evaluation {
    /// Judges predictions.
    ///
    /// # Errors
    ///
    /// The errors of [`Predictions::check`]. A NaN is an error too.
    pub fn new(predictions: &Predictions) -> Result<Self, MetricsError> {
        predictions.check()?;
        let tallies = scores::tallies(predictions);
        let classes: Vec<ClassScore> = predictions
            .classes
            .iter()
            .zip(&tallies)
            .enumerate()
            .map(|(class, (name, tally))| ClassScore {
                class: name.clone(),
                score: tally.score(),
                support: tally.support,
                predicted: tally.predicted,
                average_precision: predictions
                    .multi_label
                    .then(|| scores::average_precision(predictions, class))
                    .flatten(),
            })
            .collect();
        let (macro_average, weighted_average) = scores::averages(&classes);
        let (mistakes, mistake_count) = mistakes::find(predictions);
        let task = if predictions.multi_label {
            multi(predictions, &tallies, &classes, mistake_count)
        } else {
            single(predictions)
        };
        Ok(Self {
            pictures: predictions.len(),
            loss: loss(predictions),
            task,
            classes,
            macro_average,
            weighted_average,
            calibration: Calibration::new(predictions),
            mistake_count,
            mistakes,
        })
    }

    /// The number of correctly predicted pictures. With several labels per picture, every class must be predicted
    /// correctly.
    pub fn right(&self) -> usize {
        self.pictures - self.mistake_count
    }

    /// The pairs of confused classes, the most frequent first.
    pub fn confused_pairs(&self) -> Vec<ConfusedPair> {
        let Task::Single {
            confusion: Some(confusion),
            ..
        } = &self.task
        else {
            return Vec::new();
        };
        let mut pairs: Vec<ConfusedPair> = Vec::new();
        for (truth, row) in confusion.iter().enumerate() {
            let total = row.iter().sum::<usize>();
            let wrong = row.iter().enumerate().filter(|(class, _)| *class != truth);
            pairs.extend(
                wrong
                    .filter(|(_, count)| **count > 0)
                    .map(|(predicted, &count)| ConfusedPair {
                        truth,
                        predicted,
                        count,
                        share: count as f64 / total as f64,
                    }),
            );
        }
        pairs.sort_by(|a, b| b.count.cmp(&a.count).then(b.share.total_cmp(&a.share)));
        pairs
    }

    /// The class whose pictures are found least often, if at least one of its pictures is not found. Of classes found
    /// equally often, the class with the most pictures.
    pub fn hardest_class(&self) -> Option<&ClassScore> {
        let with_pictures = self.classes.iter().filter(|class| class.support > 0);
        with_pictures
            .min_by(|a, b| {
                let recall = a.score.recall.total_cmp(&b.score.recall);
                recall.then(b.support.cmp(&a.support))
            })
            .filter(|class| class.score.recall < 1.0)
    }

    /// The class with the most pictures, and its share of the pictures: the accuracy of always answering this class.
    pub fn commonest_class(&self) -> Option<(&ClassScore, f64)> {
        let commonest = self.classes.iter().max_by_key(|class| class.support)?;
        Some((commonest, commonest.support as f64 / self.pictures as f64))
    }

    /// The share of correctly predicted pictures. With several labels per picture, every class must be predicted
    /// correctly.
    pub fn accuracy(&self) -> f64 {
        match &self.task {
            Task::Single { top_1, .. } => *top_1,
            Task::Multi { subset_accuracy, .. } => *subset_accuracy,
        }
    }
}

fn single(predictions: &Predictions) -> Task {
    let count = predictions.classes.len();
    let mut confusion = (count <= MAX_CONFUSION).then(|| vec![vec![0; count]; count]);
    let mut in_top = [0_usize; 2];
    for (truth, probabilities) in predictions.rows() {
        for (&is, said) in truth.iter().zip(predictions.decide(probabilities)) {
            if let Some(confusion) = &mut confusion {
                confusion[is][said] += 1;
            }
            let rank = rank(probabilities, is);
            in_top[0] += usize::from(rank < 1);
            in_top[1] += usize::from(rank < 5);
        }
    }
    let part = |count: usize| count as f64 / predictions.len() as f64;
    Task::Single {
        top_1: part(in_top[0]),
        top_5: (count > 5).then(|| part(in_top[1])),
        confusion,
    }
}

/// The number of classes that are likelier than the given one. Of equal probabilities, the earlier class counts as
/// likelier.
fn rank(probabilities: &[f32], class: usize) -> usize {
    let own = probabilities[class];
    let before = |(other, probability): (usize, &f32)| match probability.total_cmp(&own) {
        Ordering::Greater => true,
        Ordering::Equal => other < class,
        Ordering::Less => false,
    };
    probabilities
        .iter()
        .enumerate()
        .filter(|&answer| before(answer))
        .count()
}

fn multi(predictions: &Predictions, tallies: &[Tally], classes: &[ClassScore], mistakes: usize) -> Task {
    let all = tallies.iter().fold(Tally::default(), |all, class| Tally {
        right: all.right + class.right,
        support: all.support + class.support,
        predicted: all.predicted + class.predicted,
    });
    let areas: Vec<f64> = classes.iter().filter_map(|class| class.average_precision).collect();
    Task::Multi {
        subset_accuracy: (predictions.len() - mistakes) as f64 / predictions.len() as f64,
        micro_average: all.score(),
        mean_average_precision: areas.iter().sum::<f64>() / areas.len().max(1) as f64,
    }
}

/// The mean cross-entropy.
fn loss(predictions: &Predictions) -> f64 {
    let surprise = |probability: f64| -probability.max(f64::from(f32::MIN_POSITIVE)).ln();
    let of_picture = |(truth, probabilities): (&[usize], &[f32])| {
        let classes = probabilities
            .iter()
            .map(|probability| f64::from(*probability))
            .enumerate();
        if predictions.multi_label {
            let losses = classes.map(|(class, probability)| {
                surprise(if truth.contains(&class) {
                    probability
                } else {
                    1.0 - probability
                })
            });
            losses.sum::<f64>() / probabilities.len() as f64
        } else {
            let right = classes.filter(|(class, _)| truth.contains(class));
            right.map(|(_, probability)| surprise(probability)).sum()
        }
    };
    predictions.rows().map(of_picture).sum::<f64>() / predictions.len() as f64
}
