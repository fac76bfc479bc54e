use serde::{Deserialize, Serialize};

use super::calibration::Calibration;
use super::predictions::Predictions;

/// The range of the search.
const RANGE: [f64; 2] = [0.05, 20.0];

/// Temperature scaling (Guo et al. 2017, section 4.2): one number divides all logits, so that confidences match the
/// accuracy. The predicted classes stay the same.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Temperature {
    /// The number that divides the logits.
    pub value: f64,
    /// The expected calibration error without the temperature, on pictures that did not choose the temperature.
    pub error_without: f64,
    /// The same error with the temperature.
    pub error_with: f64,
}

impl Temperature {
    /// The temperature with the lowest loss on `validation`, and its effect on `test`.
    ///
    /// `None` with several labels per picture, without pictures, or if no temperature has the lowest loss: if all
    /// predictions are right, a lower temperature always has a lower loss.
    pub fn measure(validation: &Predictions, test: &Predictions) -> Option<Self> {
        if validation.multi_label || validation.is_empty() || test.is_empty() {
            return None;
        }
        let value = best(validation)?;
        Some(Self {
            value,
            error_without: Calibration::new(test).ece,
            error_with: Calibration::new(&scaled(test, value)).ece,
        })
    }

    /// Whether the temperature lowers the measured error.
    pub fn helps(&self) -> bool {
        self.error_with < self.error_without
    }
}

/// The temperature with the lowest mean cross-entropy, by golden-section search on the temperature's logarithm. The
/// loss has a single minimum. `None` if it lies at an end of the range.
fn best(predictions: &Predictions) -> Option<f64> {
    let ratio = (5.0_f64.sqrt() - 1.0) / 2.0;
    let loss = |log: f64| loss(predictions, log.exp());
    let [mut low, mut high] = RANGE.map(f64::ln);
    let mut inner = [high - ratio * (high - low), low + ratio * (high - low)];
    let mut losses = inner.map(loss);
    // The range shrinks to a hundred-thousandth.
    for _ in 0..28 {
        if losses[0] <= losses[1] {
            high = inner[1];
            inner = [high - ratio * (high - low), inner[0]];
            losses = [loss(inner[0]), losses[0]];
        } else {
            low = inner[0];
            inner = [inner[1], low + ratio * (high - low)];
            losses = [losses[1], loss(inner[1])];
        }
    }
    let [least, most] = RANGE;
    let found = f64::midpoint(low, high).exp();
    (least * 1.01..most / 1.01).contains(&found).then_some(found)
}

fn loss(predictions: &Predictions, temperature: f64) -> f64 {
    predictions
        .rows()
        .map(|(truth, probabilities)| {
            let logits = logits(probabilities, temperature);
            let total = logits.iter().map(|logit| logit.exp()).sum::<f64>().ln();
            truth.first().map_or(0.0, |&class| total - logits[class])
        })
        .sum()
}

/// Logits that give the probabilities, shifted so that the largest is 0, and divided by the temperature.
fn logits(probabilities: &[f32], temperature: f64) -> Vec<f64> {
    let logs: Vec<f64> = probabilities
        .iter()
        .map(|probability| f64::from(probability.max(f32::MIN_POSITIVE)).ln())
        .collect();
    let largest = logs.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    logs.into_iter().map(|log| (log - largest) / temperature).collect()
}

fn scaled(predictions: &Predictions, temperature: f64) -> Predictions {
    let probabilities = predictions.rows().flat_map(|(_, probabilities)| {
        let powers: Vec<f64> = logits(probabilities, temperature).into_iter().map(f64::exp).collect();
        let total: f64 = powers.iter().sum();
        powers
            .into_iter()
            .map(move |power| (power / total) as f32)
            .collect::<Vec<_>>()
    });
    Predictions {
        probabilities: probabilities.collect(),
        ..predictions.clone()
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    /// Pictures of two classes. All answers have the same logit difference, and three quarters are right.
    fn answers(difference: f64) -> Predictions {
        let sure = 1.0 / (1.0 + (-difference).exp());
        Predictions {
            classes: ["a", "b"].map(str::to_owned).to_vec(),
            multi_label: false,
            paths: vec![PathBuf::new(); 400],
            truths: (0..400).map(|picture| vec![usize::from(picture % 4 == 0)]).collect(),
            probabilities: [sure as f32, 1.0 - sure as f32].repeat(400),
        }
    }

    /// For three quarters right, the logit is ln 3.
    #[test]
    fn the_temperature_makes_confidence_the_accuracy() {
        for factor in [0.5, 1.0, 3.0] {
            let predictions = answers(3_f64.ln() * factor);
            let found = Temperature::measure(&predictions, &predictions).unwrap();
            assert!((found.value - factor).abs() < 1e-3, "{found:?}");
            assert!(found.error_with < 1e-3, "{found:?}");
            assert_eq!(found.helps(), found.error_with < found.error_without);
            // Confidences that match already have no error to lower.
            assert!((factor - 1.0_f64).abs() < 0.1 || found.helps(), "{found:?}");
        }
        let several_labels = Predictions {
            multi_label: true,
            ..answers(1.0)
        };
        assert_eq!(Temperature::measure(&several_labels, &several_labels), None);
    }

    #[test]
    fn predictions_that_are_all_right_or_all_wrong_choose_no_temperature() {
        for truth in [0, 1] {
            let alike = Predictions {
                truths: vec![vec![truth]; 400],
                ..answers(1.0)
            };
            assert_eq!(Temperature::measure(&alike, &answers(1.0)), None);
        }
    }
}
