//! The formats.

use super::foreign::Foreign;

/// The format of a file or folder.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WeightFormat {
    /// A Burn record (`.bpk`).
    Record,
    /// A Keras file: an archive, HDF5, or the index of a file in shards.
    Keras,
    /// A PyTorch checkpoint.
    Torch,
    /// safetensors.
    Safetensors,
    /// ONNX.
    Onnx,
    /// A format that is not read.
    Foreign(Foreign),
}
