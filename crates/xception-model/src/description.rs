//! From what a file says, and what its user knows, to a specification.

use std::fmt;
use std::path::Path;

use crate::input::Scaling;
use crate::label::Label;
use crate::outputs::Outputs;
use crate::preset::Preset;
use crate::spec::{InputSpec, ModelSpec};
use crate::unknown::Unknown;
use crate::weights_error::WeightsError;
use crate::zoo::{Architecture, Pooling, Recognised, Variant};

/// What the caller knows about a file. It fills what the file does not say; where the file says something else about the network,
/// that is an error.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Height and width of its pictures, in pixels.
    pub size: Option<[usize; 2]>,
    /// How the last feature map is pooled.
    pub pooling: Option<Pooling>,
    /// Whose batch-norm epsilon and pool padding it has.
    pub variant: Option<Variant>,
    /// What the outputs are.
    pub outputs: Option<Outputs>,
    /// How channel values are scaled.
    pub scaling: Option<Scaling>,
    /// How its pictures are resized.
    pub preset: Option<Preset>,
    /// The names of its classes, in order.
    pub labels: Vec<Label>,
    /// The entry of a PyTorch checkpoint that holds the weights, such as `model_ema`.
    pub key: Option<String>,
}

/// What a file says of its network. What it leaves open is `None`.
#[derive(Clone, Debug)]
pub struct Description {
    /// Where the weights came from.
    pub source: Option<String>,
    /// The network. Where `pooling` and `variant` are `None` below, its own are placeholders.
    pub network: Architecture,
    /// Height and width of its pictures, in pixels.
    pub size: Option<[usize; 2]>,
    /// How the last feature map is pooled.
    pub pooling: Option<Pooling>,
    /// Whose batch-norm epsilon and pool padding it has.
    pub variant: Option<Variant>,
    /// What the outputs are.
    pub outputs: Option<Outputs>,
    /// How channel values are scaled before the network.
    pub scaling: Option<Scaling>,
    /// How its pictures are resized.
    pub preset: Option<Preset>,
    /// The names of its classes.
    pub labels: Vec<Label>,
}

impl Description {
    /// A file that says no more than its tensors do. A network without a classifier, or with several outputs, has the usual
    /// meaning of outputs; one number has none.
    pub fn new(network: Architecture) -> Self {
        Self {
            source: None,
            size: None,
            pooling: None,
            variant: None,
            outputs: (network.outputs() != Some(1)).then_some(Outputs::Softmax),
            scaling: default_scaling(&network),
            preset: None,
            labels: Vec::new(),
            network,
        }
    }

    /// A file that shows its operations. `network` is one of those that were recognised.
    pub fn of_operations(found: &Recognised, network: Architecture, size: Option<[usize; 2]>) -> Self {
        let plain = Self::new(network);
        Self {
            size,
            pooling: plain.network.pooling(),
            variant: plain.network.variant(),
            outputs: found
                .outputs
                .or(plain.outputs.filter(|_| plain.network.outputs().is_none())),
            scaling: match (found.scaling, found.scales_inside) {
                (None, false) => plain.scaling,
                (scaling, _) => scaling,
            },
            ..plain
        }
    }

    /// A file that holds its own specification.
    pub fn of_spec(spec: ModelSpec) -> Self {
        Self {
            source: Some(spec.source),
            size: Some([spec.input.height, spec.input.width]),
            pooling: spec.network.pooling(),
            variant: spec.network.variant(),
            outputs: Some(spec.outputs),
            scaling: Some(spec.input.scaling),
            preset: spec.input.preset,
            labels: spec.labels,
            network: spec.network,
        }
    }

    /// Fills what the file leaves open.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unknown`] lists what neither says; [`WeightsError::Contradiction`] where the two differ;
    /// [`WeightsError::Config`] for an impossible network.
    pub fn complete(self, path: &Path, known: &Known) -> Result<ModelSpec, WeightsError> {
        let mut unknown = Vec::new();
        let mut need = |what: Unknown, is_known: bool| {
            if !is_known {
                unknown.push(what);
            }
        };
        let size = known.size.or(self.size);
        need(Unknown::Size, size.is_some());
        let mut network = self.network;
        if has_options(&network) {
            let pooling = agree(path, "--pooling", known.pooling, self.pooling)?;
            need(Unknown::Pooling, pooling.is_some());
            let variant = agree(path, "--variant", known.variant, self.variant)?;
            need(
                Unknown::Variant,
                variant.is_some() || !matches!(network, Architecture::Xception(_)),
            );
            match &mut network {
                Architecture::Xception(config) => {
                    config.pooling = pooling.unwrap_or(config.pooling);
                    config.variant = variant.unwrap_or(config.variant);
                }
                Architecture::ResNet(config) => config.pooling = pooling.unwrap_or(config.pooling),
                Architecture::Graph(_) => {}
            }
        }
        let outputs = agree(path, "--head", known.outputs, self.outputs)?;
        need(Unknown::Outputs, outputs.is_some());
        let scaling = match self.scaling {
            // What an architecture is usually fed is a guess that a user's word overrides.
            Some(usual) if Some(usual) == default_scaling(&network) => known.scaling.or(self.scaling),
            _ => agree(path, "--scaling", known.scaling, self.scaling)?,
        };
        need(Unknown::Scaling, scaling.is_some());
        let (Some([height, width]), Some(outputs), Some(scaling), []) = (size, outputs, scaling, unknown.as_slice())
        else {
            return Err(WeightsError::Unknown {
                path: path.to_owned(),
                unknown,
            });
        };
        network.validate().map_err(|source| WeightsError::Config {
            path: path.to_owned(),
            source,
        })?;
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

/// How the pictures of an architecture's published weights are scaled, if it is one of the zoo: `preprocess_input` of its module
/// in `keras.applications`.
pub fn default_scaling(network: &Architecture) -> Option<Scaling> {
    match network {
        Architecture::Xception(_) => Some(Scaling::Tf),
        Architecture::ResNet(_) => Some(Scaling::Caffe),
        // A head of its own behind a known backbone, whose title the graph has.
        Architecture::Graph(graph) => match graph.title.as_str() {
            "Xception" => Some(Scaling::Tf),
            title if title.starts_with("ResNet") => Some(Scaling::Caffe),
            _ => None,
        },
    }
}

/// Whether a network's pooling is an option; a graph shows it.
fn has_options(network: &Architecture) -> bool {
    !matches!(network, Architecture::Graph(_))
}

/// What is known of both sides must agree: a flag never turns a network into another.
fn agree<T: Copy + PartialEq + fmt::Debug>(
    path: &Path,
    flag: &'static str,
    known: Option<T>,
    found: Option<T>,
) -> Result<Option<T>, WeightsError> {
    match (known, found) {
        (Some(said), Some(found)) if said != found => Err(WeightsError::Contradiction {
            path: path.to_owned(),
            flag,
            said: format!("{said:?}").to_lowercase(),
            found: format!("{found:?}").to_lowercase(),
        }),
        _ => Ok(known.or(found)),
    }
}
