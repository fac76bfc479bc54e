use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Bytes, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::{Error as PackError, Reader, Tensor as PackTensor};
use xception_model::{Description, WeightsError};

use crate::error::ConvertError;
use crate::weight_file::{FileContents, FileTensor, Format, RawTensors};

/// Reads a Burn record: one of ours, which describes its network, or one that Burn saved from an architecture of the
/// zoo.
pub(crate) fn read(path: &Path) -> Result<FileContents, ConvertError> {
    let format = Format {
        name: "Burn record".to_owned(),
        writer: None,
    };
    match xception_model::read_record(path) {
        Ok((spec, tensors)) => Ok(FileContents::new(
            format,
            Description::of_spec(spec),
            named(path, tensors)?,
        )),
        Err(WeightsError::NoSpec { .. }) => FileContents::of_tensors(path, format, list(path)?),
        Err(error) => Err(error.into()),
    }
}

/// The tensors of a record of any network.
pub(crate) fn raw(path: &Path) -> Result<RawTensors, ConvertError> {
    Ok(RawTensors {
        tensors: list(path)?,
        ..RawTensors::new("Burn record", Vec::new())
    })
}

fn list(path: &Path) -> Result<Vec<FileTensor>, ConvertError> {
    let tensors = Reader::from_file_exact(path)
        .and_then(Reader::into_tensors)
        .map_err(|error| ConvertError::damaged(path, error))?;
    named(path, tensors)
}

fn named(path: &Path, tensors: Vec<PackTensor>) -> Result<Vec<FileTensor>, ConvertError> {
    let length = std::fs::metadata(path)
        .map_err(|source| ConvertError::Read {
            path: path.to_owned(),
            source,
        })?
        .len();
    let whole: Arc<(PathBuf, u64)> = Arc::new((path.to_owned(), length));
    Ok(tensors
        .into_iter()
        .map(|tensor| FileTensor::own(checked(tensor, Arc::clone(&whole))))
        .collect())
}

/// Burn's reader opens the file again for each tensor, and panics if the file has become shorter.
fn checked(tensor: PackTensor, whole: Arc<(PathBuf, u64)>) -> PackTensor {
    let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
    let declared = shape.clone();
    bridge::deferred(name, dtype, shape, None, move || {
        let (path, length) = &*whole;
        if !std::fs::metadata(path).is_ok_and(|now| now.len() == *length) {
            return Err(PackError::IoError("the file changed while it was read".to_owned()));
        }
        // Reads here, where a panic is caught.
        let bytes = tensor.to_bytes()?.to_vec();
        TensorData::try_from_bytes(Bytes::from_bytes_vec(bytes), declared.clone(), dtype)
            .map_err(|error| PackError::TensorBytesSizeMismatch(error.to_string()))
    })
}
