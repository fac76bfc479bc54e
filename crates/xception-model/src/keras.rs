//! Keras weight files: what network a file holds, and where its layers live in ours.

mod call;
mod graph;
mod layers;
mod model;
mod read;
mod settings;
mod wiring;
mod write;

use std::path::Path;

use burn::store::{ModuleSnapshot, ModuleStore};
use burn::tensor::Device;
pub use keras_store::KerasFileKind;
use keras_store::{KerasLayer, KerasStore};
pub use read::{ReadError, constants, names, read, read_config};
use serde_json::Value;
pub use write::{End, Inexpressible, KerasModel, keras_model};

use crate::config::{Pooling, Widths, XceptionConfig};
use crate::names::KerasClass;
use crate::spec::{InputSpec, ModelSpec};
use crate::weights::WeightsError;
use crate::xception::Xception;

/// An Xception that Keras saved, described but not loaded.
#[derive(Debug)]
pub struct KerasNetwork {
    /// What the file says of the network. What it leaves open has Keras's default here: the picture size without
    /// [`input`](Self::input), the pooling without [`pooling`](Self::pooling).
    pub spec: ModelSpec,
    /// Height and width in pixels, where the file says.
    pub input: Option<[usize; 2]>,
    /// How the last feature map is pooled, where the file says: in its model's config, or because it has the classifier of
    /// `keras.applications`, which stands behind an average.
    pub pooling: Option<Pooling>,
    /// The file, its layers under the names of the network's modules.
    pub store: KerasStore,
}

/// Opens an Xception that Keras saved: `.keras`, `.weights.h5` or legacy `.h5`, with or without a classifier, alone or
/// nested in another model.
///
/// The network's options are read from the file: its classes, hidden layers, widths and middle blocks from the tensors'
/// shapes, its pooling, dropout and input size from the model's config where the file has one. Every layer of that config is
/// checked: a model that computes something else than Xception is refused, whatever its weights fit.
///
/// # Errors
///
/// [`WeightsError::NotXception`] when the layers are not Xception's, [`WeightsError::Keras`] when the file is damaged.
pub fn open(path: &Path) -> Result<KerasNetwork, WeightsError> {
    let mut store = KerasStore::from_file(path);
    let not_xception = |problem: String| WeightsError::NotXception {
        path: path.to_owned(),
        problem,
    };
    let has_config = store.model_config()?.is_some();
    let layers = store.layers()?;
    let weighted = Weighted::sort(layers).map_err(not_xception)?;
    let network = weighted.config().map_err(not_xception)?;
    let network = network.with_dropout(dropout(layers));
    let input = input_size(layers);
    // Keras 1 named it after its class alone.
    let official = |layer: &&KerasLayer| ["predictions", "dense_2"].contains(&layer.name.as_str());
    let pooling = if has_config {
        pooling(layers)
    } else {
        (weighted.denses.len() == 1 && weighted.denses.iter().all(official)).then_some(Pooling::Average)
    };
    let network = network.with_pooling(pooling.unwrap_or(Pooling::Average));
    network.validate().map_err(|source| WeightsError::Config {
        path: path.to_owned(),
        source,
    })?;
    let by_order = weighted.homes(&network).map_err(not_xception)?;

    let wiring = store.model_config()?.and_then(|config| graph::walk(config, &network));
    let (names, multi_label) = match wiring.transpose().map_err(not_xception)? {
        Some(wiring) => (wiring.names, wiring.sigmoid),
        // Weights alone, or of a model that is a program.
        None => (by_order, false),
    };
    let [height, width] = input.unwrap_or([299; 2]);
    Ok(KerasNetwork {
        spec: ModelSpec {
            source: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
            multi_label,
            input: InputSpec {
                height,
                width,
                preset: None,
            },
            labels: Vec::new(),
            network,
        },
        input,
        pooling,
        store: store.with_names(names),
    })
}

/// Loads what [`open`] opens; `pooling` fills in for a file that does not say it.
pub(crate) fn load(
    path: &Path,
    pooling: Option<Pooling>,
    device: &Device,
) -> Result<(Xception, ModelSpec), WeightsError> {
    let mut file = open(path)?;
    file.spec.network.pooling = file
        .pooling
        .or(pooling)
        .ok_or_else(|| WeightsError::UnknownPooling { path: path.to_owned() })?;
    let mut model = Xception::new(&file.spec.network, device);
    file.store.apply_to(&mut model)?;
    Ok((model, file.spec))
}

