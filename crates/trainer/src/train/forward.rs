//! Passes a split's batches through a network.

use burn::tensor::{Device, Tensor, TensorData};
use xception_model::InputError;

use super::error::TrainError;
use crate::pipeline::{Batch, Pipeline};
use crate::tensor::numbers;

/// Every batch of `pipeline` from number `first` on, with the values that `compute` returns for the batch, row-major.
pub(super) fn outputs(
    pipeline: &Pipeline,
    first: usize,
    device: &Device,
    compute: impl Fn(Tensor<4>) -> Result<Tensor<2>, InputError>,
) -> impl Iterator<Item = Result<(Batch, Vec<f32>), TrainError>> {
    pipeline.epoch(0, first).map(move |batch| {
        let batch = batch?;
        let values = numbers(compute(pictures(&batch, device))?);
        Ok((batch, values))
    })
}

/// A batch's pictures, `[batch, 3, height, width]`.
pub(super) fn pictures(batch: &Batch, device: &Device) -> Tensor<4> {
    let shape = [batch.indices.len(), 3, batch.height, batch.width];
    Tensor::from_data(TensorData::new(batch.pixels.clone(), shape), device)
}
