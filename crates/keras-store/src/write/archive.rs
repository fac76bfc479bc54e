//! The `.keras` archive (`_save_model_to_fileobj` in `keras/src/saving/saving_lib.py` of 3.15.1).

use std::fs::File;
use std::io::{self, BufWriter, Write};

use serde_json::json;
use zip::write::SimpleFileOptions;
use zip::{CompressionMethod, ZipWriter};

use crate::archive::MAX_JSON_BYTES;
use crate::write::KERAS_VERSION;
use crate::write::hdf5::{NotWritten, Plan};

/// A config that would not be read back is not written.
pub(crate) fn check_config(config: &str) -> Result<(), String> {
    if config.len() as u64 > MAX_JSON_BYTES {
        return Err(format!(
            "it has {} bytes, more than the {MAX_JSON_BYTES} a model's config can need",
            config.len()
        ));
    }
    Ok(())
}

/// Members are stored, not deflated, as Keras does: weights are read in place.
pub(crate) fn write<E>(
    file: File,
    config: &str,
    plan: &Plan,
    values: impl FnMut(usize, &mut dyn Write) -> Result<(), NotWritten<E>>,
) -> Result<File, NotWritten<E>> {
    let zipped = |error: zip::result::ZipError| NotWritten::Io(io::Error::other(error));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Stored);
    let metadata = json!({ "keras_version": KERAS_VERSION }).to_string();
    let mut zip = ZipWriter::new(BufWriter::new(file));
    for (name, text) in [("metadata.json", metadata.as_str()), ("config.json", config)] {
        zip.start_file(name, options).map_err(zipped)?;
        zip.write_all(text.as_bytes()).map_err(NotWritten::Io)?;
    }
    // From 4 GiB on a member needs the longer header of zip64.
    let large = plan.len() >= u64::from(u32::MAX);
    zip.start_file("model.weights.h5", options.large_file(large))
        .map_err(zipped)?;
    plan.write(&mut zip, values)?;
    let buffer = zip.finish().map_err(zipped)?;
    buffer.into_inner().map_err(|error| NotWritten::Io(error.into_error()))
}
