//! The layers and variables of a Keras file, under Keras's names.

use std::fmt;
use std::sync::Arc;

use burn::tensor::DType;
use serde_json::Value;

use crate::hdf5::H5Dataset;

/// A layer of a Keras model with its variables in the file.
///
/// A layer without variables (an input, an activation) is listed if the file names it. A model inside the model is not
/// listed itself; its layers are, with a longer path.
#[derive(Debug, Clone, PartialEq)]
pub struct KerasLayer {
    /// The layer's name after the names of the models around it: `block1_conv1` or `xception/block1_conv1`. An object
    /// that a layer owns is named by its attribute: `lstm/cell`.
    pub path: String,
    /// The layer's own name; the last part of `path` if the file does not hold the name.
    pub name: String,
    /// `Conv2D`, `BatchNormalization`, ...; `None` in a weights-only legacy file.
    pub class: Option<String>,
    /// The layer's entry in the model's config, if the file has the config.
    pub config: Option<Value>,
    /// The layer's variables, in the order of the file.
    pub variables: Vec<KerasVariable>,
}

/// A variable of a layer.
#[derive(Debug, Clone, PartialEq)]
pub struct KerasVariable {
    /// Keras's current name: `kernel`, `bias`, `gamma`, `beta`, `moving_mean`, `moving_variance`, `depthwise_kernel`,
    /// `pointwise_kernel`, `embeddings`, ... If the name is unknown, the variable's number in the file (`0`, `1`, ...).
    pub name: String,
    /// The shape as Keras stores it, such as `[height, width, in, out]` for a `Conv2D` kernel.
    pub shape: Vec<usize>,
    /// The type as Keras stores it.
    pub dtype: DType,
}

/// The layout of a file.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum KerasFormat {
    /// A `.keras` archive (Keras 3, TF >= 2.11).
    Keras3Archive {
        /// The version that wrote it, from `metadata.json`.
        keras_version: Option<String>,
    },
    /// A bare `.weights.h5` (Keras 3, TF >= 2.12), or one sharded behind a `.weights.json`
    /// (Keras >= 3.10).
    Keras3Weights {
        /// Number of HDF5 files that hold the weights.
        files: usize,
    },
    /// A weights-only legacy `.h5` (Keras 1, Keras 2, tf.keras).
    LegacyWeights {
        /// The Keras version that wrote it; Keras 1 did not record one.
        keras_version: Option<String>,
    },
    /// A whole model in a legacy `.h5` (Keras 1 to 3).
    LegacyModel {
        /// The version that wrote it.
        keras_version: Option<String>,
    },
}

impl KerasFormat {
    /// The Keras version that wrote the file, if the file records it.
    pub fn keras_version(&self) -> Option<&str> {
        match self {
            Self::Keras3Archive { keras_version }
            | Self::LegacyWeights { keras_version }
            | Self::LegacyModel { keras_version } => keras_version.as_deref(),
            Self::Keras3Weights { .. } => None,
        }
    }
}

impl fmt::Display for KerasFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Keras3Archive { .. } => write!(f, ".keras archive")?,
            Self::Keras3Weights { files: 1 } => write!(f, ".weights.h5")?,
            Self::Keras3Weights { files } => write!(f, ".weights.json with {files} shards")?,
            Self::LegacyWeights { .. } => write!(f, "legacy .h5, weights only")?,
            Self::LegacyModel { .. } => write!(f, "legacy .h5, whole model")?,
        }
        if let Some(version) = self.keras_version() {
            write!(f, ", Keras {version}")?;
        }
        Ok(())
    }
}

/// A layer and, for each of its `variables`, the place of the values.
pub(crate) struct StoredLayer {
    pub(crate) layer: KerasLayer,
    pub(crate) data: Vec<Arc<H5Dataset>>,
}

/// A variable whose type no tensor has.
pub(crate) struct UnknownType {
    pub(crate) place: String,
}

impl KerasVariable {
    pub(crate) fn of(name: String, place: &str, dataset: &H5Dataset) -> Result<Self, UnknownType> {
        let dtype = dataset.dtype().ok_or_else(|| UnknownType {
            place: place.to_owned(),
        })?;
        Ok(Self {
            name,
            shape: dataset.shape.clone(),
            dtype,
        })
    }
}
