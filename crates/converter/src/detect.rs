use std::path::Path;

use xception_model::WeightFormat;

use crate::error::ConvertError;

/// Which reader a file is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Keras,
    Torch,
    Safetensors,
    Onnx,
    Record,
}

/// Finds a file's format from its content.
pub(crate) fn detect(path: &Path) -> Result<Kind, ConvertError> {
    let format = WeightFormat::of(path).map_err(|source| ConvertError::Read {
        path: path.to_owned(),
        source,
    })?;
    let found = match format {
        WeightFormat::Keras => return Ok(Kind::Keras),
        WeightFormat::Torch => return Ok(Kind::Torch),
        WeightFormat::Safetensors => return Ok(Kind::Safetensors),
        WeightFormat::Onnx => return Ok(Kind::Onnx),
        WeightFormat::Record => return Ok(Kind::Record),
        WeightFormat::Foreign(foreign) => foreign.to_string(),
        _ => "a format that is not read here".to_owned(),
    };
    Err(ConvertError::UnknownFormat {
        path: path.to_owned(),
        found,
    })
}
