//! Writes a module as a Keras file: matches its tensors to the variables of the Keras model, lays out the file, writes
//! it beside its final place, and renames it.

mod archive;
mod hdf5;
mod keras3;
mod legacy;
mod model;
mod variables;
mod version;

use std::collections::{BTreeMap, HashSet};
use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::Path;

use burn::tensor::DType;
use burn_store::burn_pack::Tensor as PackTensor;
use files::{FileError, NewFile};
use serde_json::Value;

use crate::compare::suggest;
use crate::error::{DTypeMismatch, Direction, KerasStoreError, Mismatch, NameMismatch, ShapeMismatch, ValueMismatch};
use crate::kind::KerasFileKind;
use crate::layout::{Arrangement, NOT_FINITE, all_finite, burn_variable};
use crate::naming::Naming;
use crate::write::hdf5::{FilePlan, NewDataset, NewGroup, NotWritten};
use crate::write::model::{Model, Unusable, Variable};

/// What the caller wants to write.
pub(crate) struct Request<'a> {
    pub(crate) path: &'a Path,
    pub(crate) kind: KerasFileKind,
    pub(crate) config: &'a Value,
    pub(crate) naming: &'a Naming,
    pub(crate) overwrite: bool,
    pub(crate) allow_unused: bool,
    pub(crate) allow_non_finite: bool,
}

/// Refuses early what the final rename would refuse late.
pub(crate) fn check_free(path: &Path, overwrite: bool) -> Result<(), KerasStoreError> {
    files::check_target(path, overwrite).map_err(|error| file_error(path, error))
}

/// Writes the file, entirely or not at all.
pub(crate) fn write(request: &Request<'_>, tensors: Vec<PackTensor>) -> Result<(), KerasStoreError> {
    let path = request.path;
    let unusable = |reason: String| KerasStoreError::Config {
        path: path.into(),
        reason,
    };
    let model = Model::of(request.config).map_err(|e| match e {
        Unusable::Config(reason) => unusable(reason),
        Unusable::Layers(layers) => KerasStoreError::UnknownLayers {
            path: path.into(),
            layers,
        },
    })?;
    if request.kind == KerasFileKind::Archive && request.config.get("module").is_none() {
        return Err(unusable(
            "it is one of a legacy .h5, and Keras 3 builds a .keras from its own alone; load the model in \
             Keras 3 and take `model.to_json()`, or write a legacy .h5"
                .into(),
        ));
    }
    let config = request.config.to_string();
    archive::check_config(&config).map_err(unusable)?;

    let values = match_up(request, &model, tensors)?;
    if request.kind.is_legacy() && values.iter().any(|value| value.tensor.dtype == DType::BF16) {
        return Err(KerasStoreError::Unsupported {
            path: path.into(),
            what: "bfloat16 in a legacy .h5, which Keras itself cannot load".into(),
            way_out: "write a .keras or a .weights.h5, or cast the tensors with `with_to_adapter`".into(),
        });
    }
    let datasets: Vec<NewDataset> = values
        .iter()
        .enumerate()
        .map(|(tensor, value)| NewDataset {
            shape: value.shape.clone(),
            dtype: value.tensor.dtype,
            tensor,
        })
        .collect();
    let tree: Result<NewGroup, String> = match request.kind {
        KerasFileKind::Archive | KerasFileKind::Weights => keras3::tree(&model.root, &datasets),
        KerasFileKind::LegacyModel => legacy::model(&model, &datasets, &config),
        KerasFileKind::LegacyWeights => legacy::weights(&model, &datasets),
    };
    let plan = tree.and_then(|tree| FilePlan::of(&tree)).map_err(unusable)?;

    let mut new = NewFile::create(path, request.overwrite).map_err(|error| file_error(path, error))?;
    let file = new
        .file()
        .try_clone()
        .map_err(|error| not_written(path, &error.to_string()))?;
    let give = |tensor: usize, out: &mut dyn Write| values[tensor].write(out);
    let written = match request.kind {
        KerasFileKind::Archive => archive::write(file, &config, &plan, give),
        _ => bare(file, &plan, give),
    };
    written.map_err(|error| match error {
        NotWritten::Io(error) => not_written(path, &error.to_string()),
        NotWritten::Tensor(value) => {
            let mut found = Mismatch::new(path.into(), Direction::Saving);
            found.values.push(value);
            KerasStoreError::Mismatch(Box::new(found))
        }
    })?;
    new.publish().map_err(|error| file_error(path, error))
}

