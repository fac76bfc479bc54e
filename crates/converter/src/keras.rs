use std::path::Path;

use burn_store::ModuleStore;
use keras_store::KerasFormat;
use xception_model::{Variant, WeightsError, keras};

use crate::error::ConvertError;
use crate::source::{Format, Found, SourceTensor};

/// Reads a Keras file of any layout.
pub(crate) fn read(path: &Path) -> Result<Found, ConvertError> {
    let file = keras::open(path)?;
    // Every NaN is to be listed, not only the first one met.
    let mut store = file.store.allow_non_finite(true);
    let format = store.format().map_err(WeightsError::from)?;
    let origins = store.origins().map_err(WeightsError::from)?;
    let tensors = store.get_all_tensors().map_err(WeightsError::from)?;
    let tensors = tensors
        .iter()
        .map(|(key, tensor)| SourceTensor {
            origin: origins.get(key).unwrap_or(key).clone(),
            tensor: tensor.clone(),
        })
        .collect();
    Ok(Found {
        size: file.input,
        pooling: file.pooling,
        multi_label: file.spec.multi_label,
        // The reader has refused any other epsilon, and Keras has no other padding.
        variant: Some(Variant::Keras),
        ..Found::new(describe(&format), file.spec.network, tensors)
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
