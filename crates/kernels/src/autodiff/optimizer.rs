//! Passes over weights after the backward pass, on Burn's tensors without autodiff.

use burn::backend::flex::FlexTensor;
use burn::backend::{BackendTensor, DType, DispatchAutodiffContext, DispatchTensor, DispatchTensorKind};
use burn::tensor::Tensor;

use super::map::like;
use crate::simd::isa::Isa;
use crate::train::optimizer::{AdamWUpdate, Changed, SgdUpdate, mix, scale, sum_of_squares};

/// The tensors for a kernel; if no kernel takes them, the same tensors back.
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

/// A tensor that a pass changes, and the old tensor if other tensors share its values.
struct Target {
    new: FlexTensor,
    old: Option<FlexTensor>,
}

impl Target {
    fn new(tensor: FlexTensor) -> Self {
        if tensor.is_unique() {
            return Self { new: tensor, old: None };
        }
        Self {
            new: like(&tensor),
            old: Some(tensor),
        }
    }

    fn changed(&mut self) -> Changed<'_> {
        Changed {
            values: self.new.storage_mut(),
            old: self.old.as_ref().map(FlexTensor::storage),
        }
    }
}

/// Updates weights by their gradient and velocity. Returns the new weights and velocity, or the three tensors if there
/// is no kernel for them.
///
/// # Errors
///
/// The tensors, if they do not lie on `Flex` in `f32` without autodiff, or differ in shape.
#[allow(clippy::result_large_err, reason = "tensors are handles, and moved once")]
pub fn sgd_update<const D: usize>(
    tensors: [Tensor<D>; 3],
    update: &SgdUpdate,
) -> Result<[Tensor<D>; 2], [Tensor<D>; 3]> {
    let [weights, gradient, mut velocity] = take(tensors)?;
    let mut weights = Target::new(weights);
    update.apply(
        Isa::detect(),
        weights.changed(),
        gradient.storage(),
        velocity.storage_mut(),
    );
    Ok([weights.new, velocity].map(give))
}

/// Updates weights by their gradient and both moments. Returns the new weights and moments, or the four tensors if
/// there is no kernel for them.
///
/// # Errors
///
/// The tensors, if they do not lie on `Flex` in `f32` without autodiff, or differ in shape.
#[allow(clippy::result_large_err, reason = "tensors are handles, and moved once")]
pub fn adamw_update<const D: usize>(
    tensors: [Tensor<D>; 4],
    update: &AdamWUpdate,
) -> Result<[Tensor<D>; 3], [Tensor<D>; 4]> {
    let [weights, gradient, mut first, mut second] = take(tensors)?;
    let mut weights = Target::new(weights);
    let moments = [first.storage_mut(), second.storage_mut()];
    update.apply(Isa::detect(), weights.changed(), gradient.storage(), moments);
    Ok([weights.new, first, second].map(give))
}

/// `old * decay + new * (1 - decay)`.
pub fn averaged<const D: usize>(old: Tensor<D>, new: Tensor<D>, decay: f64) -> Tensor<D> {
    match take([old, new]) {
        Ok([old, new]) => {
            let mut old = Target::new(old);
            let share = (1.0 - decay) as f32;
            mix(Isa::detect(), old.changed(), decay as f32, new.storage(), share);
            give(old.new)
        }
        Err([old, new]) => old * decay + new * (1.0 - decay),
    }
}

/// The tensor times `factor`.
pub fn scaled<const D: usize>(tensor: Tensor<D>, factor: f64) -> Tensor<D> {
    match take([tensor]) {
        Ok([tensor]) => {
            let mut tensor = Target::new(tensor);
            scale(Isa::detect(), tensor.changed(), factor as f32);
            give(tensor.new)
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
