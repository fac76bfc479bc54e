//! Keras weight files: what network a file holds, and where its layers live in ours.

use std::path::Path;

use burn::store::ModuleStore;
use burn::tensor::Device;
use keras_store::{KerasLayer, KerasStore};
use serde_json::Value;

use crate::config::{Pooling, Widths, XceptionConfig};
use crate::names::KerasClass;
use crate::spec::{InputSpec, ModelSpec};
use crate::weights::WeightsError;
use crate::xception::Xception;

/// Loads an Xception that Keras saved: `.keras`, `.weights.h5` or legacy `.h5`, with or without a classifier, alone or
/// nested in another model.
///
/// The network's options are read from the file: its classes, hidden layers, widths and middle blocks from the tensors'
/// shapes, its pooling, dropout, epsilon and input size from the model's config where the file has one.
///
/// # Errors
///
/// [`WeightsError::NotXception`] when the layers are not Xception's, [`WeightsError::Keras`] when the file is damaged or a
/// tensor does not fit.
pub(crate) fn load(path: &Path, device: &Device) -> Result<(Xception, ModelSpec), WeightsError> {
    let mut store = KerasStore::from_file(path);
    let not_xception = |problem: String| WeightsError::NotXception {
        path: path.to_owned(),
        problem,
    };
    let layers = store.layers()?;
    let weighted = Weighted::sort(layers).map_err(not_xception)?;
    let network = weighted
        .config()
        .and_then(|network| read_options(layers, network))
        .map_err(not_xception)?;
    let spec = ModelSpec {
        source: path.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        input: input_size(layers),
        labels: Vec::new(),
        network,
    };
    let names = weighted.homes(&spec.network).map_err(not_xception)?;

    let mut model = spec.network.init(device).map_err(|source| WeightsError::Config {
        path: path.to_owned(),
        source,
    })?;
    store.with_names(names).apply_to(&mut model)?;
    Ok((model, spec))
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

/// What shapes do not tell and the model's config does.
fn read_options(layers: &[KerasLayer], mut network: XceptionConfig) -> Result<XceptionConfig, String> {
    let epsilon = network.variant.epsilon();
    let last_dense = layers.iter().rposition(|layer| layer.class.as_deref() == Some("Dense"));
    for (index, layer) in layers.iter().enumerate() {
        let option = |key: &str| layer.config.as_ref().and_then(|config| setting(config, key));
        let problem =
            |expected: &str, found: &Value| Err(format!("layer {}: expected {expected}, found {found}", layer.path));
        match layer.class.as_deref() {
            Some("BatchNormalization") => {
                if let Some(found) = option("epsilon")
                    && found.as_f64() != Some(epsilon)
                {
                    return problem(&format!("Keras's epsilon {epsilon}"), found);
                }
            }
            Some("GlobalMaxPooling2D") => network.pooling = Pooling::Max,
            Some("Dropout") if index > 0 => {
                if let Some(rate) = option("rate").and_then(Value::as_f64) {
                    network.dropout = rate;
                }
            }
            Some("Dense") if Some(index) != last_dense => {
                if let Some(found) = option("activation")
                    && found != "relu"
                {
                    return problem("a hidden layer with activation relu", found);
                }
            }
            Some("Flatten") => return Err(format!("layer {}: Xception pools, and this flattens", layer.path)),
            _ => {}
        }
    }
    Ok(network)
}

/// The picture size the outermost input layer states.
fn input_size(layers: &[KerasLayer]) -> InputSpec {
    let inputs = layers
        .iter()
        .filter(|layer| layer.class.as_deref() == Some("InputLayer"));
    let outermost = inputs.min_by_key(|layer| layer.path.matches('/').count());
    let sides = outermost.and_then(|layer| layer.config.as_ref()).and_then(|config| {
        let shape = setting(config, "batch_shape").or_else(|| setting(config, "batch_input_shape"))?;
        let side = |index: usize| usize::try_from(shape.get(index)?.as_u64()?).ok();
        Some((side(1)?, side(2)?))
    });
    sides.map_or_else(InputSpec::default, |(height, width)| InputSpec {
        height,
        width,
        preset: None,
    })
}

/// A key of a layer's own settings: its entry in the model's config holds them under `config`.
fn setting<'a>(config: &'a Value, key: &str) -> Option<&'a Value> {
    config.get("config").unwrap_or(config).get(key)
}
