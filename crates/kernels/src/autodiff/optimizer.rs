//! Passes over weights after the backward pass, on Burn's tensors without autodiff.

use burn::backend::flex::FlexTensor;
use burn::backend::{BackendTensor, DType, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind};
use burn::tensor::Tensor;

use crate::simd::isa::Isa;
use crate::train::optimizer::{AdamWUpdate, SgdUpdate, mix, scale, sum_of_squares};

/// Tensors that a kernel takes, or the same ones back.
type Taken<const D: usize, const N: usize> = Result<[FlexTensor; N], [Tensor<D>; N]>;

/// Takes tensors of one shape, in Burn's order, on `Flex`.
fn take<const D: usize, const N: usize>(tensors: [Tensor<D>; N]) -> Taken<D, N> {
    let shape = tensors[0].shape();
    let dispatched = tensors.map(Tensor::into_dispatch);
    let fits = |tensor: &DispatchTensor| match (&tensor.kind, tensor.autodiff) {
        (DispatchTensorKind::Flex(BackendTensor::Float(own)), DispatchAutodiffContext::Disabled) => {
            own.dtype() == DType::F32
                && own.is_contiguous()
                && own.layout().start_offset() == 0
                && own.layout().shape() == &shape
                && own.storage::<f32>().len() == shape.num_elements()
        }
        _ => false,
    };
    if !dispatched.iter().all(fits) {
        return Err(dispatched.map(Tensor::from_dispatch));
    }
    Ok(dispatched.map(|tensor| match tensor.kind {
        DispatchTensorKind::Flex(BackendTensor::Float(own)) => own,
        _ => unreachable!("checked above"),
    }))
}

fn give<const D: usize>(tensor: FlexTensor) -> Tensor<D> {
    Tensor::from_dispatch(DispatchTensor {
        kind: DispatchTensorKind::Flex(BackendTensor::Float(tensor)),
        autodiff: DispatchAutodiffContext::Disabled,
    })
}

/// Updates weights by their gradient and velocity: both anew, or the three tensors back where there is no kernel for
/// them.
///
/// # Errors
///
/// The tensors, if they do not lie on `Flex` in `f32` without autodiff, or differ in shape.
#[allow(
    clippy::result_large_err,
    reason = "the caller goes on with the tensors that it gave"
)]
pub fn sgd_update<const D: usize>(
    tensors: [Tensor<D>; 3],
    update: &SgdUpdate,
) -> Result<[Tensor<D>; 2], [Tensor<D>; 3]> {
    let [mut weights, gradient, mut velocity] = take(tensors)?;
    update.apply(
        Isa::detect(),
        weights.storage_mut(),
        gradient.storage(),
        velocity.storage_mut(),
    );
    Ok([weights, velocity].map(give))
}

/// Updates weights by their gradient and both moments: weights and moments anew, or the four tensors back where there
/// is no kernel for them.
///
/// # Errors
///
/// The tensors, if they do not lie on `Flex` in `f32` without autodiff, or differ in shape.
#[allow(
    clippy::result_large_err,
    reason = "the caller goes on with the tensors that it gave"
)]
pub fn adamw_update<const D: usize>(
    tensors: [Tensor<D>; 4],
    update: &AdamWUpdate,
) -> Result<[Tensor<D>; 3], [Tensor<D>; 4]> {
    let [mut weights, gradient, mut first, mut second] = take(tensors)?;
    let moments = [first.storage_mut(), second.storage_mut()];
    update.apply(Isa::detect(), weights.storage_mut(), gradient.storage(), moments);
    Ok([weights, first, second].map(give))
}

/// `old * decay + new * (1 - decay)`.
pub fn averaged<const D: usize>(old: Tensor<D>, new: Tensor<D>, decay: f64) -> Tensor<D> {
    match take([old, new]) {
        Ok([mut old, new]) => {
            mix(
                Isa::detect(),
                old.storage_mut(),
                decay as f32,
                new.storage(),
                (1.0 - decay) as f32,
            );
            give(old)
        }
        Err([old, new]) => old * decay + new * (1.0 - decay),
    }
}

/// The product with a number.
pub fn scaled<const D: usize>(tensor: Tensor<D>, factor: f64) -> Tensor<D> {
    match take([tensor]) {
        Ok([mut tensor]) => {
            scale(Isa::detect(), tensor.storage_mut(), factor as f32);
            give(tensor)
        }
        Err([tensor]) => tensor * factor,
    }
}

/// The sum of all squares.
pub fn squared_norm<const D: usize>(tensor: Tensor<D>) -> f64 {
    match take([tensor]) {
        Ok([tensor]) => sum_of_squares(Isa::detect(), tensor.storage()),
        Err([tensor]) => f64::from(tensor.square().sum().into_scalar::<f32>()),
    }
}