/// Saves a network as a Keras file, which Keras 3 loads: `keras.models.load_model` for a `.keras` and a whole-model `.h5`,
/// `load_weights` into `keras.applications.Xception` of the same options for the others.
///
/// The layers have `keras.applications`' names in a fresh process. The model ends in logits, one of several labels a picture
/// in a sigmoid; Keras's own ends in a softmax.
/// The file appears complete or not at all.
///
/// # Errors
///
/// [`WeightsError::Write`] names an option that Keras cannot express (variant torch, an intermediate activation, pointwise
/// first, an output stride below 32); [`WeightsError::Keras`] when the file exists and `overwrite` is false, or cannot be
/// written.
pub fn save(
    model: &Xception,
    spec: &ModelSpec,
    path: &Path,
    kind: KerasFileKind,
    overwrite: bool,
) -> Result<(), WeightsError> {
    let keras = model::model(spec).map_err(|option| WeightsError::Write {
        path: path.to_owned(),
        problem: format!("the network has {option}; save it as .bpk, .safetensors or .onnx"),
    })?;
    let mut store = KerasStore::from_file(path)
        .with_file_kind(kind)
        .with_model_config(keras.config)
        .with_names(keras.names)
        .overwrite(overwrite);
    model.save_into(&mut store)?;
    Ok(())
}

/// The layers that have weights, by class and in order.
#[derive(Default)]
struct Weighted<'a> {
    convs: Vec<&'a KerasLayer>,
    separables: Vec<&'a KerasLayer>,
    norms: Vec<&'a KerasLayer>,
    denses: Vec<&'a KerasLayer>,
}

impl<'a> Weighted<'a> {
    fn sort(layers: &'a [KerasLayer]) -> Result<Self, String> {
        let mut weighted = Self::default();
        for layer in layers.iter().filter(|layer| !layer.variables.is_empty()) {
            let rank = |name| shape(layer, name).map(<[usize]>::len);
            if rank("depthwise_kernel") == Some(4) && rank("pointwise_kernel") == Some(4) {
                weighted.separables.push(layer);
            } else if rank("moving_mean") == Some(1) {
                weighted.norms.push(layer);
            } else if rank("kernel") == Some(4) {
                weighted.convs.push(layer);
            } else if rank("kernel") == Some(2) {
                weighted.denses.push(layer);
            } else {
                let class = layer.class.as_deref().unwrap_or("unknown class");
                return Err(format!(
                    "layer {} ({class}) has weights, and Xception has no such layer",
                    layer.path
                ));
            }
        }
        Ok(weighted)
    }

    /// The network whose shapes these are.
    fn config(&self) -> Result<XceptionConfig, String> {
        let separables = self.separables.len();
        // Two in each of blocks 2 to 4, 13 and 14; three in each of the middle flow.
        let middle_blocks = match separables.checked_sub(10) {
            Some(middle) if middle % 3 == 0 => middle / 3,
            _ => {
                return Err(format!(
                    "expected Xception's 34 separable convolutions (10 and three a middle block), found {separables}"
                ));
            }
        };
        let width = |index: usize| {
            let layer = self.separables[index];
            last_side(layer, "pointwise_kernel")
        };
        let (Some(conv1), Some(conv2)) = (self.convs.first(), self.convs.get(1)) else {
            return Err(format!(
                "expected the 2 convolutions of block 1, found {}",
                self.convs.len()
            ));
        };
        let in_channels = shape(conv1, "kernel")
            .and_then(|shape| shape.get(2))
            .copied()
            .unwrap_or(0);

        let mut config = XceptionConfig::new()
            .with_in_channels(in_channels)
            .with_middle_blocks(middle_blocks)
            .with_residual(self.convs.len() > 2)
            .with_widths(Widths {
                stem: [last_side(conv1, "kernel"), last_side(conv2, "kernel")],
                entry: [width(1), width(3), width(5)],
                exit: [width(separables - 3), width(separables - 2), width(separables - 1)],
            });
        match self.denses.split_last() {
            None => config.include_top = false,
            Some((predictions, hidden)) => {
                config.num_classes = last_side(predictions, "kernel");
                config.hidden_layers = hidden.iter().map(|layer| last_side(layer, "kernel")).collect();
            }
        }
        Ok(config)
    }

