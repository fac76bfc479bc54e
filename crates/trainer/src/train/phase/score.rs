//! The score of a network on a split, as validation counts it.

use crate::tensor::numbers;
use crate::train::objective::Objective;
use crate::train::step::StepOutput;

/// The mean loss and accuracy of a split.
#[derive(Clone, Copy)]
pub(super) struct Score {
    pub loss: f64,
    pub accuracy: f64,
}

/// How many pictures of a batch are classified correctly. A picture with several labels counts the share of its labels
/// that are right.
pub(super) fn correct(output: &StepOutput, objective: &Objective) -> f64 {
    let [_, classes] = output.logits.dims();
    let logits = numbers(output.logits.clone());
    let targets = numbers(output.targets.clone());
    let pictures = logits.chunks(classes).zip(targets.chunks(classes));
    if objective.multi_label {
        let right = |(logits, targets): (&[f32], &[f32])| {
            let right = logits
                .iter()
                .zip(targets)
                .filter(|(logit, target)| (**logit > 0.0) == (**target > 0.5));
            right.count() as f64 / classes as f64
        };
        return pictures.map(right).sum();
    }
    let largest = |values: &[f32]| {
        let larger = |best: usize, class: usize| if values[class] > values[best] { class } else { best };
        (0..values.len()).fold(0, larger)
    };
    pictures
        .filter(|(logits, targets)| largest(logits) == largest(targets))
        .count() as f64
}
