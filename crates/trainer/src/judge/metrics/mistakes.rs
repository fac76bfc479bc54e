use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::predictions::Predictions;

/// The number of mistakes that are kept.
const KEPT: usize = 100;

/// A wrongly predicted picture.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Mistake {
    /// The picture's index among the predictions.
    pub picture: usize,
    /// The file.
    pub path: PathBuf,
    /// The picture's true classes.
    pub truth: Vec<usize>,
    /// The picture's predicted classes.
    pub predicted: Vec<usize>,
    /// The confidence of the wrong answer, 0 to 1. With several labels per picture: the highest confidence of a wrong
    /// answer.
    pub confidence: f32,
}

/// The mistakes with the highest confidence, at most a hundred, and the number of all mistakes.
pub(super) fn find(predictions: &Predictions) -> (Vec<Mistake>, usize) {
    let mut mistakes: Vec<Mistake> = predictions
        .rows()
        .zip(&predictions.paths)
        .enumerate()
        .filter_map(|(picture, ((truth, probabilities), path))| {
            let predicted = predictions.decide(probabilities);
            let wrong = probabilities.iter().enumerate().filter_map(|(class, &probability)| {
                match (predicted.contains(&class), truth.contains(&class)) {
                    (true, false) => Some(probability),
                    (false, true) if predictions.multi_label => Some(1.0 - probability),
                    _ => None,
                }
            });
            Some(Mistake {
                picture,
                path: path.clone(),
                truth: truth.to_vec(),
                confidence: wrong.reduce(f32::max)?,
                predicted,
            })
        })
        .collect();
    let count = mistakes.len();
    // Mistakes of equal confidence keep the order of the pictures.
    mistakes.sort_by(|a, b| b.confidence.total_cmp(&a.confidence));
    mistakes.truncate(KEPT);
    (mistakes, count)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_surest_wrong_answer_counts_also_a_label_that_was_missed() {
        let predictions = Predictions {
            classes: ["a", "b"].map(str::to_owned).to_vec(),
            multi_label: true,
            paths: ["right", "missed", "claimed"].map(PathBuf::from).to_vec(),
            truths: vec![vec![0], vec![1], Vec::new()],
            probabilities: vec![0.75, 0.25, 0.25, 0.125, 0.75, 0.25],
        };
        let (mistakes, count) = find(&predictions);
        assert_eq!(count, 2);
        let listed: Vec<_> = mistakes
            .iter()
            .map(|mistake| {
                (
                    mistake.path.to_str().unwrap(),
                    mistake.predicted.as_slice(),
                    mistake.confidence,
                )
            })
            .collect();
        assert_eq!(listed, [("missed", [].as_slice(), 0.875), ("claimed", &[0], 0.75)]);
    }
}
