use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How far the sum of a picture's probabilities may be from 1. The 32-bit rounding of a softmax gives far less than
/// this (1e-6 over ImageNet's classes), and logits give far more.
const SUM_TOLERANCE: f64 = 1e-3;

/// The predictions of a network for pictures whose classes are known.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Predictions {
    /// The names of the classes, in the order of the network's outputs.
    pub classes: Vec<String>,
    /// Whether a picture may have several classes or none. Each probability is then the output of a sigmoid. Otherwise
    /// the probabilities are the output of a softmax, which sum to 1.
    pub multi_label: bool,
    /// The files of the pictures.
    pub paths: Vec<PathBuf>,
    /// The true classes of each picture: one, or any number with `multi_label`.
    pub truths: Vec<Vec<usize>>,
    /// The probabilities, `[pictures, classes]`, row by row.
    pub probabilities: Vec<f32>,
}

/// Why no figures can be computed from predictions.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum MetricsError {
    /// There are no predictions.
    #[error(
        "there are no predictions to judge: {pictures} pictures, {classes} classes; at least one of each is needed"
    )]
    Empty {
        /// Pictures given.
        pictures: usize,
        /// Classes given.
        classes: usize,
    },
    /// A list has the wrong length.
    #[error("expected {expected} {what} for {pictures} pictures, found {found}")]
    Count {
        /// What is listed.
        what: &'static str,
        /// Pictures given.
        pictures: usize,
        /// The expected length.
        expected: usize,
        /// The length found.
        found: usize,
    },
    /// The network does not have the class of a picture.
    #[error("{}: its class has the number {class}; there are {classes} classes, counted from 0", path.display())]
    UnknownClass {
        /// The picture.
        path: PathBuf,
        /// The class given.
        class: usize,
        /// The number of classes.
        classes: usize,
    },
    /// A picture has several classes or none, without `multi_label`.
    #[error(
        "{}: expected one class, found {found}; pictures of several classes or none are multi-label",
        path.display()
    )]
    ClassCount {
        /// The picture.
        path: PathBuf,
        /// The number of classes of the picture.
        found: usize,
    },
    /// A number is not a probability: the network diverged, or its outputs are not probabilities.
    #[error("{}: the probability of `{class}` is {value}; expected a number from 0 to 1", path.display())]
    Probability {
        /// The picture.
        path: PathBuf,
        /// The class's name.
        class: String,
        /// The number found.
        value: f32,
    },
    /// The probabilities of a picture are not the output of a softmax.
    #[error("{}: its probabilities sum to {sum}; expected 1: take the softmax of logits", path.display())]
    Sum {
        /// The picture.
        path: PathBuf,
        /// The sum of the probabilities.
        sum: f64,
    },
}

impl Predictions {
    /// The number of pictures.
    pub fn len(&self) -> usize {
        self.paths.len()
    }

    /// Whether there are no pictures.
    pub fn is_empty(&self) -> bool {
        self.paths.is_empty()
    }

    /// The true classes and the probabilities of every picture.
    pub fn rows(&self) -> impl Iterator<Item = (&[usize], &[f32])> {
        let truths = self.truths.iter().map(Vec::as_slice);
        truths.zip(self.probabilities.chunks(self.classes.len().max(1)))
    }

    /// The predicted classes for the given probabilities: the likeliest class, the first of equally likely ones. With
    /// `multi_label`: all classes above one half, as in Keras's `BinaryAccuracy`.
    pub fn decide(&self, probabilities: &[f32]) -> Vec<usize> {
        if self.multi_label {
            let above = probabilities.iter().enumerate().filter(|(_, p)| **p > 0.5);
            return above.map(|(class, _)| class).collect();
        }
        likeliest(probabilities).into_iter().collect()
    }

