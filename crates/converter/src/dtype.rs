use std::fmt;

use burn::tensor::{DType, Shape, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;

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

/// The tensor in another type, rounded to the nearest value if the type is narrower. Still read when it is requested.
pub(crate) fn cast(tensor: PackTensor, dtype: DType) -> PackTensor {
    if tensor.dtype == dtype {
        return tensor;
    }
    let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
    bridge::map_data(tensor, name, dtype, shape, move |data| data.convert_dtype(dtype))
}

/// The tensor under another name.
pub(crate) fn rename(mut tensor: PackTensor, name: String) -> PackTensor {
    tensor.name = name;
    tensor
}

/// The tensor in another shape with the same number of values.
pub(crate) fn reshape(tensor: PackTensor, shape: Vec<usize>) -> PackTensor {
    let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, Shape::from(shape));
    let target = shape.clone();
    bridge::map_data(tensor, name, dtype, shape, move |data| {
        TensorData::from_bytes(data.into_bytes(), target.clone(), dtype)
    })
}

/// `[rows, columns]` to `[columns, rows]`.
pub(crate) fn transpose(tensor: PackTensor) -> PackTensor {
    let [rows, columns] = tensor.shape[..] else {
        return tensor;
    };
    let (name, dtype) = (tensor.name.clone(), tensor.dtype);
    bridge::map_data(tensor, name, dtype, Shape::from(vec![columns, rows]), move |data| {
        let width = dtype.size();
        let bytes = data.as_bytes();
        let mut turned = vec![0; bytes.len()];
        for (index, value) in bytes.chunks_exact(width).enumerate() {
            let to = ((index % columns) * rows + index / columns) * width;
            turned[to..to + width].copy_from_slice(value);
        }
        TensorData::from_bytes_vec(turned, vec![columns, rows], dtype)
    })
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

/// Whether all numbers are finite.
pub(crate) fn all_finite(data: &TensorData) -> bool {
    match data.dtype() {
        DType::F64 => data.iter::<f64>().all(f64::is_finite),
        _ => data.iter::<f32>().all(f32::is_finite),
    }
}
