use burn::tensor::Tensor;
use burn::tensor::activation::{log_sigmoid, log_softmax};

/// The loss that the training minimizes.
#[derive(Clone, Debug)]
pub struct Objective {
    /// Whether a picture may have several labels. Each class is then a separate yes or no.
    pub multi_label: bool,
    /// The share of each target that is spread over all classes.
    pub label_smoothing: f64,
    /// Each class's weight in the loss; `None` gives all classes the same weight.
    pub class_weights: Option<Vec<f32>>,
}

impl Objective {
    /// The mean loss of a batch: the cross-entropy of the softmax or, with several labels per picture, of each class's
    /// sigmoid. Burn's own losses take class numbers; the targets of mixed pictures are fractions.
    ///
    /// Label smoothing as in Keras's `CategoricalCrossentropy` and `BinaryCrossentropy`. Class weights multiply a
    /// picture's loss by its target's weight.
    ///
    /// # Shapes
    ///
    /// - `logits`, `targets`: `[batch, classes]`
    /// - output: `[1]`
    pub fn loss(&self, logits: Tensor<2>, targets: Tensor<2>) -> Tensor<1> {
        let [_, classes] = logits.dims();
        let weights = self
            .class_weights
            .as_ref()
            .map(|weights| Tensor::<1>::from_floats(weights.as_slice(), &targets.device()).unsqueeze::<2>());
        if self.multi_label {
            let targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / 2.0;
            // `log_sigmoid` never takes the logarithm of 0.
            let each = -(targets.clone() * log_sigmoid(logits.clone()) + (-targets + 1.0) * log_sigmoid(-logits));
            return match weights {
                Some(weights) => (each * weights).mean(),
                None => each.mean(),
            };
        }
        let picture_weights = weights.map(|weights| (targets.clone() * weights).sum_dim(1));
        let targets = targets * (1.0 - self.label_smoothing) + self.label_smoothing / classes as f64;
        let each = -(targets * log_softmax(logits, 1)).sum_dim(1);
        match picture_weights {
            Some(weights) => (each * weights).mean(),
            None => each.mean(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;

    fn loss(multi_label: bool, label_smoothing: f64, class_weights: Option<Vec<f32>>) -> f32 {
        let device = Device::flex();
        let objective = Objective {
            multi_label,
            label_smoothing,
            class_weights,
        };
        let logits = Tensor::from_floats([[2.0, -1.0, 0.5], [0.0, 3.0, -200.0]], &device);
        let targets = Tensor::from_floats([[1.0, 0.0, 0.0], [0.0, 1.0, 0.0]], &device);
        objective.loss(logits, targets).into_scalar()
    }

    fn close(found: f32, expected: f32) {
        assert!((found - expected).abs() <= 2e-6 * expected.abs(), "{found} {expected}");
    }

    /// The numbers are those of Keras 3.15's `CategoricalCrossentropy` and `BinaryCrossentropy`, `from_logits=True`, on
    /// the same arrays; class weights are passed as `sample_weight`.
    #[test]
    fn losses_are_keras_s() {
        close(loss(false, 0.0, None), 0.144_949_33);
        close(loss(false, 0.1, None), 3.653_282_9);
        close(loss(true, 0.0, None), 0.359_333_5);
        close(loss(true, 0.1, None), 2.071_833_6);
        close(loss(false, 0.0, Some(vec![2.0, 0.5, 0.5])), 0.253_458_17);
    }
}
