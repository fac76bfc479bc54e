//! Temperature scaling, stored in the weights: the last layer's weights and biases are divided by the temperature.
//! Every program and every format then gives the scaled confidences. The predicted classes stay the same.

use std::path::Path;

use burn::module::{Module, ModuleMapper, Param};
use burn::tensor::{Device, Tensor};
use files::sha256;
use xception_model::Network;
use xception_model::graph::Op;
use xception_model::registry::{Card, TemperatureScaling};

use super::card::CARD;
use super::error::TrainError;
use super::folder::{self, MODEL};

/// `network` with its logits divided by the temperature.
pub(crate) fn with_temperature(network: Network, temperature: f64) -> Result<Network, String> {
    let graph = network.graph();
    let last = graph.roles.logits.map(|logits| graph.node(logits));
    let last = last.filter(|node| matches!(node.op, Op::Dense(_)));
    let last = last.ok_or("the network does not end with a dense layer")?;
    let mut scale = Scale {
        layer: last.path.clone(),
        path: Vec::new(),
        factor: 1.0 / temperature,
    };
    Ok(network.map(&mut scale))
}

/// Stores the measured temperature of a finished run in the run's weights, and records this in the card.
///
/// # Errors
///
/// [`TrainError`]: the run is not finished, measured no temperature, or has stored it already; a file cannot be read or
/// written.
pub(crate) fn calibrate(folder: &Path, device: &Device) -> Result<TemperatureScaling, TrainError> {
    let _lock = folder::lock(folder)?;
    let failed = |problem: String| TrainError::run(folder, problem);
    let mut card = Card::load(&folder.join(CARD)).map_err(|error| failed(error.to_string()))?;
    let metrics = card.metrics.as_mut();
    let scaling = metrics.as_ref().and_then(|metrics| metrics.temperature);
    let mut scaling = scaling.ok_or_else(|| {
        let needs = "validation and test pictures of one class each, and a wrong prediction among those of validation";
        failed(format!("the run measured no temperature: that takes {needs}"))
    })?;
    if scaling.applied {
        return Err(failed("the weights have the run's temperature already".to_owned()));
    }
    scaling.applied = true;
    if let Some(metrics) = metrics {
        metrics.temperature = Some(scaling);
        metrics.calibration_error = Some(scaling.calibration_error);
        // The scaled network has another loss, which is not measured.
        metrics.loss = None;
    }
    let path = folder.join(MODEL);
    let (network, spec) = xception_model::load(&path, device)?;
    let network = with_temperature(network, scaling.value).map_err(failed)?;
    // If the process is interrupted here, the missing card marks the run as unfinished.
    files::remove(&folder.join(CARD))?;
    xception_model::save(&network, &spec, &path, true)?;
    let (bytes, hash) = sha256(&path)?;
    for weights in &mut card.weights {
        (weights.bytes, weights.sha256) = (Some(bytes), Some(hash.clone()));
    }
    let text = card.to_toml().map_err(failed)?;
    files::write(&folder.join(CARD), true, text.as_bytes())?;
    Ok(scaling)
}

struct Scale {
    /// The path of the layer.
    layer: String,
    path: Vec<String>,
    factor: f64,
}

impl ModuleMapper for Scale {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let layer = self.path.split_last().map(|(_, layer)| layer.join("."));
        if layer.as_ref() == Some(&self.layer) {
            param.map(|tensor| tensor * self.factor)
        } else {
            param
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::parameters::testing::trainee;
    use super::*;
    use crate::tensor::numbers;

    #[test]
    fn logits_are_divided_and_nothing_else_changes() {
        let network = trainee().network.valid();
        let pictures = || Tensor::<4>::ones([1, 3, 71, 71], &network.device());
        let before = numbers(network.forward(pictures()).unwrap());
        let scaled = with_temperature(network.clone(), 4.0).unwrap();
        // Division by a power of two does not round.
        let after: Vec<f32> = numbers(scaled.forward(pictures()).unwrap());
        assert_eq!(after, before.iter().map(|logit| logit / 4.0).collect::<Vec<_>>());
        assert_eq!(
            numbers(scaled.embed(pictures()).unwrap()),
            numbers(network.embed(pictures()).unwrap())
        );
    }
}
