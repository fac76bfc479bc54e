use burn::store::{ModuleSnapshot, bridge};
use burn::tensor::{Device, TensorData};
use files::Sha256;
use xception_model::labels::Label;
use xception_model::{Architecture, InputSpec, ModelSpec, Network, NewHead, Outputs};

use crate::augment::Augmentation;
use crate::data::Dataset;
use crate::random::{Purpose, Random};
use crate::train::error::TrainError;
use crate::train::options::RunOptions;
use crate::train::recipe::Start;

/// The inputs of a new network, besides the network to start with.
pub(super) struct Setup<'a> {
    pub options: &'a RunOptions,
    pub dataset: &'a Dataset,
    pub augmentation: &'a Augmentation,
    pub device: &'a Device,
}

impl Setup<'_> {
    /// The network to train, its specification, and the hash of its starting weights: the backbone of `start` with a
    /// new classifier, or a new network of the same architecture.
    pub fn network(&self, start: Network, start_spec: &ModelSpec) -> Result<(Network, ModelSpec, String), TrainError> {
        let recipe = &self.options.recipe;
        let start = with_rgb_input(start)?;
        let architecture = start.architecture().clone();
        let architecture = architecture
            .without_last_layers(recipe.leave_out)?
            .with_classifier(&NewHead {
                num_classes: self.dataset.classes.len(),
                hidden_layers: recipe.hidden_layers.clone(),
                dropout: recipe.dropout,
            })?;
        let seed = Random::new(self.options.seed, Purpose::Weights, 0, 0).seed();
        self.device.seed(seed);
        let fresh = architecture.init(self.device)?;
        let (network, hash) = match recipe.start {
            Start::Weights => {
                let hash = weights_hash(&start)?;
                (with_zero_classifier(fresh.with_backbone(start)), hash)
            }
            Start::Random => {
                let hash = weights_hash(&fresh)?;
                (fresh, hash)
            }
        };
        // If the network cannot take a size, fail now instead of in the first step.
        for size in [self.augmentation.train.size, self.augmentation.eval.size] {
            network.summary(size, size)?;
        }
        Ok((network, self.specification(architecture, start_spec), hash))
    }

    fn specification(&self, network: Architecture, start: &ModelSpec) -> ModelSpec {
        let (recipe, eval) = (&self.options.recipe, &self.augmentation.eval);
        let from = match recipe.start {
            Start::Weights => format!("from {}", start.source),
            Start::Random => "from random weights".to_owned(),
        };
        ModelSpec {
            source: format!("trained on {} ({}) {from}", self.options.data.display(), recipe.name),
            outputs: if self.dataset.multi_label {
                Outputs::Sigmoid
            } else {
                Outputs::Softmax
            },
            input: InputSpec {
                height: eval.size,
                width: eval.size,
                preset: Some(eval.preset),
                scaling: self.augmentation.scaling,
                reading: self.dataset.reading,
            },
            labels: self.dataset.classes.iter().map(Label::new).collect(),
            network,
        }
    }
}

/// The same network for RGB pictures, which training takes. A network for grey pictures gives each of the three colours
/// a third of its first kernel, so that a grey picture keeps its features.
fn with_rgb_input(network: Network) -> Result<Network, TrainError> {
    check_channels(network.architecture())?;
    Ok(network.with_in_channels(3)?)
}

pub(super) fn check_channels(network: &Architecture) -> Result<(), TrainError> {
    match network.in_channels() {
        1 | 3 => network.clone().with_in_channels(3).map(drop).map_err(TrainError::from),
        channels => Err(TrainError::Channels(channels)),
    }
}

/// The same network with zeros in its last layer (as `zero_head` of Big Transfer, Kolesnikov et al. 2020). Every class
/// is equally likely at first, however large the backbone's features are. VGG's features reach dozens. Multiplied by
/// random weights, they would give large logits that a short training never unlearns.
fn with_zero_classifier(mut network: Network) -> Network {
    let graph = network.graph();
    let Some(layer) = graph.roles.logits.map(|logits| format!("{}.", graph.node(logits).path)) else {
        return network;
    };
    let tensors = network.collect(None, None, false).into_iter();
    let zeros = tensors.filter(|tensor| tensor.name.starts_with(&layer)).map(|tensor| {
        let zeros = TensorData::zeros::<f32, _>(tensor.shape);
        bridge::from_data(zeros, tensor.name, None)
    });
    let zeros: Vec<_> = zeros.collect();
    network.apply(zeros, None, None, false);
    network
}

/// SHA-256 over the names, shapes and values of a network's weights.
fn weights_hash(network: &Network) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    let mut tensors = network.collect(None, None, false);
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    for tensor in tensors {
        let (name, _, shape, _, bytes) = tensor
            .into_parts()
            .map_err(|error| TrainError::Stopped(format!("the starting weights cannot be read: {error}")))?;
        hash.update(format!("{name} {:?}\n", shape.as_slice()));
        hash.update(&bytes[..]);
    }
    Ok(hash.finish().to_string())
}
