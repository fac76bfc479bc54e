//! Reading the file of a picture.

use std::{any::Any, fs::File, io::Read, path::Path};

use xception_model::picture::{DecodeLimits, PictureError};

/// The bytes of a file. Reads no more than the limits allow, even if the file reports another length.
pub(crate) fn read_file(path: &Path, limits: &DecodeLimits) -> Result<Vec<u8>, PictureError> {
    let limit = limits.max_file_bytes;
    let file = File::open(path).map_err(PictureError::Read)?;
    let mut bytes = Vec::new();
    file.take(limit.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(PictureError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(PictureError::FileTooLarge { limit });
    }
    Ok(bytes)
}

/// The message of a decoder's panic.
pub(crate) fn decoder_failure(panic: &(dyn Any + Send)) -> String {
    panic
        .downcast_ref::<String>()
        .cloned()
        .or_else(|| panic.downcast_ref::<&str>().map(|&message| message.to_owned()))
        .unwrap_or_else(|| "no message".to_owned())
}
