use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::zoo::of_record_names;
use xception_model::{Description, ModelSpec};

use crate::error::ConvertError;

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
    /// Where the engine that the file was made for computes the network's stages.
    pub stages: Vec<Stage>,
    /// Whether the file scales its pictures itself: it takes 0..255, and the network what
    /// [`InputSpec::scaling`](xception_model::InputSpec::scaling) makes of that.
    pub scales_pictures: bool,
}

/// A stage of the network that the file computes too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// Its name in the network.
    pub name: String,
    /// The path of a Keras layer, or the name of an ONNX tensor.
    pub place: String,
    /// Whether an ONNX tensor of four dimensions has its channels last.
    pub channels_last: bool,
}

/// What a reader finds in a file.
pub(crate) struct Found {
    pub format: Format,
    pub description: Description,
    pub tensors: Vec<SourceTensor>,
    pub ignored: Vec<String>,
    pub stages: Vec<Stage>,
    pub scales_pictures: bool,
}

impl Found {
    pub fn new(format: Format, description: Description, tensors: Vec<SourceTensor>) -> Self {
        Self {
            format,
            description,
            tensors,
            ignored: Vec::new(),
            stages: Vec::new(),
            scales_pictures: false,
        }
    }

    /// A file whose tensors have the network's names, and that says no more.
    pub fn bare(path: &Path, format: Format, tensors: Vec<SourceTensor>) -> Result<Self, ConvertError> {
        let shapes: BTreeMap<String, Vec<usize>> = tensors
            .iter()
            .map(|entry| (entry.tensor.name.clone(), entry.tensor.shape.to_vec()))
            .collect();
        let network = of_record_names(&shapes).map_err(|problem| ConvertError::NoNetwork {
            path: path.to_owned(),
            problem,
        })?;
        Ok(Self::new(format, Description::new(network), tensors))
    }
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
