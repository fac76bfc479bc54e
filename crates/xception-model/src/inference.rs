//! A network made ready for prediction: every batch norm folded into its convolution.

use alloc::vec::Vec;

use burn::module::{Module, Param};
use burn::nn::BatchNorm;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor, TensorData};
use graph::{Folded, Graph};

use crate::error::InputError;
use crate::network::{Network, Pyramid};
use crate::parameters::Parameters;
use crate::zoo::Architecture;

/// A [`Network`] for prediction alone. Made by [`Network::fuse`].
///
/// Takes and gives the same tensors, within 1e-5 in norm; weights can't be changed any more. On Burn's `Flex` device the
/// network runs on the kernels of the crate `kernels` with weights packed once, and operations without a kernel run on Burn's
/// in between; elsewhere it is the same folded network on Burn's operations.
///
/// The kernels run on the threads of the current rayon pool: `pool.install(|| model.forward(images))` chooses another.
#[derive(Clone, Debug)]
pub struct InferenceNetwork {
    /// What it was made from. Its tensors are shared, and stay in the record's file until a stage is asked for that was folded
    /// away.
    network: Network,
    folded: Network,
}

impl Network {
    /// The same network for prediction alone, several times as fast on a CPU.
    ///
    /// Batch norms are folded into the convolutions in f64 and rounded once. The result is a copy: this network can go on
    /// training. Kernels that Burn has left in the record's file until they are used are read from there, and this network
    /// goes on without them: it takes no memory beside the other, and reads the file when it is used itself.
    pub fn fuse(&self) -> InferenceNetwork {
        let network = self.valid().materialize();
        let folded = fold(&network);
        InferenceNetwork { network, folded }
    }
}

impl InferenceNetwork {
    /// Which network it is.
    pub fn architecture(&self) -> &Architecture {
        self.network.architecture()
    }

    /// Its operations, with batch norms.
    pub fn graph(&self) -> &Graph {
        self.network.graph()
    }

    /// The network that it was made from.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The instructions of the CPU kernels, such as `AVX2+FMA`; `None` where the network runs on Burn's operations.
    pub fn kernels(&self) -> Option<&'static str> {
        None
    }

    /// The same network on another device.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Self {
        self.network.clone().to_device(device).fuse()
    }

    /// One logit for each class, as [`Network::forward`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for an empty batch, wrong channels, a picture too small, or a network without classifier.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        self.folded.forward(images.inner())
    }

    /// One probability for each class: the softmax of [`forward`](Self::forward).
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`, rows sum to 1
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn predict(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        Ok(softmax(self.forward(images)?, 1))
    }

    /// The pooled features, as [`Network::embed`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, embedding]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input, or a network without pooling.
    pub fn embed(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        self.folded.embed(images.inner())
    }

    /// The last feature map, as [`Network::feature_map`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, channels', height', width']`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn feature_map(&self, images: Tensor<4>) -> Result<Tensor<4>, InputError> {
        self.folded.feature_map(images.inner())
    }

    /// Feature maps at strides 2, 4, 8, 16 and 32, as [`Network::pyramid`].
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn pyramid(&self, images: Tensor<4>) -> Result<Pyramid, InputError> {
        self.folded.pyramid(images.inner())
    }

    /// One layer's output by its name, as [`Network::stage`]. A convolution whose batch norm stands in its weights has no output
    /// of its own: for that one the network runs as it was before folding.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input or an unknown name.
    pub fn stage(&self, images: Tensor<4>, name: &str) -> Result<Tensor<4>, InputError> {
        self.network.check_stage(name)?;
        match self.folded.graph().stage(name) {
            Some(_) => self.folded.stage(images.inner(), name),
            None => self.network.stage(images.inner(), name),
        }
    }

    /// The names [`stage`](Self::stage) knows, in the order of computation.
    pub fn stage_names(&self) -> Vec<alloc::string::String> {
        self.network.stage_names()
    }

    /// The logits of embeddings, as [`Network::forward_head`].
    ///
    /// # Errors
    ///
    /// [`InputError`] for a network without pooling or without classifier, or embeddings of another length.
    pub fn forward_head(&self, embeddings: Tensor<2>) -> Result<Tensor<2>, InputError> {
        self.folded.forward_head(embeddings.inner())
    }
}

