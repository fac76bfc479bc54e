use std::borrow::Cow;
use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

use burn::tensor::{Bytes, DType, Shape, TensorData};
use burn_store::bridge;
use burn_store::burn_pack::{Error as PackError, Tensor as PackTensor};
use safetensors::tensor::{Dtype, Metadata};
use safetensors::{SafeTensorError, View, serialize_to_file};
use xception_model::torch::{OTHERS, has_torch_names};
use xception_model::{Description, Known, ModelSpec};

use crate::error::ConvertError;
use crate::torch;
use crate::weight_file::{FileContents, FileTensor, Format, RawTensors};

/// 150 times the full network's header of 25 kB. In memory it takes up to 16 times as much.
const MAX_HEADER: u64 = 4 << 20;

/// Reads a safetensors file with our names or with timm's.
pub(crate) fn read(path: &Path, known: &Known, no_top: bool) -> Result<FileContents, ConvertError> {
    let (tensors, metadata) = tensors(path)?;
    let problem = |problem| ConvertError::damaged(path, format_args!("the network's description: {problem}"));
    let spec = metadata
        .get(ModelSpec::KEY)
        .map(|text| ModelSpec::parse(text).map_err(problem));
    let spec = spec.transpose()?;
    if has_torch_names(tensors.iter().map(|tensor| tensor.name.as_str())) {
        let mut found = torch::named(path, tensors, "safetensors", known, no_top)?;
        found.format.writer = metadata.get("writer").cloned();
        if let Some(spec) = spec {
            found.description = Description::of_spec(spec);
        }
        return Ok(found);
    }
    let tensors = tensors.into_iter().map(FileTensor::own).collect();
    let format = Format {
        name: "safetensors".to_owned(),
        writer: metadata.get("writer").cloned(),
    };
    if let Some(spec) = spec {
        return Ok(FileContents::new(format, Description::of_spec(spec), tensors));
    }
    let names = of_another_network(&tensors);
    FileContents::of_tensors(path, format, tensors).map_err(|error| match error {
        ConvertError::NoNetwork { path, problem } => ConvertError::NoNetwork {
            path,
            problem: format!("{problem}; {names}"),
        },
        error => error,
    })
}

/// Advice for a file that has no description of its network, and whose tensors fit no network of the zoo.
fn of_another_network(tensors: &[FileTensor]) -> String {
    let names: Vec<&str> = tensors.iter().take(3).map(|entry| entry.origin.as_str()).collect();
    format!(
        "its names are of no network that is known here ({}, ..); {OTHERS}",
        names.join(", ")
    )
}

/// The tensors of a safetensors file of any network.
pub(crate) fn raw(path: &Path) -> Result<RawTensors, ConvertError> {
    Ok(RawTensors::new("safetensors", tensors(path)?.0))
}