    /// Pairs every layer's path with the path of its module here.
    ///
    /// A layer that has its Keras name goes where the name says. The rest, shortcuts without a stable name and whole files
    /// with automatic names, go by their order within their class.
    fn homes(&self, config: &XceptionConfig) -> Result<Vec<(String, String)>, String> {
        let homes = config.keras_layers();
        let mut names = Vec::with_capacity(homes.len());
        for (class, layers) in [
            (KerasClass::Conv2d, &self.convs),
            (KerasClass::SeparableConv2d, &self.separables),
            (KerasClass::BatchNormalization, &self.norms),
            (KerasClass::Dense, &self.denses),
        ] {
            let mut left: Vec<_> = homes.iter().filter(|home| home.class == class).collect();
            if left.len() != layers.len() {
                let (expected, found) = (left.len(), layers.len());
                return Err(format!("expected {expected} layers of class {class:?}, found {found}"));
            }
            let mut unnamed = Vec::new();
            for layer in layers {
                match left.iter().position(|home| home.layer == layer.name) {
                    Some(index) => names.push((layer.path.clone(), left.remove(index).path.clone())),
                    None => unnamed.push(layer),
                }
            }
            let pairs = unnamed.into_iter().zip(left);
            names.extend(pairs.map(|(layer, home)| (layer.path.clone(), home.path.clone())));
        }
        Ok(names)
    }
}

fn shape<'a>(layer: &'a KerasLayer, variable: &str) -> Option<&'a [usize]> {
    let mut variables = layer.variables.iter();
    variables
        .find(|found| found.name == variable)
        .map(|found| found.shape.as_slice())
}

/// Output channels: the last side of every Keras kernel.
fn last_side(layer: &KerasLayer, variable: &str) -> usize {
    shape(layer, variable).and_then(<[usize]>::last).copied().unwrap_or(0)
}

/// The rate of the last dropout.
fn dropout(layers: &[KerasLayer]) -> f64 {
    let rates = layers.iter().filter(|layer| layer.class.as_deref() == Some("Dropout"));
    let rate = |layer: &KerasLayer| {
        let config = layer.config.as_ref()?;
        // Keras 1 called it p.
        setting(config, "rate").or_else(|| setting(config, "p"))?.as_f64()
    };
    rates.rev().find_map(rate).unwrap_or(0.0)
}

/// How the model's config pools. A network that ends in its last feature map does not; what is neither is not known.
fn pooling(layers: &[KerasLayer]) -> Option<Pooling> {
    let class = |layer: &KerasLayer| match layer.class.as_deref() {
        Some("GlobalAveragePooling2D") => Some(Pooling::Average),
        Some("GlobalMaxPooling2D") => Some(Pooling::Max),
        _ => None,
    };
    let ends_in_map = |layer: &KerasLayer| matches!(layer.class.as_deref(), Some("Activation" | "ReLU"));
    layers
        .iter()
        .find_map(class)
        .or_else(|| layers.last().is_some_and(ends_in_map).then_some(Pooling::None))
}

/// The picture size the outermost input layer states.
fn input_size(layers: &[KerasLayer]) -> Option<[usize; 2]> {
    let inputs = layers
        .iter()
        .filter(|layer| layer.class.as_deref() == Some("InputLayer"));
    let outermost = inputs.min_by_key(|layer| layer.path.matches('/').count());
    let config = outermost?.config.as_ref()?;
    let shape = setting(config, "batch_shape").or_else(|| setting(config, "batch_input_shape"))?;
    let side = |index: usize| usize::try_from(shape.get(index)?.as_u64()?).ok();
    Some([side(1)?, side(2)?])
}

/// A key of a layer's own settings: its entry in the model's config holds them under `config`.
fn setting<'a>(config: &'a Value, key: &str) -> Option<&'a Value> {
    config.get("config").unwrap_or(config).get(key)
}
