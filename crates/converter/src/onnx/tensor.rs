//! A graph's constants, read when they are requested.

use std::fs::File;
use std::io::{Read, Seek, SeekFrom};
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use burn::tensor::{Bytes, DType, Shape, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::{Error as PackError, Tensor as PackTensor};
use onnx_ir::{ModelProto, TensorProto};

use super::layout::{Size, permuted};
use crate::dtype::values;

/// `TensorProto.DataType` of the floats.
const FLOAT: i32 = 1;
/// `TensorProto.DataType` of the integers.
const INT32: i32 = 6;
const FLOAT16: i32 = 10;
const DOUBLE: i32 = 11;
const BFLOAT16: i32 = 16;
/// `TensorProto.DataLocation`.
const EXTERNAL: i32 = 1;

/// The place of a constant in the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Place {
    Initializer(usize),
    /// The attribute `value` of a Constant node.
    Attribute(usize, usize),
}

/// A constant and the order of its axes.
#[derive(Clone, Debug)]
pub(super) struct Constant {
    pub(super) name: String,
    pub(super) place: Place,
    pub(super) dims: Vec<usize>,
    /// The axes of the stored tensor in the wanted order; empty for the stored order.
    pub(super) order: Vec<usize>,
}

impl Constant {
    /// Number of values.
    pub(super) fn count(&self) -> Option<usize> {
        self.dims
            .iter()
            .try_fold(1_usize, |count, side| count.checked_mul(*side))
    }

    /// The constant with its axes in another order.
    pub(super) fn transposed(mut self, perm: &[i64]) -> Option<Self> {
        let order = if self.order.is_empty() {
            (0..self.dims.len()).collect()
        } else {
            self.order
        };
        self.order = permuted(&order, perm)?;
        self.dims = permuted(&self.dims, perm)?;
        Some(self)
    }

    /// The constant in another shape with the same number of values; `None` if its axes were permuted.
    pub(super) fn reshaped(mut self, target: &[Size]) -> Option<Self> {
        let count = self.count()?;
        let side = |(at, size): (usize, &Size)| match size {
            Size::Known(0) => self.dims.get(at).copied(),
            // The remaining length.
            Size::Known(-1) => Some(1),
            Size::Known(side) => usize::try_from(*side).ok(),
            _ => None,
        };
        let mut dims: Vec<usize> = target.iter().enumerate().map(side).collect::<Option<_>>()?;
        let others = dims.iter().try_fold(1_usize, |count, side| count.checked_mul(*side))?;
        if let Some(at) = target.iter().position(|size| *size == Size::Known(-1)) {
            dims[at] = count.checked_div(others)?;
        }
        self.dims = dims;
        (self.order.is_empty() && self.count() == Some(count)).then_some(self)
    }
}

/// More axes than any constant has.
const MAX_AXES: usize = 8;

/// A stored tensor as a constant.
pub(super) fn constant(stored: &TensorProto, name: &str, place: Place) -> Result<Constant, String> {
    if stored.dims.len() > MAX_AXES {
        return Err(format!("a constant of {} axes", stored.dims.len()));
    }
    // Shapes and axes are integers. A bad float is reported when it is used.
    let (name, dims) = (name.to_owned(), stored_dims(stored));
    Ok(Constant {
        name,
        place,
        dims,
        order: Vec::new(),
    })
}

pub(super) fn proto(model: &ModelProto, place: Place) -> Option<&TensorProto> {
    let graph = model.graph.as_ref()?;
    match place {
        Place::Initializer(index) => graph.initializer.get(index),
        Place::Attribute(node, attribute) => graph.node.get(node)?.attribute.get(attribute)?.t.as_ref(),
    }
}

/// Shape of a floating-point constant whose values are in the file, or the problem with it.
pub(super) fn dims(tensor: &TensorProto, path: &Path) -> Result<Vec<usize>, String> {
    let dims: Option<Vec<usize>> = tensor.dims.iter().map(|&side| usize::try_from(side).ok()).collect();
    let dims = dims.ok_or_else(|| format!("has the shape {:?}", tensor.dims))?;
    let width = dtype(tensor.data_type)
        .ok_or_else(|| format!("is of ONNX's type {}, which is no float", tensor.data_type))?
        .size();
    let bytes = dims.iter().try_fold(width, |bytes, side| bytes.checked_mul(*side));
    let held = match &external(tensor, path)? {
        Some(external) => external.length,
        None => held(tensor),
    };
    if bytes == Some(held) {
        Ok(dims)
    } else {
        Err(format!("with shape {dims:?} holds {held} bytes"))
    }
}