/// The tensors, read when they are requested, and the file's metadata.
fn tensors(path: &Path) -> Result<(Vec<PackTensor>, HashMap<String, String>), ConvertError> {
    let cannot_read = |source| ConvertError::Read {
        path: path.to_owned(),
        source,
    };
    let damaged = |problem: String| ConvertError::damaged(path, problem);
    let mut file = File::open(path).map_err(cannot_read)?;
    let size = file.metadata().map_err(cannot_read)?.len();
    let mut length = [0; 8];
    file.read_exact(&mut length).map_err(cannot_read)?;
    let length = u64::from_le_bytes(length);
    if length > MAX_HEADER || length + 8 > size {
        return Err(damaged(format!(
            "its header claims {length} bytes; the file has {size}, and no network's header exceeds {MAX_HEADER}"
        )));
    }
    let mut header = vec![0; length as usize];
    file.read_exact(&mut header).map_err(cannot_read)?;
    let metadata: Metadata =
        serde_json::from_slice(&header).map_err(|error| damaged(format!("its header is damaged: {error}")))?;

    let start = length + 8;
    let ends = metadata.tensors().into_values().map(|info| info.data_offsets.1 as u64);
    let end = start.saturating_add(ends.max().unwrap_or(0));
    if end < size {
        return Err(damaged(format!(
            "it has {size} bytes, and its tensors end at byte {end}: there is data after them"
        )));
    }
    let file = Arc::new(Mutex::new(file));
    let mut tensors = Vec::new();
    for (name, info) in metadata.tensors() {
        let dtype = dtype(info.dtype).ok_or_else(|| {
            damaged(format!(
                "{name} is of type {:?}, which holds no weights without their scales; save them in 16 or 32 bits, in \
                 Python: torch.save({{name: tensor.float() for name, tensor in weights.items()}}, \"weights.pth\")",
                info.dtype
            ))
        })?;
        let (from, to) = info.data_offsets;
        let values = info
            .shape
            .iter()
            .try_fold(1_usize, |values, side| values.checked_mul(*side));
        let bytes = values.and_then(|values| values.checked_mul(dtype.size()));
        if bytes != to.checked_sub(from) || start + to as u64 > size {
            return Err(damaged(format!(
                "{name} with shape {:?} does not fit its place, bytes {from} to {to} of {}",
                info.shape,
                size - start
            )));
        }
        let shape = Shape::from(info.shape.clone());
        let declared = shape.clone();
        let file = Arc::clone(&file);
        tensors.push(bridge::deferred(name, dtype, shape, None, move || {
            let mut bytes = vec![0; to - from];
            let mut file = file.lock().unwrap_or_else(PoisonError::into_inner);
            file.seek(SeekFrom::Start(start + from as u64))
                .and_then(|_| file.read_exact(&mut bytes))
                .map_err(|error| PackError::IoError(error.to_string()))?;
            TensorData::try_from_bytes(Bytes::from_bytes_vec(bytes), declared.clone(), dtype)
                .map_err(|error| PackError::ValidationError(error.to_string()))
        }));
    }
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    Ok((tensors, metadata.metadata().clone().unwrap_or_default()))
}

fn dtype(dtype: Dtype) -> Option<DType> {
    Some(match dtype {
        Dtype::F64 => DType::F64,
        Dtype::F32 => DType::F32,
        Dtype::F16 => DType::F16,
        Dtype::BF16 => DType::BF16,
        Dtype::I64 => DType::I64,
        Dtype::I32 => DType::I32,
        Dtype::I16 => DType::I16,
        Dtype::I8 => DType::I8,
        Dtype::U64 => DType::U64,
        Dtype::U32 => DType::U32,
        Dtype::U16 => DType::U16,
        Dtype::U8 => DType::U8,
        _ => return None,
    })
}

/// A tensor that is read while it is written. The format's writer cannot report an error, so the first one is stored in
/// `failure`.
struct Lazy<'a> {
    tensor: &'a PackTensor,
    dtype: Dtype,
    failure: &'a OnceLock<String>,
}

impl View for Lazy<'_> {
    fn dtype(&self) -> Dtype {
        self.dtype
    }

    fn shape(&self) -> &[usize] {
        &self.tensor.shape
    }

    fn data(&self) -> Cow<'_, [u8]> {
        let bytes = self.tensor.to_bytes().map(|bytes| bytes.to_vec());
        Cow::Owned(bytes.unwrap_or_else(|error| {
            self.failure.get_or_init(|| error.to_string());
            vec![0; self.data_len()]
        }))
    }

    fn data_len(&self) -> usize {
        self.tensor.byte_len()
    }
}

/// Writes tensors as they are, with the description in the metadata. One tensor is in memory at a time.
pub(crate) fn write(path: &Path, tensors: &[PackTensor], spec: &ModelSpec) -> io::Result<()> {
    let failure = OnceLock::new();
    let lazy = tensors.iter().map(|tensor| {
        let dtype = match tensor.dtype {
            DType::F16 => Dtype::F16,
            DType::BF16 => Dtype::BF16,
            _ => Dtype::F32,
        };
        let failure = &failure;
        (tensor.name.as_str(), Lazy { tensor, dtype, failure })
    });
    let metadata = HashMap::from([
        (
            "writer".to_owned(),
            concat!("converter ", env!("CARGO_PKG_VERSION")).to_owned(),
        ),
        (ModelSpec::KEY.to_owned(), spec.to_toml().map_err(io::Error::other)?),
    ]);
    serialize_to_file(lazy, Some(metadata), path).map_err(|error| match error {
        SafeTensorError::IoError(error) => error,
        error => io::Error::other(error),
    })?;
    failure
        .into_inner()
        .map_or(Ok(()), |problem| Err(io::Error::other(problem)))
}
