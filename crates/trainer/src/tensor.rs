//! Tensors on the host.

use burn::tensor::Tensor;

/// The values of a floating-point tensor, row-major.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().try_into_vec_as();
    data.unwrap_or_else(|error| unreachable!("every floating-point type converts to f32: {error}"))
}
