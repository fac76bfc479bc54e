use std::fmt;

use burn::tensor::{DType, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;
pub(crate) use xception_model::tensors::{all_finite, cast, rename, transpose};

/// The type of the written numbers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Precision {
    /// 32-bit floats.
    #[default]
    F32,
    /// 16-bit floats of IEEE 754: half the size, 11 bits of precision.
    F16,
    /// bfloat16: half the size, 8 bits of precision, the range of f32.
    Bf16,
}

impl Precision {
    /// Burn's type.
    pub fn dtype(self) -> DType {
        match self {
            Self::F32 => DType::F32,
            Self::F16 => DType::F16,
            Self::Bf16 => DType::BF16,
        }
    }
}

impl fmt::Display for Precision {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::F32 => "f32",
            Self::F16 => "f16",
            Self::Bf16 => "bf16",
        })
    }
}

/// A matrix whose every row is the row of this one whose number `from` gives.
pub(crate) fn with_rows(tensor: PackTensor, from: impl Fn(usize) -> usize + Send + Sync + 'static) -> PackTensor {
    let [rows, columns] = tensor.shape[..] else {
        return tensor;
    };
    let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
    bridge::map_data(tensor, name, dtype, shape, move |data| {
        let width = columns * dtype.size();
        let bytes = data.as_bytes();
        let moved = (0..rows).flat_map(|row| &bytes[from(row) * width..][..width]);
        TensorData::from_bytes_vec(moved.copied().collect(), vec![rows, columns], dtype)
    })
}

/// The first tensor's values minus the second's; both have the same shape.
pub(crate) fn minus(tensor: PackTensor, other: PackTensor) -> PackTensor {
    let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, tensor.shape.clone());
    let declared = shape.clone();
    bridge::deferred(name, dtype, shape, None, move || {
        let (from, less) = (bridge::to_data(&tensor)?, bridge::to_data(&other)?);
        let differences = values(&from).into_iter().zip(values(&less)).map(|(a, b)| a - b);
        let differences: Vec<f64> = differences.collect();
        Ok(TensorData::new(differences, declared.clone()).convert_dtype(dtype))
    })
}

/// The values, widened to f64.
pub(crate) fn values(data: &TensorData) -> Vec<f64> {
    data.iter::<f64>().collect()
}