/// The network with its batch norms in the weights before them.
fn fold(network: &Network) -> Network {
    let Folded { graph, sources, .. } = network.graph().folded();
    let parameters = network.parameters();
    let parameters = sources
        .iter()
        .map(|source| folded(&parameters[source.node.0], source.norm.map(|norm| &parameters[norm.0])))
        .collect();
    Network::of_parts(graph, parameters)
}

fn folded(parameters: &Parameters, norm: Option<&Parameters>) -> Parameters {
    let Some(Parameters::Norm(norm)) = norm else {
        return parameters.clone();
    };
    match parameters {
        Parameters::Conv(conv) => {
            let weight = conv.weight.val();
            let (device, dtype) = (weight.device(), weight.dtype());
            let shape = weight.dims();
            let fold = Fold::new(&norm.norm, conv.bias.as_ref().map(|bias| host(&bias.val())));
            let values = fold.rows(host(&weight));
            let mut conv = conv.clone();
            conv.weight = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (&device, dtype)));
            let outputs = [fold.bias.len()];
            conv.bias = Some(Param::from_tensor(Tensor::from_data(
                TensorData::new(fold.bias, outputs),
                (&device, dtype),
            )));
            Parameters::Conv(conv)
        }
        Parameters::Dense(dense) => {
            let weight = dense.weight.val();
            let (device, dtype) = (weight.device(), weight.dtype());
            let shape = weight.dims();
            let fold = Fold::new(&norm.norm, dense.bias.as_ref().map(|bias| host(&bias.val())));
            let values = fold.columns(host(&weight));
            let mut dense = dense.clone();
            dense.weight = Param::from_tensor(Tensor::from_data(TensorData::new(values, shape), (&device, dtype)));
            let outputs = [fold.bias.len()];
            dense.bias = Some(Param::from_tensor(Tensor::from_data(
                TensorData::new(fold.bias, outputs),
                (&device, dtype),
            )));
            Parameters::Dense(dense)
        }
        other => other.clone(),
    }
}

/// A batch norm as a factor and a term of each output: `norm(x)` is `gamma / sqrt(variance + epsilon) * (x - mean) + beta`.
struct Fold {
    scale: Vec<f64>,
    bias: Vec<f32>,
}

impl Fold {
    /// `bias` is that of the operation before the norm.
    fn new(norm: &BatchNorm, bias: Option<Vec<f32>>) -> Self {
        let [gamma, beta, mean, variance] = [
            norm.gamma.val(),
            norm.beta.val(),
            norm.running_mean.value(),
            norm.running_var.value(),
        ]
        .map(|tensor| host(&tensor));
        let scale: Vec<f64> = gamma
            .iter()
            .zip(&variance)
            .map(|(gamma, variance)| f64::from(*gamma) / (f64::from(*variance) + norm.epsilon).sqrt())
            .collect();
        let term = |output: usize| {
            let before = bias.as_ref().map_or(0.0, |bias| f64::from(bias[output]));
            (f64::from(beta[output]) + (before - f64::from(mean[output])) * scale[output]) as f32
        };
        let bias = (0..scale.len()).map(term).collect();
        Self { scale, bias }
    }

    /// Weights `[outputs, ..]` with the factors.
    fn rows(&self, mut weight: Vec<f32>) -> Vec<f32> {
        let each = (weight.len() / self.scale.len().max(1)).max(1);
        for (row, scale) in weight.chunks_exact_mut(each).zip(&self.scale) {
            row.iter_mut().for_each(|value| *value = (f64::from(*value) * scale) as f32);
        }
        weight
    }

    /// Weights `[inputs, outputs]` with the factors.
    fn columns(&self, mut weight: Vec<f32>) -> Vec<f32> {
        for row in weight.chunks_exact_mut(self.scale.len().max(1)) {
            for (value, scale) in row.iter_mut().zip(&self.scale) {
                *value = (f64::from(*value) * scale) as f32;
            }
        }
        weight
    }
}

/// A tensor's values in C order.
fn host<const D: usize>(tensor: &Tensor<D>) -> Vec<f32> {
    let data = tensor.to_data().convert::<f32>();
    data.try_into_vec().expect("converted to f32 the line before")
}
