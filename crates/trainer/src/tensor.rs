//! Tensors on the host, and passes over tensors.

use burn::tensor::Tensor;

/// The values of a floating-point tensor, row-major.
pub(crate) fn numbers<const D: usize>(tensor: Tensor<D>) -> Vec<f32> {
    let data = tensor.into_data().try_into_vec_as();
    data.unwrap_or_else(|error| unreachable!("every floating-point type converts to f32: {error}"))
}

/// On the processor each is one pass with all threads.
#[cfg(feature = "flex")]
pub(crate) use xception_model::updates::{averaged, scaled, squared_norm};

/// `old * decay + new * (1 - decay)`.
#[cfg(not(feature = "flex"))]
pub(crate) fn averaged<const D: usize>(old: Tensor<D>, new: Tensor<D>, decay: f64) -> Tensor<D> {
    old * decay + new * (1.0 - decay)
}

/// The product with a number.
#[cfg(not(feature = "flex"))]
pub(crate) fn scaled<const D: usize>(tensor: Tensor<D>, factor: f64) -> Tensor<D> {
    tensor * factor
}

/// The sum of all squares.
#[cfg(not(feature = "flex"))]
pub(crate) fn squared_norm<const D: usize>(tensor: Tensor<D>) -> f64 {
    f64::from(tensor.square().sum().into_scalar::<f32>())
}

/// Gives memory that training steps have used back to the system.
pub(crate) fn release_memory() {
    #[cfg(feature = "flex")]
    xception_model::release_training_memory();
}