fn dtype(data_type: i32) -> Option<DType> {
    match data_type {
        FLOAT => Some(DType::F32),
        FLOAT16 => Some(DType::F16),
        DOUBLE => Some(DType::F64),
        BFLOAT16 => Some(DType::BF16),
        _ => None,
    }
}

/// Number of bytes of the values, in whichever field they are.
fn held(tensor: &TensorProto) -> usize {
    match tensor.data_type {
        _ if !tensor.raw_data.is_empty() => tensor.raw_data.len(),
        FLOAT => tensor.float_data.len() * 4,
        DOUBLE => tensor.double_data.len() * 8,
        _ => tensor.int32_data.len() * 2,
    }
}

/// The numbers of a constant of integers.
pub(super) fn integers(tensor: &TensorProto) -> Vec<i64> {
    let raw = &tensor.raw_data;
    match tensor.data_type {
        INT32 if raw.is_empty() => tensor.int32_data.iter().map(|value| i64::from(*value)).collect(),
        INT32 => raw
            .as_chunks()
            .0
            .iter()
            .map(|bytes| i64::from(i32::from_le_bytes(*bytes)))
            .collect(),
        _ if raw.is_empty() => tensor.int64_data.clone(),
        _ => raw
            .as_chunks()
            .0
            .iter()
            .map(|bytes| i64::from_le_bytes(*bytes))
            .collect(),
    }
}

/// The numbers of a constant of floats, or of one integer.
pub(super) fn numbers(model: &Arc<ModelProto>, path: &Path, constant: &Constant) -> Result<Vec<f64>, String> {
    let stored = proto(model, constant.place).ok_or("a constant is missing")?;
    if dtype(stored.data_type).is_none() {
        return Ok(integers(stored)
            .into_iter()
            .take(1)
            .map(|number| number as f64)
            .collect());
    }
    dims(stored, path).map_err(|problem| format!("constant {} {problem}", constant.name))?;
    let tensor = tensor(model, path, constant, constant.name.clone(), constant.dims.clone())?;
    Ok(values(&bridge::to_data(&tensor).map_err(|error| error.to_string())?))
}

/// The number of a constant of one 32-bit float.
pub(super) fn scalar(tensor: &TensorProto) -> Option<f32> {
    match tensor.raw_data.as_chunks() {
        _ if tensor.data_type != FLOAT => integers(tensor).first().map(|value| *value as f32),
        ([bytes], _) => Some(f32::from_le_bytes(*bytes)),
        _ => tensor.float_data.first().copied(),
    }
}

fn stored_values(tensor: &TensorProto) -> Vec<u8> {
    match tensor.data_type {
        _ if !tensor.raw_data.is_empty() => tensor.raw_data.to_vec(),
        FLOAT => tensor.float_data.iter().flat_map(|value| value.to_le_bytes()).collect(),
        DOUBLE => tensor
            .double_data
            .iter()
            .flat_map(|value| value.to_le_bytes())
            .collect(),
        // Half-precision values are in the low bits of 32-bit integers.
        _ => tensor
            .int32_data
            .iter()
            .flat_map(|value| (*value as u16).to_le_bytes())
            .collect(),
    }
}

/// Values in a separate file beside the model.
struct External {
    path: PathBuf,
    offset: u64,
    length: usize,
}

