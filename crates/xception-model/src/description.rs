//! Combines what a file says with what its user knows into a complete specification.

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

/// What the caller knows about a file. It fills in what the file leaves open; a contradiction about the network is an
/// error.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Height and width of the pictures, in pixels.
    pub size: Option<[usize; 2]>,
    /// The pooling of the last feature map.
    pub pooling: Option<Pooling>,
    /// The library whose batch-norm epsilon and pool padding apply.
    pub variant: Option<Variant>,
    /// The meaning of the outputs.
    pub outputs: Option<Outputs>,
    /// The scaling of channel values.
    pub scaling: Option<Scaling>,
    /// The preset by which pictures are resized.
    pub preset: Option<Preset>,
    /// The names of the classes, in order.
    pub labels: Vec<Label>,
    /// The entry of a PyTorch checkpoint that holds the weights, such as `model_ema`.
    pub key: Option<String>,
}

/// What a file says about its network. Everything it leaves open is `None`.
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
    /// The library whose batch-norm epsilon and pool padding apply.
    pub variant: Option<Variant>,
    /// The meaning of the outputs.
    pub outputs: Option<Outputs>,
    /// The scaling of channel values before the network.
    pub scaling: Option<Scaling>,
    /// The preset by which pictures are resized.
    pub preset: Option<Preset>,
    /// The names of the classes.
    pub labels: Vec<Label>,
}

impl Description {
    /// The description of a file that has nothing but tensors. Without a classifier, or with several outputs, the
    /// outputs have their usual meaning; the meaning of a single number stays open.
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

    /// The description of a file that shows its operations. `network` is one of the recognised networks.
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

    /// The description of a file that holds its own specification.
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

    /// Fills in what the file leaves open.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Unknown`] lists what neither the file nor the caller says; [`WeightsError::Contradiction`] if
    /// the two differ; [`WeightsError::Config`] for an impossible network.
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
            // The usual scaling of an architecture is a guess, which the caller's word overrides.
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

/// The scaling of an architecture's published weights, if it is one of the zoo: `preprocess_input` of its module in
/// `keras.applications`.
pub fn default_scaling(network: &Architecture) -> Option<Scaling> {
    match network {
        Architecture::Xception(_) => Some(Scaling::Tf),
        Architecture::ResNet(_) => Some(Scaling::Caffe),
        // A custom head after a known backbone; the graph keeps the backbone's title.
        Architecture::Graph(graph) => match graph.title.as_str() {
            "Xception" => Some(Scaling::Tf),
            title if title.starts_with("ResNet") => Some(Scaling::Caffe),
            _ => None,
        },
    }
}

/// Whether the network's pooling is an option. A graph shows its pooling.
fn has_options(network: &Architecture) -> bool {
    !matches!(network, Architecture::Graph(_))
}

/// Checks that the file and the caller agree: a flag never changes the network of a file.
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
