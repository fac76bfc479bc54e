//! Folds batch norms into the weights before them.

use alloc::vec::Vec;

use burn::module::Param;
use burn::nn::BatchNorm;
use burn::tensor::{Tensor, TensorData};

use crate::network::Network;
use crate::parameters::Parameters;

/// The network with its batch norms folded into the weights before them.
pub(crate) fn folded(network: &Network) -> Network {
    let graph::Folded { graph, origins, .. } = network.graph().folded();
    let parameters = network.parameters();
    let parameters = origins.iter().map(|origin| {
        let norm = origin.norm.map(|norm| &parameters[norm.0]);
        Fold::of(&parameters[origin.node.0], norm).into_parameters()
    });
    Network::of_parts(graph, parameters.collect())
}

/// An operation's parameters and the batch norm after them.
pub(crate) struct Fold<'a> {
    parameters: &'a Parameters,
    norm: Option<Affine>,
}

/// Weights and bias of a convolution or a dense layer.
pub(crate) struct Folded {
    /// In C order: `[outputs, ..]` of a convolution, `[inputs, outputs]` of a dense layer.
    pub values: Vec<f32>,
    pub bias: Option<Vec<f32>>,
    pub outputs: usize,
}

/// A batch norm as a scale and a shift for each channel: `norm(x)` is `gamma / sqrt(variance + epsilon) * (x - mean) +
/// beta`.
struct Affine {
    scale: Vec<f64>,
    mean: Vec<f32>,
    beta: Vec<f32>,
}

impl Affine {
    fn of(norm: &BatchNorm) -> Self {
        let [gamma, beta, mean, variance] = [
            norm.gamma.val(),
            norm.beta.val(),
            norm.running_mean.value(),
            norm.running_var.value(),
        ]
        .map(|tensor| host(&tensor));
        let scale = |(gamma, variance): (&f32, &f32)| f64::from(*gamma) / (f64::from(*variance) + norm.epsilon).sqrt();
        Self {
            scale: gamma.iter().zip(&variance).map(scale).collect(),
            mean,
            beta,
        }
    }

    /// The bias after folding.
    fn bias(&self, before: Option<&[f32]>) -> Vec<f32> {
        let term = |channel: usize| {
            let before = before.map_or(0.0, |bias| f64::from(bias[channel]));
            (f64::from(self.beta[channel]) + (before - f64::from(self.mean[channel])) * self.scale[channel]) as f32
        };
        (0..self.scale.len()).map(term).collect()
    }
}

impl<'a> Fold<'a> {
    pub fn of(parameters: &'a Parameters, norm: Option<&Parameters>) -> Self {
        let norm = match norm {
            Some(Parameters::Norm(norm)) => Some(Affine::of(&norm.norm)),
            _ => None,
        };
        Self { parameters, norm }
    }

    /// The parameters without a norm.
    #[cfg(feature = "flex")]
    pub fn parameters(&self) -> &'a Parameters {
        self.parameters
    }

    /// The folded weights and bias; `values` are the weights before folding.
    pub fn weights(&self, mut values: Vec<f32>) -> Folded {
        let bias = match self.parameters {
            Parameters::Conv(conv) => conv.bias.as_ref().map(|bias| host(&bias.val())),
            Parameters::Dense(dense) => dense.bias.as_ref().map(|bias| host(&bias.val())),
            _ => None,
        };
        let outputs = match self.parameters {
            Parameters::Conv(conv) => conv.weight.lazy_shape()[0],
            Parameters::Dense(dense) => dense.weight.lazy_shape()[1],
            _ => 0,
        };
        let Some(norm) = &self.norm else {
            return Folded { values, bias, outputs };
        };
        if let Parameters::Dense(_) = self.parameters {
            self.scale_rows(&mut values);
        } else {
            let each = (values.len() / outputs.max(1)).max(1);
            for (kernel, scale) in values.chunks_exact_mut(each).zip(&norm.scale) {
                for value in kernel {
                    *value = (f64::from(*value) * scale) as f32;
                }
            }
        }
        Folded {
            bias: Some(norm.bias(bias.as_deref())),
            values,
            outputs,
        }
    }

    /// Folds the norm into some rows of a dense layer's weights, each with all outputs.
    pub fn scale_rows(&self, rows: &mut [f32]) {
        let Some(norm) = &self.norm else { return };
        for row in rows.chunks_exact_mut(norm.scale.len().max(1)) {
            for (value, scale) in row.iter_mut().zip(&norm.scale) {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
    }

    /// Scales and shifts of a batch norm that is not folded.
    #[cfg(feature = "flex")]
    pub fn affine(&self) -> Option<(Vec<f32>, Vec<f32>)> {
        let Parameters::Norm(norm) = self.parameters else {
            return None;
        };
        let affine = Affine::of(&norm.norm);
        let scale = affine.scale.iter().map(|scale| *scale as f32).collect();
        Some((scale, affine.bias(None)))
    }

    /// Parameters that include the norm.
    pub fn into_parameters(self) -> Parameters {
        if self.norm.is_none() {
            return self.parameters.clone();
        }
        match self.parameters {
            Parameters::Conv(conv) => {
                let weight = conv.weight.val();
                let (device, dtype, shape) = (weight.device(), weight.dtype(), weight.dims());
                let folded = self.weights(host(&weight));
                let mut conv = conv.clone();
                conv.weight = Param::from_tensor(Tensor::from_data(
                    TensorData::new(folded.values, shape),
                    (&device, dtype),
                ));
                conv.bias = folded.bias.map(|bias| {
                    let data = TensorData::new(bias, [folded.outputs]);
                    Param::from_tensor(Tensor::from_data(data, (&device, dtype)))
                });
                Parameters::Conv(conv)
            }
            Parameters::Dense(dense) => {
                let weight = dense.weight.val();
                let (device, dtype, shape) = (weight.device(), weight.dtype(), weight.dims());
                let folded = self.weights(host(&weight));
                let mut dense = dense.clone();
                dense.weight = Param::from_tensor(Tensor::from_data(
                    TensorData::new(folded.values, shape),
                    (&device, dtype),
                ));
                dense.bias = folded.bias.map(|bias| {
                    let data = TensorData::new(bias, [folded.outputs]);
                    Param::from_tensor(Tensor::from_data(data, (&device, dtype)))
                });
                Parameters::Dense(dense)
            }
            other => other.clone(),
        }
    }
}

/// A tensor's values in C order.
pub(crate) fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    let data = tensor.to_data().convert::<f32>();
    data.try_into_vec().expect("converted to f32 the line before")
}
