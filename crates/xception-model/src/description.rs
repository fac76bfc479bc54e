//! Combines the facts that a file holds with the facts that its user knows into a complete specification.

use std::fmt;
use std::path::Path;

use crate::hidden::HiddenActivation;
use crate::input::Scaling;
use crate::label::Label;
use crate::outputs::Outputs;
use crate::preset::Preset;
use crate::spec::{InputSpec, ModelSpec};
use crate::unknown::Unknown;
use crate::weights_error::WeightsError;
use crate::zoo::{Architecture, Pooling, Recognised, Variant};

/// The caller's facts about a file. They complete the facts that the file leaves open; a contradiction about the
/// network is an error.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Height and width of the pictures, in pixels.
    pub size: Option<[usize; 2]>,
    /// The pooling of the last feature map.
    pub pooling: Option<Pooling>,
    /// The library whose version of the network it is.
    pub variant: Option<Variant>,
    /// The meaning of the outputs.
    pub outputs: Option<Outputs>,
    /// The activation after each hidden layer of the head.
    pub hidden_activation: Option<HiddenActivation>,
    /// How channel values are scaled.
    pub scaling: Option<Scaling>,
    /// The preset by which pictures are resized.
    pub preset: Option<Preset>,
    /// The names of the classes, in order.
    pub labels: Vec<Label>,
    /// The entry of a PyTorch checkpoint that holds the weights, such as `model_ema`.
    pub key: Option<String>,
    /// The prefix of the tensors' names in a PyTorch checkpoint, such as `ema_model.`.
    pub prefix: Option<String>,
}

/// The facts that a file holds about its network. A fact that the file leaves open is `None`.
#[derive(Clone, Debug)]
pub struct Description {
    /// The origin of the weights.
    pub source: Option<String>,
    /// The network. If `pooling` or `variant` below is `None`, the network's own value is a placeholder.
    pub network: Architecture,
    /// Height and width of the pictures, in pixels.
    pub size: Option<[usize; 2]>,
    /// The pooling of the last feature map.
    pub pooling: Option<Pooling>,
    /// The library whose version of the network it is.
    pub variant: Option<Variant>,
    /// The meaning of the outputs.
    pub outputs: Option<Outputs>,
    /// The meaning of the outputs unless `outputs` is given: several numbers of a fully-connected layer, without an
    /// activation, are taken for the logits of one class of several.
    pub usual_outputs: Option<Outputs>,
    /// The activation after each hidden layer of the head of an architecture of the zoo.
    pub hidden_activation: Option<HiddenActivation>,
    /// Which fully-connected layers of that head have a bias: the hidden layers in order, then the classifier. Empty if
    /// all layers have one.
    pub head_biases: Vec<bool>,
    /// How channel values are scaled before the network, or by the file itself.
    pub scaling: Option<Scaling>,
    /// The preset by which pictures are resized.
    pub preset: Option<Preset>,
    /// The names of the classes.
    pub labels: Vec<Label>,
}

impl Description {
    /// The description of a file that holds nothing but tensors. A network without a classifier needs no meaning of its
    /// outputs.
    pub fn new(network: Architecture) -> Self {
        Self {
            source: None,
            size: None,
            // The shapes of tensors show a flattened map.
            pooling: network.pooling().filter(|pooling| *pooling == Pooling::Flatten),
            variant: None,
            outputs: (!network.include_top()).then_some(Outputs::Softmax),
            usual_outputs: None,
            hidden_activation: None,
            head_biases: Vec::new(),
            scaling: None,
            preset: None,
            labels: Vec::new(),
            network,
        }
    }

    /// The description of a file that shows its operations. `network` is one of the recognised networks.
    pub fn of_operations(found: &Recognised, network: Architecture, size: Option<[usize; 2]>) -> Self {
        let plain = Self::new(network);
        Self {
            size,
            pooling: plain.network.pooling(),
            variant: plain.network.variant(),
            outputs: found.outputs.or(plain.outputs),
            usual_outputs: (found.ends_in_logits && plain.network.outputs() != Some(1)).then_some(Outputs::Softmax),
            hidden_activation: plain.network.hidden_activation(),
            scaling: found.scaling,
            ..plain
        }
    }

    /// The description of a file that holds its own specification.
    pub fn of_spec(spec: ModelSpec) -> Self {
        Self {
            source: Some(spec.source),
            size: Some([spec.input.height, spec.input.width]),
            pooling: spec.network.pooling(),
            variant: spec.network.variant(),
            outputs: Some(spec.outputs),
            usual_outputs: None,
            hidden_activation: spec.network.hidden_activation(),
            head_biases: Vec::new(),
            scaling: Some(spec.input.scaling),
            preset: spec.input.preset,
            labels: spec.labels,
            network: spec.network,
        }
    }

    /// The caller's meaning of the outputs. A sigmoid over one number distinguishes two classes.
    fn said_outputs(&self, known: &Known) -> Option<Outputs> {
        match known.outputs {
            Some(Outputs::Sigmoid) if self.network.outputs() == Some(1) && self.outputs != Some(Outputs::Sigmoid) => {
                Some(Outputs::Binary)
            }
            said => said,
        }
    }