    /// Checks that there are predictions, and that they are consistent.
    ///
    /// # Errors
    ///
    /// The first problem found.
    pub fn check(&self) -> Result<(), MetricsError> {
        let (pictures, classes) = (self.len(), self.classes.len());
        if pictures == 0 || classes == 0 {
            return Err(MetricsError::Empty { pictures, classes });
        }
        let count = |what, expected, found| {
            (expected == found).then_some(()).ok_or(MetricsError::Count {
                what,
                pictures,
                expected,
                found,
            })
        };
        count("lists of classes", pictures, self.truths.len())?;
        count(
            "probabilities",
            pictures.saturating_mul(classes),
            self.probabilities.len(),
        )?;
        for (path, (truth, probabilities)) in self.paths.iter().zip(self.rows()) {
            self.check_truth(truth).map_err(|problem| problem(path.clone()))?;
            if let Some((value, class)) = probabilities
                .iter()
                .zip(&self.classes)
                .find(|(value, _)| !(0.0..=1.0).contains(*value))
            {
                return Err(MetricsError::Probability {
                    path: path.clone(),
                    class: class.clone(),
                    value: *value,
                });
            }
            let sum: f64 = probabilities.iter().copied().map(f64::from).sum();
            if !self.multi_label && (sum - 1.0).abs() > SUM_TOLERANCE {
                return Err(MetricsError::Sum {
                    path: path.clone(),
                    sum,
                });
            }
        }
        Ok(())
    }

    fn check_truth(&self, truth: &[usize]) -> Result<(), impl FnOnce(PathBuf) -> MetricsError + use<>> {
        let classes = self.classes.len();
        let found = truth.len();
        let unknown = truth.iter().copied().find(|class| *class >= classes);
        if unknown.is_none() && (self.multi_label || found == 1) {
            return Ok(());
        }
        Err(move |path| match unknown {
            Some(class) => MetricsError::UnknownClass { path, class, classes },
            None => MetricsError::ClassCount { path, found },
        })
    }
}

/// The class of the largest probability; of equal probabilities, the first.
pub(super) fn likeliest(probabilities: &[f32]) -> Option<usize> {
    let classes = probabilities.iter().enumerate();
    classes
        .reduce(|best, class| if class.1 > best.1 { class } else { best })
        .map(|(class, _)| class)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn predictions() -> Predictions {
        Predictions {
            classes: ["cat", "dog"].map(str::to_owned).to_vec(),
            multi_label: false,
            paths: ["a.jpg", "b.jpg"].map(PathBuf::from).to_vec(),
            truths: vec![vec![0], vec![1]],
            probabilities: vec![0.75, 0.25, 0.5, 0.5],
        }
    }

    #[test]
    fn the_first_of_equals_is_chosen_and_half_is_not_enough() {
        let mut predictions = predictions();
        assert_eq!(predictions.check(), Ok(()));
        assert_eq!(predictions.decide(&[0.5, 0.5]), [0]);
        predictions.multi_label = true;
        assert_eq!(predictions.decide(&[0.5, 0.51]), [1]);
        assert!(predictions.decide(&[0.5, 0.1]).is_empty());
    }

    #[test]
    fn what_does_not_fit_together_is_refused_by_a_sentence() {
        let message = |change: fn(&mut Predictions)| {
            let mut predictions = predictions();
            change(&mut predictions);
            predictions.check().unwrap_err().to_string()
        };
        assert_eq!(
            message(|p| p.paths.clear()),
            "there are no predictions to judge: 0 pictures, 2 classes; at least one of each is needed"
        );
        assert_eq!(
            message(|p| p.truths.truncate(1)),
            "expected 2 lists of classes for 2 pictures, found 1"
        );
        assert_eq!(
            message(|p| p.probabilities.truncate(3)),
            "expected 4 probabilities for 2 pictures, found 3"
        );
        assert_eq!(
            message(|p| p.truths[1] = vec![2]),
            "b.jpg: its class has the number 2; there are 2 classes, counted from 0"
        );
        assert_eq!(
            message(|p| p.truths[1] = Vec::new()),
            "b.jpg: expected one class, found 0; pictures of several classes or none are multi-label"
        );
        assert_eq!(
            message(|p| p.probabilities[3] = f32::NAN),
            "b.jpg: the probability of `dog` is NaN; expected a number from 0 to 1"
        );
        assert_eq!(
            message(|p| p.probabilities[1] = 0.5),
            "a.jpg: its probabilities sum to 1.25; expected 1: take the softmax of logits"
        );
    }

    #[test]
    fn several_classes_and_none_are_what_multi_label_means() {
        let mut predictions = predictions();
        predictions.multi_label = true;
        predictions.truths = vec![vec![0, 1], Vec::new()];
        predictions.probabilities = vec![0.9, 0.8, 0.1, 0.2];
        assert_eq!(predictions.check(), Ok(()));
    }
}