fn external(tensor: &TensorProto, path: &Path) -> Result<Option<External>, String> {
    if tensor.data_location.value() != EXTERNAL {
        return Ok(None);
    }
    let entry = |key: &str| {
        tensor
            .external_data
            .iter()
            .find(|entry| entry.key == key)
            .map(|entry| entry.value.as_str())
    };
    let location = Path::new(entry("location").ok_or("has no location of its values")?);
    let inside = location
        .components()
        .all(|part| matches!(part, Component::Normal(_) | Component::CurDir));
    if !inside {
        return Err(format!(
            "has its values in {}, which is not in the model's folder",
            location.display()
        ));
    }
    // Without a name, the values are in the model's own file.
    let path = if location.as_os_str().is_empty() {
        path.to_owned()
    } else {
        path.with_file_name("").join(location)
    };
    let size = std::fs::metadata(&path)
        .map_err(|error| format!("has its values in {}: {error}", path.display()))?
        .len();
    let number = |key: &str, default: u64| {
        entry(key)
            .map_or(Ok(default), str::parse)
            .map_err(|_| format!("has a wrong {key}"))
    };
    let offset = number("offset", 0)?;
    let length = number("length", size.saturating_sub(offset))?;
    if offset.checked_add(length).is_none_or(|end| end > size) {
        return Err(format!("has its values behind the end of {}", path.display()));
    }
    let length = usize::try_from(length).map_err(|error| error.to_string())?;
    Ok(Some(External { path, offset, length }))
}

/// The constant under the network's name, in a `shape` with the same number of values.
pub(super) fn tensor(
    model: &Arc<ModelProto>,
    path: &Path,
    constant: &Constant,
    name: String,
    shape: Vec<usize>,
) -> Result<PackTensor, String> {
    let stored = proto(model, constant.place).ok_or_else(|| format!("constant {} is missing", constant.name))?;
    let dtype = dtype(stored.data_type).ok_or_else(|| format!("constant {} is no float", constant.name))?;
    let (model, constant, path) = (Arc::clone(model), constant.clone(), path.to_owned());
    let shape = Shape::from(shape);
    let declared = shape.clone();
    Ok(bridge::deferred(name, dtype, shape, None, move || {
        let fail = |problem: String| PackError::IoError(format!("{}: {problem}", constant.name));
        let stored = proto(&model, constant.place).ok_or_else(|| fail("it is missing".to_owned()))?;
        let bytes = match external(stored, &path).map_err(&fail)? {
            None => stored_values(stored),
            Some(external) => {
                let mut bytes = vec![0; external.length];
                let mut file = File::open(&external.path).map_err(|error| fail(error.to_string()))?;
                file.seek(SeekFrom::Start(external.offset))
                    .and_then(|_| file.read_exact(&mut bytes))
                    .map_err(|error| fail(error.to_string()))?;
                bytes
            }
        };
        let bytes = moved(bytes, &stored_dims(stored), &constant.order, dtype.size());
        TensorData::try_from_bytes(Bytes::from_bytes_vec(bytes), declared.clone(), dtype)
            .map_err(|error| fail(error.to_string()))
    }))
}

fn stored_dims(tensor: &TensorProto) -> Vec<usize> {
    tensor
        .dims
        .iter()
        .map(|&side| usize::try_from(side).unwrap_or(0))
        .collect()
}

/// The values with their axes in another order.
fn moved(bytes: Vec<u8>, dims: &[usize], order: &[usize], width: usize) -> Vec<u8> {
    if order.iter().copied().eq(0..order.len()) {
        return bytes;
    }
    let mut strides = vec![1; dims.len()];
    for axis in (0..dims.len().saturating_sub(1)).rev() {
        strides[axis] = strides[axis + 1] * dims[axis + 1];
    }
    let sides: Vec<usize> = order.iter().map(|&axis| dims[axis]).collect();
    let steps: Vec<usize> = order.iter().map(|&axis| strides[axis]).collect();
    let mut out = Vec::with_capacity(bytes.len());
    let mut index = vec![0; sides.len()];
    for _ in 0..bytes.len() / width {
        let from = index.iter().zip(&steps).map(|(at, step)| at * step).sum::<usize>() * width;
        out.extend_from_slice(&bytes[from..from + width]);
        for axis in (0..sides.len()).rev() {
            index[axis] += 1;
            if index[axis] < sides[axis] {
                break;
            }
            index[axis] = 0;
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn axes_are_moved_as_numpy_moves_them() {
        // numpy.arange(6).reshape(1, 2, 3).transpose(2, 0, 1)
        assert_eq!(moved((0..6).collect(), &[1, 2, 3], &[2, 0, 1], 1), [0, 3, 1, 4, 2, 5]);
        assert_eq!(moved((0..6).collect(), &[2, 3], &[], 1), [0, 1, 2, 3, 4, 5]);
    }
}
