//! Changes of a file's tensors that are made when their values are read.

use burn::tensor::{DType, Shape, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::Tensor as PackTensor;

/// The tensor in another type, rounded to the nearest value if the type is narrower. Still read when it is requested.
pub fn cast(tensor: PackTensor, dtype: DType) -> PackTensor {
    if tensor.dtype == dtype {
        return tensor;
    }
    let (name, shape) = (tensor.name.clone(), tensor.shape.clone());
    bridge::map_data(tensor, name, dtype, shape, move |data| data.convert_dtype(dtype))
}

/// The tensor under another name.
pub fn rename(mut tensor: PackTensor, name: String) -> PackTensor {
    tensor.name = name;
    tensor
}

/// The tensor in another shape with the same number of values.
pub fn reshape(tensor: PackTensor, shape: Vec<usize>) -> PackTensor {
    let (name, dtype, shape) = (tensor.name.clone(), tensor.dtype, Shape::from(shape));
    let target = shape.clone();
    bridge::map_data(tensor, name, dtype, shape, move |data| {
        TensorData::from_bytes(data.into_bytes(), target.clone(), dtype)
    })
}

/// `[rows, columns]` to `[columns, rows]`.
pub fn transpose(tensor: PackTensor) -> PackTensor {
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

/// Whether all numbers are finite.
pub fn all_finite(data: &TensorData) -> bool {
    match data.dtype() {
        DType::F64 => data.iter::<f64>().all(f64::is_finite),
        _ => data.iter::<f32>().all(f32::is_finite),
    }
}
