use serde::{Deserialize, Serialize};

use super::predictions::Predictions;

/// Precision, recall and F1, 0 to 1. A quotient with the denominator 0 is 0, as with scikit-learn's `zero_division=0`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Score {
    /// The share of a class's predictions that are right.
    pub precision: f64,
    /// The share of a class's pictures that are found.
    pub recall: f64,
    /// The harmonic mean of precision and recall.
    pub f1: f64,
}

/// How well one class is recognized.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ClassScore {
    /// The class's name.
    pub class: String,
    /// Its score.
    #[serde(flatten)]
    pub score: Score,
    /// The number of pictures of the class.
    pub support: usize,
    /// The number of pictures predicted as the class.
    pub predicted: usize,
    /// The area under the class's precision-recall curve, as in scikit-learn's `average_precision_score`. Only with
    /// several labels per picture, and for classes with pictures.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub average_precision: Option<f64>,
}

/// The number of right answers, true pictures and predictions of one class, or of several classes together.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Tally {
    pub right: usize,
    pub support: usize,
    pub predicted: usize,
}

impl Tally {
    pub(super) fn score(self) -> Score {
        let part = |part: usize, of: usize| if of == 0 { 0.0 } else { part as f64 / of as f64 };
        Score {
            precision: part(self.right, self.predicted),
            recall: part(self.right, self.support),
            f1: part(2 * self.right, self.predicted + self.support),
        }
    }
}

/// One tally per class.
pub(super) fn tallies(predictions: &Predictions) -> Vec<Tally> {
    let mut tallies = vec![Tally::default(); predictions.classes.len()];
    for (truth, probabilities) in predictions.rows() {
        let predicted = predictions.decide(probabilities);
        for (class, tally) in tallies.iter_mut().enumerate() {
            let (is, said) = (truth.contains(&class), predicted.contains(&class));
            tally.right += usize::from(is && said);
            tally.support += usize::from(is);
            tally.predicted += usize::from(said);
        }
    }
    tallies
}

/// The mean over the classes that occur or are predicted, and the mean over all classes weighted by their pictures.
pub(super) fn averages(classes: &[ClassScore]) -> (Score, Score) {
    let mean = |weight: fn(&ClassScore) -> f64| {
        let total: f64 = classes.iter().map(weight).sum();
        let sum = |part: fn(Score) -> f64| {
            let sum: f64 = classes.iter().map(|class| weight(class) * part(class.score)).sum();
            if total > 0.0 { sum / total } else { 0.0 }
        };
        Score {
            precision: sum(|score| score.precision),
            recall: sum(|score| score.recall),
            f1: sum(|score| score.f1),
        }
    };
    (
        mean(|class| f64::from(u8::from(class.support + class.predicted > 0))),
        mean(|class| class.support as f64),
    )
}

/// `sum((recall_n - recall_(n-1)) * precision_n)` over the thresholds, from the largest to the smallest; `None` if no
/// picture shows the class.
pub(super) fn average_precision(predictions: &Predictions, class: usize) -> Option<f64> {
    let mut answers: Vec<(f32, bool)> = predictions
        .rows()
        .filter_map(|(truth, probabilities)| Some((*probabilities.get(class)?, truth.contains(&class))))
        .collect();
    answers.sort_by(|(a, _), (b, _)| b.total_cmp(a));
    let support = answers.iter().filter(|(_, is)| *is).count();
    if support == 0 {
        return None;
    }
    let (mut area, mut seen, mut right) = (0.0, 0, 0);
    for equals in answers.chunk_by(|(a, _), (b, _)| a.total_cmp(b).is_eq()) {
        let found = equals.iter().filter(|(_, is)| *is).count();
        seen += equals.len();
        right += found;
        area += found as f64 / support as f64 * (right as f64 / seen as f64);
    }
    Some(area)
}
