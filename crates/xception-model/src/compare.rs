//! A file's tensors beside the network's.

use burn::tensor::DType;

use crate::weights_error::TensorMismatch;
use crate::zoo::Architecture;

/// Compares names, shapes and types. No tensor's values are read.
pub(crate) fn compare<'a>(
    network: &Architecture,
    found: impl Iterator<Item = (&'a str, &'a [usize], DType)>,
) -> TensorMismatch {
    let mut left = network.tensor_shapes();
    let mut mismatch = TensorMismatch::default();
    for (name, shape, dtype) in found {
        match left.remove(name) {
            None => mismatch.unused.push(name.to_owned()),
            Some(expected) if expected != shape => {
                mismatch.shapes.push((name.to_owned(), expected, shape.to_vec()));
            }
            Some(_) if !dtype.is_float() => mismatch.dtypes.push(name.to_owned()),
            Some(_) => {}
        }
    }
    mismatch.missing = left.into_keys().collect();
    mismatch
}
