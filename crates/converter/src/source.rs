use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{InputSpec, ModelSpec, Pooling, Variant, XceptionConfig};

use crate::detect::{Kind, detect};
use crate::error::{ConvertError, Unknown};
use crate::{keras, onnx, record, safetensors, torch};

/// The format of a file that was read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Such as `Keras .keras archive` or `PyTorch checkpoint`.
    pub name: String,
    /// What wrote it, with its version, where the file says.
    pub writer: Option<String>,
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.name)?;
        self.writer
            .as_ref()
            .map_or(Ok(()), |writer| write!(f, ", written by {writer}"))
    }
}

/// What the caller knows about a file. It fills what the file does not say; where the file says something else about the
/// network, that is an error.
#[derive(Clone, Debug, Default)]
pub struct Known {
    /// Height and width of its pictures, in pixels.
    pub size: Option<[usize; 2]>,
    /// How the last feature map is pooled.
    pub pooling: Option<Pooling>,
    /// Whose batch-norm epsilon and pool padding it has.
    pub variant: Option<Variant>,
    /// How its pictures are resized.
    pub preset: Option<Preset>,
    /// The names of its classes, in order.
    pub labels: Vec<Label>,
    /// The entry of a PyTorch checkpoint that holds the weights, such as `model_ema`.
    pub key: Option<String>,
}

/// A tensor of a file, under the name of the network.
#[derive(Clone)]
pub struct SourceTensor {
    /// Its name in the file.
    pub origin: String,
    /// Its values in Burn's layout, read when they are asked for. Its name is that of the network.
    pub tensor: PackTensor,
}

impl SourceTensor {
    /// A tensor that has the network's own name in the file.
    pub(crate) fn own(tensor: PackTensor) -> Self {
        Self {
            origin: tensor.name.clone(),
            tensor,
        }
    }

    /// Its values.
    pub(crate) fn read(&self, path: &Path) -> Result<TensorData, ConvertError> {
        bridge::to_data(&self.tensor)
            .map_err(|error| ConvertError::damaged(path, format_args!("{}: {error}", self.origin)))
    }
}

impl fmt::Debug for SourceTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PackTensor { name, dtype, shape, .. } = &self.tensor;
        write!(f, "{} as {name}, {dtype:?} {shape:?}", self.origin)
    }
}

/// A weight file taken apart. No tensor is read before it is asked for.
#[derive(Debug)]
pub struct Source {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The network it holds, what it is fed, and its labels.
    pub spec: ModelSpec,
    /// Its tensors. Their names need not be the network's: [`convert`](Self::convert) compares.
    pub tensors: Vec<SourceTensor>,
    /// Tensors that are no part of a network, such as counters of training steps.
    pub ignored: Vec<String>,
}

/// What a reader finds in a file. What the file leaves open is `None`.
pub(crate) struct Found {
    pub format: Format,
    /// Where the weights came from, if the file says.
    pub source: Option<String>,
    /// Where `pooling` and `variant` are `None` below, its own are placeholders.
    pub network: XceptionConfig,
    pub size: Option<[usize; 2]>,
    pub pooling: Option<Pooling>,
    pub variant: Option<Variant>,
    pub multi_label: bool,
    pub preset: Option<Preset>,
    pub labels: Vec<Label>,
    pub tensors: Vec<SourceTensor>,
    pub ignored: Vec<String>,
}

impl Found {
    /// A file that says no more than its tensors do.
    pub fn new(format: Format, network: XceptionConfig, tensors: Vec<SourceTensor>) -> Self {
        Self {
            format,
            source: None,
            network,
            size: None,
            pooling: None,
            variant: None,
            multi_label: false,
            preset: None,
            labels: Vec::new(),
            tensors,
            ignored: Vec::new(),
        }
    }

    /// A file that holds its own description.
    pub fn described(format: Format, spec: ModelSpec, tensors: Vec<SourceTensor>) -> Self {
        Self {
            source: Some(spec.source),
            size: Some([spec.input.height, spec.input.width]),
            pooling: Some(spec.network.pooling),
            variant: Some(spec.network.variant),
            multi_label: spec.multi_label,
            preset: spec.input.preset,
            labels: spec.labels,
            ..Self::new(format, spec.network, tensors)
        }
    }

    /// A file whose tensors have the network's names, and that says no more.
    pub fn bare(path: &Path, format: Format, tensors: Vec<SourceTensor>) -> Result<Self, ConvertError> {
        let network = network_of(&tensors).map_err(|problem| ConvertError::NotXception {
            path: path.to_owned(),
            problem,
        })?;
        Ok(Self::new(format, network, tensors))
    }
}

/// Takes a weight file apart. Its format is found from its content.
///
/// # Errors
///
/// When the file cannot be read, is damaged, holds no Xception, or leaves open what `known` does not say.
pub fn open(path: &Path, known: &Known) -> Result<Source, ConvertError> {
    let found = match detect(path)? {
        Kind::Keras => keras::read(path)?,
        Kind::Torch => torch::read(path, known.key.as_deref())?,
        Kind::Safetensors => safetensors::read(path)?,
        Kind::Onnx => onnx::read(path, known.variant)?,
        Kind::Record => record::read(path)?,
    };
    complete(path, found, known)
}

/// A file's tensors under its own names, whatever network they are of.
pub(crate) struct Raw {
    pub format: Format,
    pub tensors: Vec<SourceTensor>,
    /// Entries that are no tensors of numbers.
    pub ignored: Vec<String>,
}