/// Writes an HDF5 file that is not in an archive.
fn bare<E>(
    file: File,
    plan: &FilePlan,
    values: impl FnMut(usize, &mut dyn Write) -> Result<(), NotWritten<E>>,
) -> Result<File, NotWritten<E>> {
    let mut out = BufWriter::new(file);
    plan.write(&mut out, values)?;
    out.into_inner().map_err(|error| NotWritten::Io(error.into_error()))
}

/// A tensor of the module and the variable that it becomes.
struct Match {
    tensor: PackTensor,
    arrangement: Arrangement,
    /// The shape in Keras.
    shape: Vec<usize>,
}

impl Match {
    fn write(&self, out: &mut dyn Write) -> Result<(), NotWritten<ValueMismatch>> {
        let bytes = self
            .tensor
            .to_bytes()
            .map_err(|error| NotWritten::Tensor(self.unreadable(&error)))?;
        self.arrangement
            .write(&bytes, &self.shape, self.tensor.dtype.size(), out)
            .map_err(NotWritten::Io)
    }

    fn unreadable(&self, reason: &dyn std::fmt::Display) -> ValueMismatch {
        ValueMismatch {
            name: self.tensor.name.clone(),
            reason: reason.to_string(),
        }
    }
}

/// Finds the module's tensor for each variable of the model, in the model's order. Every difference is listed before
/// the first byte is written.
fn match_up(request: &Request<'_>, model: &Model, tensors: Vec<PackTensor>) -> Result<Vec<Match>, KerasStoreError> {
    let separable: HashSet<&str> = model
        .variables
        .iter()
        .filter(|variable| variable.needed.name == "pointwise_kernel")
        .map(|variable| variable.layer.as_str())
        .collect();
    let mut given: BTreeMap<String, PackTensor> = tensors
        .into_iter()
        .map(|tensor| (tensor.name.clone(), tensor))
        .collect();
    let mut found = Mismatch::new(request.path.into(), Direction::Saving);
    let mut matches = Vec::with_capacity(model.variables.len());
    for variable in &model.variables {
        let Variable {
            layer, class, needed, ..
        } = variable;
        let (suffix, arrangement) = burn_variable(
            Some(class),
            separable.contains(layer.as_str()),
            needed.name,
            needed.shape.len(),
        );
        let key = request.naming.key(layer, suffix);
        let expected = || arrangement.shape(&needed.shape.iter().map(|side| side.unwrap_or(0)).collect::<Vec<_>>());
        let Some(tensor) = given.remove(&key) else {
            found.missing.push(NameMismatch {
                name: key,
                shape: expected(),
                nearest: None,
            });
            continue;
        };
        let multiplier = needed.shape.last().copied().flatten().unwrap_or(1);
        let shape = arrangement.keras_shape(&tensor.shape, multiplier).filter(|shape| {
            let sides = shape.iter().zip(&needed.shape);
            shape.len() == needed.shape.len()
                && sides
                    .into_iter()
                    .all(|(side, needed)| needed.is_none_or(|n| n == *side))
        });
        if !tensor.dtype.is_float() {
            found.dtypes.push(DTypeMismatch {
                name: key,
                expected: "float",
                found: tensor.dtype,
            });
        } else if let Some(shape) = shape {
            matches.push(Match {
                tensor,
                arrangement,
                shape,
            });
        } else {
            found.shapes.push(ShapeMismatch {
                name: key,
                expected: expected(),
                found: tensor.shape.to_vec(),
            });
        }
    }
    if !request.allow_unused {
        found.unused = given
            .into_values()
            .map(|tensor| NameMismatch {
                name: tensor.name.clone(),
                shape: tensor.shape.to_vec(),
                nearest: None,
            })
            .collect();
    }
    suggest(
        &mut found,
        &matches.iter().map(|m| m.tensor.name.as_str()).collect::<Vec<_>>(),
    );
    if found.is_empty() && !request.allow_non_finite {
        for value in &matches {
            match value.tensor.to_bytes() {
                Err(error) => found.values.push(value.unreadable(&error)),
                Ok(bytes) if !all_finite(&bytes, value.tensor.dtype) => {
                    found.values.push(value.unreadable(&NOT_FINITE));
                }
                Ok(_) => {}
            }
        }
    }
    if found.is_empty() {
        Ok(matches)
    } else {
        Err(KerasStoreError::Mismatch(Box::new(found)))
    }
}

fn not_written(path: &Path, reason: &str) -> KerasStoreError {
    KerasStoreError::Write {
        path: path.into(),
        reason: reason.into(),
    }
}

fn file_error(path: &Path, error: FileError) -> KerasStoreError {
    match error {
        FileError::Exists { .. } => KerasStoreError::Exists { path: path.into() },
        FileError::Folder { .. } => not_written(path, "it is a directory"),
        other => not_written(path, &other.into_io().to_string()),
    }
}
