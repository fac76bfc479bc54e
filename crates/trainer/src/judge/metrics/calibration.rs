use serde::{Deserialize, Serialize};

use super::predictions::{Predictions, likeliest};

/// Guo et al. 2017, section 5: "we use 15 bins".
const BINS: usize = 15;

/// How well confidence predicts accuracy: of the answers with a confidence of 80 %, 80 % should be right.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Calibration {
    /// Bins of equal width from 0 to 1.
    pub bins: Vec<Bin>,
    /// The expected calibration error, 0 to 1: the mean distance between confidence and accuracy over the bins. Each
    /// bin is weighted by its number of answers (Guo et al. 2017, equation 3).
    pub ece: f64,
}

/// The answers whose confidence lies in `(from, to]`. The first bin includes 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Bin {
    /// Lower end.
    pub from: f64,
    /// Upper end.
    pub to: f64,
    /// The number of answers.
    pub count: usize,
    /// The mean confidence of the bin's answers; `None` without answers.
    pub confidence: Option<f64>,
    /// The share of the bin's answers that are right; `None` without answers.
    pub accuracy: Option<f64>,
}

impl Calibration {
    /// The calibration of each picture's likeliest class. With several labels per picture: the calibration of every
    /// class's probability, which should be the share of the pictures with the class.
    pub(super) fn new(predictions: &Predictions) -> Self {
        let mut sums = [(0_usize, 0.0, 0_usize); BINS];
        let mut add = |probability: f32, right: bool| {
            let probability = f64::from(probability);
            let bin = ((probability * BINS as f64).ceil() as usize).clamp(1, BINS) - 1;
            if let Some((count, confidence, correct)) = sums.get_mut(bin) {
                *count += 1;
                *confidence += probability;
                *correct += usize::from(right);
            }
        };
        for (truth, probabilities) in predictions.rows() {
            if predictions.multi_label {
                for (class, probability) in probabilities.iter().enumerate() {
                    add(*probability, truth.contains(&class));
                }
            } else if let Some(class) = likeliest(probabilities) {
                add(probabilities[class], truth.contains(&class));
            }
        }

        let total: usize = sums.iter().map(|(count, ..)| count).sum();
        let distances = sums
            .iter()
            .map(|(_, confidence, correct)| (confidence - *correct as f64).abs());
        let ece = distances.sum::<f64>() / total.max(1) as f64;
        let bins = sums
            .into_iter()
            .enumerate()
            .map(|(index, (count, confidence, correct))| Bin {
                from: index as f64 / BINS as f64,
                to: (index + 1) as f64 / BINS as f64,
                count,
                confidence: (count > 0).then(|| confidence / count as f64),
                accuracy: (count > 0).then(|| correct as f64 / count as f64),
            })
            .collect();
        Self { bins, ece }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    #[test]
    fn a_bin_holds_its_upper_end_and_the_first_holds_zero() {
        let predictions = Predictions {
            classes: ["a", "b", "c"].map(str::to_owned).to_vec(),
            multi_label: true,
            paths: vec![PathBuf::from("1")],
            truths: vec![vec![0]],
            probabilities: vec![1.0, 0.0, 0.2],
        };
        let calibration = Calibration::new(&predictions);
        let filled: Vec<_> = calibration.bins.iter().filter(|bin| bin.count > 0).collect();
        assert_eq!(filled.len(), 3);
        // 0.2 as a 32-bit number lies above 3 / 15.
        let counts: Vec<_> = calibration.bins.iter().map(|bin| bin.count).collect();
        assert_eq!((counts[0], counts[3], counts[14]), (1, 1, 1));
        assert!((calibration.ece - 0.2 / 3.0).abs() < 1e-8);
        assert_eq!(calibration.bins[1].accuracy, None);
    }
}
