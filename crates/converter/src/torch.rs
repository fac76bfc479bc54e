//! Reads PyTorch checkpoints, and writes PyTorch's names.

mod write;

use std::path::Path;

use burn_store::burn_pack::Tensor as PackTensor;
use xception_model::torch::{self, TorchNetwork};
use xception_model::{Known, WeightsError};

pub(crate) use self::write::torch_tensors;
use crate::error::ConvertError;
use crate::weight_file::{FileContents, FileTensor, Format, RawTensors};

/// Reads a checkpoint; with `no_top` its backbone alone. `known` says which entry holds the weights, where there are
/// several.
pub(crate) fn read(path: &Path, known: &Known, no_top: bool) -> Result<FileContents, ConvertError> {
    let (container, tensors) = torch::tensors(path, known.key.as_deref()).map_err(own_error)?;
    named(path, tensors, container, known, no_top)
}

/// The tensors of a checkpoint of any network.
pub(crate) fn raw(path: &Path, key: Option<&str>) -> Result<RawTensors, ConvertError> {
    let (container, tensors) = torch::tensors(path, key).map_err(own_error)?;
    Ok(RawTensors::new(container, tensors))
}

/// A PyTorch network's tensors, of whatever container, as ours.
pub(crate) fn named(
    path: &Path,
    tensors: Vec<PackTensor>,
    container: &str,
    known: &Known,
    no_top: bool,
) -> Result<FileContents, ConvertError> {
    let TorchNetwork {
        description,
        tensors,
        ignored,
        library,
    } = torch::named(path, tensors, known, no_top)?;
    let format = Format {
        name: format!("{container} with {library}'s names"),
        writer: None,
    };
    let tensors = tensors.into_iter();
    let tensors = tensors.map(|(origin, tensor)| FileTensor { origin, tensor }).collect();
    let mut found = FileContents::new(format, description, tensors);
    found.ignored = ignored;
    Ok(found)
}

fn own_error(error: WeightsError) -> ConvertError {
    match error {
        WeightsError::Damaged { path, problem } => ConvertError::Damaged { path, problem },
        error => error.into(),
    }
}
