//! ONNX: reading exports of Keras and timm, and writing our own.

use std::path::Path;

use xception_model::{ModelSpec, Xception};

use crate::error::ConvertError;
use crate::source::Found;

pub(crate) fn read(path: &Path) -> Result<Found, ConvertError> {
    Err(ConvertError::damaged(path, "ONNX is not read yet"))
}

pub(crate) fn write(_model: &Xception, _spec: &ModelSpec, path: &Path, _overwrite: bool) -> Result<(), ConvertError> {
    Err(ConvertError::write(path, "ONNX is not written yet"))
}
