use std::collections::BTreeMap;
use std::fmt;
use std::path::{Path, PathBuf};

use burn::tensor::TensorData;
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::keras::Policy;
use xception_model::zoo::of_record_names;
use xception_model::{Description, ModelSpec};

use crate::error::ConvertError;

/// The format of an input file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Format {
    /// Name such as `Keras .keras archive` or `PyTorch checkpoint`.
    pub name: String,
    /// The program that wrote the file, with its version, if the file says.
    pub writer: Option<String>,
}

impl Format {
    /// Whether the tensors have the names of a PyTorch library.
    pub(crate) fn is_torch(&self) -> bool {
        self.name.ends_with("'s names")
    }
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
pub struct FileTensor {
    /// The tensor's name in the file.
    pub origin: String,
    /// The values in Burn's layout, read when they are requested, under the network's name.
    pub tensor: PackTensor,
}

impl FileTensor {
    /// A tensor whose name in the file is the network's name.
    pub(crate) fn own(tensor: PackTensor) -> Self {
        Self {
            origin: tensor.name.clone(),
            tensor,
        }
    }

    /// Reads the values.
    pub(crate) fn read(&self, path: &Path) -> Result<TensorData, ConvertError> {
        bridge::to_data(&self.tensor)
            .map_err(|error| ConvertError::damaged(path, format_args!("{}: {error}", self.origin)))
    }
}

impl fmt::Debug for FileTensor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let PackTensor { name, dtype, shape, .. } = &self.tensor;
        write!(f, "{} as {name}, {dtype:?} {shape:?}", self.origin)
    }
}

/// An opened weight file. The values of tensors are read when they are requested.
#[derive(Debug)]
pub struct WeightFile {
    /// The file.
    pub path: PathBuf,
    /// Its format.
    pub format: Format,
    /// The network, its input, and its labels.
    pub spec: ModelSpec,
    /// The tensors. Their names may differ from the network's: [`convert`](Self::convert) compares them.
    pub tensors: Vec<FileTensor>,
    /// Tensors that are not part of a network, such as counters of training steps.
    pub ignored: Vec<String>,
    /// The stages that the file's own engine can output, too.
    pub stages: Vec<Stage>,
    /// Whether the file scales pictures itself. Then the file takes 0..255, and the network takes pictures scaled by
    /// [`InputSpec::scaling`](xception_model::InputSpec::scaling).
    pub scales_pictures: bool,
    /// The type of numbers in which Keras computes with it, where that is not 32-bit.
    pub policy: Option<Policy>,
}

/// A named output of the network that the file computes too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stage {
    /// The stage's name in the network.
    pub name: String,
    /// The path of a Keras layer, or the name of an ONNX tensor.
    pub place: String,
    /// Whether a four-dimensional ONNX tensor has its channels last.
    pub channels_last: bool,
}

/// The result of reading a file.
pub(crate) struct FileContents {
    pub format: Format,
    pub description: Description,
    pub tensors: Vec<FileTensor>,
    pub ignored: Vec<String>,
    pub stages: Vec<Stage>,
    pub scales_pictures: bool,
    pub policy: Option<Policy>,
}

impl FileContents {
    pub fn new(format: Format, description: Description, tensors: Vec<FileTensor>) -> Self {
        Self {
            format,
            description,
            tensors,
            ignored: Vec::new(),
            stages: Vec::new(),
            scales_pictures: false,
            policy: None,
        }
    }

    /// A file whose tensors have the network's names and which says nothing more about the network.
    pub fn of_tensors(path: &Path, format: Format, tensors: Vec<FileTensor>) -> Result<Self, ConvertError> {
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

/// A file's tensors under their names in the file, whatever network they belong to.
pub(crate) struct RawTensors {
    pub format: Format,
    pub tensors: Vec<FileTensor>,
    /// Entries that are not tensors of numbers.
    pub ignored: Vec<String>,
}

impl RawTensors {
    pub fn new(name: impl Into<String>, tensors: Vec<PackTensor>) -> Self {
        Self {
            format: Format {
                name: name.into(),
                writer: None,
            },
            tensors: tensors.into_iter().map(FileTensor::own).collect(),
            ignored: Vec::new(),
        }
    }
}