    /// The same for a caller that uses the backbone alone: facts about the head that are open get any value.
    #[must_use]
    pub fn of_backbone(mut self, known: &Known) -> Self {
        let any = if self.network.outputs() == Some(1) {
            Outputs::Value
        } else {
            Outputs::Softmax
        };
        self.outputs = self.outputs.or(self.said_outputs(known)).or(Some(any));
        let hidden = self.hidden_activation.or(known.hidden_activation);
        self.hidden_activation = hidden.or(Some(HiddenActivation::RELU));
        self
    }

    /// Completes the facts that the file leaves open.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unknown`] lists the facts that neither the file nor the caller has;
    /// [`WeightsError::Contradiction`] if the two differ; [`WeightsError::Config`] for an impossible network.
    pub fn complete(self, path: &Path, known: &Known) -> Result<ModelSpec, WeightsError> {
        let mut unknown = Vec::new();
        let mut need = |what: Unknown, is_known: bool| {
            if !is_known {
                unknown.push(what);
            }
        };
        let said_outputs = self.said_outputs(known);
        let size = known.size.or(self.size);
        need(Unknown::Size, size.is_some());
        let mut network = self.network;
        if has_options(&network) {
            let pooling = agree(path, "--pooling", known.pooling, self.pooling)?;
            need(Unknown::Pooling, pooling.is_some());
            let variant = agree(path, "--variant", known.variant, self.variant)?;
            need(Unknown::Variant, variant.is_some() || network.variant().is_none());
            if let Some(pooling) = pooling {
                network = network.with_pooling(pooling);
            }
            if let Some(variant) = variant {
                network = network.with_variant(variant);
            }
        }
        // Without a classifier there are no outputs to speak of.
        let said_outputs = said_outputs.filter(|_| network.include_top());
        let outputs = agree(path, "--head", said_outputs, self.outputs)?.or(self.usual_outputs);
        need(Unknown::Outputs, outputs.is_some());
        let hidden = agree(
            path,
            "--hidden-activation",
            known.hidden_activation,
            self.hidden_activation,
        )?;
        need(
            Unknown::HiddenActivation,
            hidden.is_some() || network.hidden_layers() == 0,
        );
        if let Some(hidden) = hidden {
            network = network.with_hidden_activation(hidden);
        }
        network = network.with_head_biases(&self.head_biases);
        let scaling = agree(path, "--scaling", known.scaling, self.scaling)?;
        need(Unknown::Scaling, scaling.is_some());
        let (Some([height, width]), Some(outputs), Some(scaling), []) = (size, outputs, scaling, unknown.as_slice())
        else {
            return Err(WeightsError::Unknown {
                path: path.to_owned(),
                unknown,
                usual_side: usual_side(&network),
            });
        };
        // A softmax needs several numbers, and a single logit or value needs one.
        let count = network.outputs();
        let fits = |count: usize| match outputs {
            Outputs::Softmax => count > 1,
            Outputs::Sigmoid | Outputs::Probabilities => true,
            Outputs::Binary | Outputs::Value => count == 1,
        };
        if !count.is_none_or(fits) {
            return Err(WeightsError::Outputs {
                path: path.to_owned(),
                outputs,
                count: count.unwrap_or_default(),
            });
        }
        network.validate().map_err(|source| WeightsError::Config {
            path: path.to_owned(),
            source,
        })?;
        let channels = network.in_channels();
        if known.scaling.is_some_and(Scaling::is_per_colour) && channels != 3 {
            return Err(WeightsError::Scaling {
                path: path.to_owned(),
                scaling,
                channels,
            });
        }
        Ok(ModelSpec {
            source: self
                .source
                .unwrap_or_else(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned()),
            outputs,
            input: InputSpec {
                height,
                width,
                preset: known.preset.or(self.preset),
                scaling,
                ..InputSpec::default()
            },
            labels: if known.labels.is_empty() {
                self.labels
            } else {
                known.labels.clone()
            },
            network,
        })
    }
}

/// The side of the pictures that a network is published for. A flattened map fixes it.
fn usual_side(network: &Architecture) -> usize {
    const OF_OTHERS: usize = 224;

    if network.pooling() == Some(Pooling::Flatten) {
        return network.graph().min_size;
    }
    let published = Architecture::published().into_iter();
    let mut own = published.filter(|published| published.network.name() == network.name());
    own.next().map_or(OF_OTHERS, |published| published.size)
}

/// Whether a network has options for pooling and variant; in a graph they are operations.
fn has_options(network: &Architecture) -> bool {
    !matches!(network, Architecture::Graph(_))
}

/// The fact that the caller or the file has. If both have it, they must agree: a flag never changes a network.
fn agree<T: Copy + PartialEq + fmt::Display>(
    path: &Path,
    flag: &'static str,
    known: Option<T>,
    found: Option<T>,
) -> Result<Option<T>, WeightsError> {
    match (known, found) {
        (Some(said), Some(found)) if said != found => Err(WeightsError::Contradiction {
            path: path.to_owned(),
            flag,
            said: said.to_string(),
            found: found.to_string(),
        }),
        _ => Ok(known.or(found)),
    }
}
