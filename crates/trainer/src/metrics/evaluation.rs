use std::cmp::Ordering;

use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::mistakes::{self, Mistake};
use super::predictions::{MetricsError, Predictions};
use super::scores::{self, ClassScore, Score, Tally};

/// A matrix of so many classes takes 128 MB.
const MAX_CONFUSION: usize = 4096;

/// Every figure about a network's predictions.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Evaluation {
    /// How many pictures were judged.
    pub pictures: usize,
    /// The mean loss: cross-entropy in nats, with several labels a picture the mean binary one over the classes. The loss
    /// of one answer is at most 87.3, that of the smallest normal 32-bit number.
    pub loss: f64,
    /// What only one or only several labels a picture have.
    pub task: Task,
    /// Every class, in the order of the network's outputs.
    pub classes: Vec<ClassScore>,
    /// The mean over the classes that occur or are predicted.
    pub macro_average: Score,
    /// The mean over the classes weighted by their pictures.
    pub weighted_average: Score,
    /// Whether confidence tells accuracy.
    pub calibration: Calibration,
    /// How many pictures are wrong.
    pub mistake_count: usize,
    /// The mistakes that the network is surest of, at most a hundred.
    pub mistakes: Vec<Mistake>,
}

/// What is judged by the number of labels a picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "labels", rename_all = "kebab-case")]
pub enum Task {
    /// One class a picture.
    Single {
        /// The part of the pictures whose likeliest class is right.
        top_1: f64,
        /// The part of the pictures whose class is among the five likeliest; `None` where five are all.
        top_5: Option<f64>,
        /// How many pictures of a class (row) are called what (column); `None` for more than 4,096 classes.
        confusion: Option<Vec<Vec<usize>>>,
    },
    /// Any number of classes a picture.
    Multi {
        /// The part of the pictures with exactly the right classes.
        subset_accuracy: f64,
        /// Over all answers together.
        micro_average: Score,
        /// The mean of the classes' average precision.
        mean_average_precision: f64,
    },
}

impl Evaluation {
    /// Judges predictions.
    ///
    /// # Errors
    ///
    /// As [`Predictions::check`]: also a NaN is an error, not a bad figure.
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

    /// The one figure to compare networks by: the part of the pictures that is right, with several labels those that are
    /// right in every class.
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

/// How many classes are likelier than this one; equals stand in the order of the classes.
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
