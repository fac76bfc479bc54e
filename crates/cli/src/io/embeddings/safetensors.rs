//! The header of a safetensors file of embeddings.

use std::collections::HashMap;

use ::safetensors::Dtype;
use ::safetensors::tensor::{Metadata, TensorInfo};

/// The name of the tensor in the file.
const TENSOR: &str = "embeddings";

/// The bytes before the little-endian 32-bit floats: the length of the description, then the description padded to a
/// multiple of 8 bytes, as `safetensors::serialize` writes them. The metadata holds the names as a JSON list.
pub fn header(shape: &[usize], names: &[String]) -> anyhow::Result<Vec<u8>> {
    let tensor = TensorInfo {
        dtype: Dtype::F32,
        shape: shape.to_vec(),
        data_offsets: (0, 4 * shape.iter().product::<usize>()),
    };
    let names = HashMap::from([("names".to_owned(), serde_json::to_string(names)?)]);
    let mut text = serde_json::to_vec(&Metadata::new(Some(names), vec![(TENSOR.to_owned(), tensor)])?)?;
    text.resize(text.len().next_multiple_of(8), b' ');
    let mut header = (text.len() as u64).to_le_bytes().to_vec();
    header.extend(text);
    Ok(header)
}
