use std::path::Path;

use burn_store::ModuleStore;
use keras_store::{KerasFormat, KerasStore};
use xception_model::{WeightsError, keras};

use crate::error::ConvertError;
use crate::weight_file::{FileContents, FileTensor, Format, RawTensors, Stage};

/// Reads a Keras file of any layout. With `no_top`, only the backbone is read if a layer after it cannot be computed.
pub(crate) fn read(path: &Path, no_top: bool) -> Result<FileContents, ConvertError> {
    let file = keras::open(path, no_top)?;
    let RawTensors { format, tensors, .. } = list(file.store)?;
    let stages = file.stages.into_iter().map(|(name, place)| Stage {
        name,
        place,
        channels_last: false,
    });
    Ok(FileContents {
        stages: stages.collect(),
        scales_pictures: file.scales_pictures,
        policy: file.policy,
        ..FileContents::new(format, file.description, tensors)
    })
}

/// The tensors of a Keras file of any network.
pub(crate) fn raw(path: &Path) -> Result<RawTensors, ConvertError> {
    list(KerasStore::from_file(path))
}

fn list(store: KerasStore) -> Result<RawTensors, ConvertError> {
    // All NaNs must be listed, not only the first.
    let mut store = store.allow_non_finite(true);
    let format = store.format().map_err(WeightsError::from)?;
    let origins = store.origins().map_err(WeightsError::from)?;
    let tensors = store.get_all_tensors().map_err(WeightsError::from)?;
    let tensors = tensors.iter().map(|(key, tensor)| FileTensor {
        origin: origins.get(key).unwrap_or(key).clone(),
        tensor: tensor.clone(),
    });
    Ok(RawTensors {
        format: describe(&format),
        tensors: tensors.collect(),
        ignored: Vec::new(),
    })
}

fn describe(format: &KerasFormat) -> Format {
    let text = format.to_string();
    let writer = format.keras_version().map(|version| format!("Keras {version}"));
    let name = match &writer {
        Some(writer) => text.trim_end_matches(writer.as_str()).trim_end_matches(", "),
        None => &text,
    };
    Format {
        name: format!("Keras {name}"),
        writer,
    }
}
