//! The input and output of a training step, and the values that Burn's metrics read from the output.

use burn::tensor::{Device, ExecutionError, Int, Tensor};
use burn::train::ItemLazy;
use burn::train::metric::{AccuracyInput, Adaptor, HammingScoreInput, LossInput};

/// The input of one step.
#[derive(Clone, Debug)]
pub struct StepInput {
    /// Pictures, or their features.
    pub input: NetworkInput,
    /// `[batch, classes]`: 1 for a label, 0 for none, a fraction where pictures were mixed.
    pub targets: Tensor<2>,
    /// The batch's number among the batches that several devices compute at once, from 0.
    pub place: usize,
}

/// Pictures, or their features from the frozen backbone.
#[derive(Clone, Debug)]
pub enum NetworkInput {
    /// `[batch, channels, height, width]`.
    Pictures(Tensor<4>),
    /// `[batch, embedding]`.
    Features(Tensor<2>),
}

/// The output of one step: the loss, and the values that metrics need.
#[derive(Debug)]
pub struct StepOutput {
    /// `[1]`; after [`sync`](ItemLazy::sync) one value per step.
    pub loss: Tensor<1>,
    /// `[batch, classes]`.
    pub logits: Tensor<2>,
    /// `[batch, classes]`.
    pub targets: Tensor<2>,
    /// The batch's [`StepInput::place`].
    pub place: usize,
    /// Earlier steps that are reported to the metrics together with this step.
    pub earlier: Vec<Self>,
}

impl StepInput {
    /// The same batch on another device, as number `place` of its round.
    pub(crate) fn to_device(&self, device: &Device, place: usize) -> Self {
        Self {
            input: match &self.input {
                NetworkInput::Pictures(pictures) => NetworkInput::Pictures(pictures.clone().to_device(device)),
                NetworkInput::Features(features) => NetworkInput::Features(features.clone().to_device(device)),
            },
            targets: self.targets.clone().to_device(device),
            place,
        }
    }
}

impl ItemLazy for StepOutput {
    /// Concatenates this step and the earlier steps, without autodiff.
    fn sync(self) -> Result<Self, ExecutionError> {
        self.loss.device().flush()?;
        let place = self.place;
        let (mut losses, mut logits, mut targets) = (Vec::new(), Vec::new(), Vec::new());
        let mut steps = self.earlier;
        steps.push(Self {
            earlier: Vec::new(),
            ..self
        });
        for step in steps {
            losses.push(step.loss.without_autodiff());
            logits.push(step.logits.without_autodiff());
            targets.push(step.targets.without_autodiff());
        }
        Ok(Self {
            loss: Tensor::cat(losses, 0),
            logits: Tensor::cat(logits, 0),
            targets: Tensor::cat(targets, 0),
            place,
            earlier: Vec::new(),
        })
    }
}

impl Adaptor<LossInput> for StepOutput {
    fn adapt(&self) -> LossInput {
        LossInput::new(self.loss.clone())
    }
}

impl Adaptor<AccuracyInput> for StepOutput {
    fn adapt(&self) -> AccuracyInput {
        let truth: Tensor<1, Int> = self.targets.clone().argmax(1).squeeze_dim(1);
        AccuracyInput::new(self.logits.clone(), truth)
    }
}

impl Adaptor<HammingScoreInput> for StepOutput {
    fn adapt(&self) -> HammingScoreInput {
        HammingScoreInput::new(self.logits.clone(), self.targets.clone().greater_elem(0.5).int())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::tensor::numbers;

    #[test]
    fn metrics_receive_all_steps() {
        let device = Device::flex();
        let step = |value: f32, earlier| StepOutput {
            loss: Tensor::from_floats([value], &device),
            logits: Tensor::from_floats([[value, 0.0]], &device),
            targets: Tensor::from_floats([[1.0, 0.0]], &device),
            place: 0,
            earlier,
        };
        let reported = step(3.0, vec![step(1.0, vec![]), step(2.0, vec![])]).sync().unwrap();
        assert_eq!(numbers(reported.loss), [1.0, 2.0, 3.0]);
        assert_eq!(numbers(reported.logits), [1.0, 0.0, 2.0, 0.0, 3.0, 0.0]);
        assert_eq!(numbers(reported.targets), [1.0, 0.0].repeat(3));
    }
}