impl Raw {
    pub fn new(name: impl Into<String>, tensors: Vec<PackTensor>) -> Self {
        Self {
            format: Format {
                name: name.into(),
                writer: None,
            },
            tensors: tensors.into_iter().map(SourceTensor::own).collect(),
            ignored: Vec::new(),
        }
    }
}

/// Lists a file's tensors; `key` is the entry of a PyTorch checkpoint that holds them.
pub(crate) fn raw(path: &Path, key: Option<&str>) -> Result<Raw, ConvertError> {
    match detect(path)? {
        Kind::Keras => keras::raw(path),
        Kind::Torch => torch::raw(path, key),
        Kind::Safetensors => safetensors::raw(path),
        Kind::Onnx => onnx::raw(path),
        Kind::Record => record::raw(path),
    }
}

/// Fills what the file leaves open.
fn complete(path: &Path, found: Found, known: &Known) -> Result<Source, ConvertError> {
    let mut unknown = Vec::new();
    let size = known.size.or(found.size);
    if size.is_none() {
        unknown.push(Unknown::Size);
    }
    let pooling = agree(path, "--pooling", known.pooling, found.pooling)?;
    if pooling.is_none() {
        unknown.push(Unknown::Pooling);
    }
    let variant = agree(path, "--variant", known.variant, found.variant)?;
    if variant.is_none() {
        unknown.push(Unknown::Variant);
    }
    let (Some([height, width]), Some(pooling), Some(variant)) = (size, pooling, variant) else {
        return Err(ConvertError::Unknown {
            path: path.to_owned(),
            unknown,
        });
    };
    let network = found.network.with_pooling(pooling).with_variant(variant);
    network.validate().map_err(|source| ConvertError::Config {
        path: path.to_owned(),
        source,
    })?;
    Ok(Source {
        path: path.to_owned(),
        format: found.format,
        spec: ModelSpec {
            source: found
                .source
                .unwrap_or_else(|| path.file_name().unwrap_or_default().to_string_lossy().into_owned()),
            multi_label: found.multi_label,
            input: InputSpec {
                height,
                width,
                preset: known.preset.or(found.preset),
            },
            labels: if known.labels.is_empty() {
                found.labels
            } else {
                known.labels.clone()
            },
            network,
        },
        tensors: found.tensors,
        ignored: found.ignored,
    })
}

/// What is known of both sides must agree: a flag never turns a network into another.
fn agree<T: Copy + PartialEq + fmt::Debug>(
    path: &Path,
    flag: &'static str,
    known: Option<T>,
    found: Option<T>,
) -> Result<Option<T>, ConvertError> {
    match (known, found) {
        (Some(said), Some(found)) if said != found => Err(ConvertError::Contradiction {
            path: path.to_owned(),
            flag,
            said: format!("{said:?}").to_lowercase(),
            found: format!("{found:?}").to_lowercase(),
        }),
        _ => Ok(known.or(found)),
    }
}

/// The network whose tensors these are, by their names and shapes. Pooling and variant are not to be seen in shapes.
pub(crate) fn network_of(tensors: &[SourceTensor]) -> Result<XceptionConfig, String> {
    let shapes: BTreeMap<&str, &[usize]> = tensors
        .iter()
        .map(|entry| (entry.tensor.name.as_str(), &entry.tensor.shape[..]))
        .collect();
    let side = |name: &str, axis: usize| {
        let shape = shapes.get(name).ok_or_else(|| format!("it has no {name}"))?;
        shape
            .get(axis)
            .copied()
            .ok_or_else(|| format!("{name} has the shape {shape:?}"))
    };
    let pointwise = |path: &str| side(&format!("{path}.pointwise.weight"), 0);
    let count = |prefix: &str| {
        let blocks = shapes
            .keys()
            .filter_map(|name| name.strip_prefix(prefix)?.split_once('.'));
        let mut numbers: Vec<&str> = blocks.map(|(number, _)| number).collect();
        numbers.sort_unstable();
        numbers.dedup();
        numbers.len()
    };
    let middle_blocks = count("middle.block");
    let exit = |index: usize| format!("exit.block{}", 5 + middle_blocks + index);
    let mut network = XceptionConfig::new()
        .with_middle_blocks(middle_blocks)
        .with_in_channels(side("block1.conv1.conv.weight", 1)?)
        .with_residual(shapes.contains_key("entry.block2.residual.conv.weight"))
        .with_widths(xception_model::Widths {
            stem: [
                side("block1.conv1.conv.weight", 0)?,
                side("block1.conv2.conv.weight", 0)?,
            ],
            entry: [
                pointwise("entry.block2.sepconv2")?,
                pointwise("entry.block3.sepconv2")?,
                pointwise("entry.block4.sepconv2")?,
            ],
            exit: [
                pointwise(&format!("{}.sepconv2", exit(0)))?,
                pointwise(&format!("{}.sepconv1", exit(1)))?,
                pointwise(&format!("{}.sepconv2", exit(1)))?,
            ],
        });
    if shapes.contains_key("head.predictions.weight") {
        network.num_classes = side("head.predictions.weight", 1)?;
        network.hidden_layers = (0..count("head.hidden."))
            .map(|index| side(&format!("head.hidden.{index}.weight"), 1))
            .collect::<Result<_, _>>()?;
    } else {
        network.include_top = false;
    }
    Ok(network)
}
