//! The card beside a converted file.

use std::path::Path;

use files::sha256;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xception_model::ModelSpec;
use xception_model::registry::{Card, Conversion, Format, Kind, Weights};

use crate::error::ConvertError;
use crate::weight_file;

/// Describes a file that is to be converted. Reads the whole file for its hash.
pub(crate) fn conversion(path: &Path, format: &weight_file::Format) -> Result<Conversion, ConvertError> {
    let (bytes, sha256) = sha256(path).map_err(|error| ConvertError::Read {
        path: path.to_owned(),
        source: error.into_io(),
    })?;
    Ok(Conversion {
        file: name(path),
        format: format.name.clone(),
        writer: format.writer.clone(),
        bytes,
        sha256,
        ..Conversion::default()
    })
}

/// The name of a file without its folder, which has no meaning on other machines.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

/// The card of the file that was written to `output`. Reads the whole file for its hash.
pub(crate) fn card(mut conversion: Conversion, output: &Path, spec: &ModelSpec) -> Result<Card, ConvertError> {
    let failed = |problem: String| ConvertError::write(&Card::beside(output), problem);
    let date = OffsetDateTime::now_utc().format(&Rfc3339);
    conversion.date = date.map_err(|error| failed(error.to_string()))?;
    env!("CARGO_PKG_VERSION").clone_into(&mut conversion.converter);

    let file = name(output);
    let (bytes, sha256) = sha256(output).map_err(|error| ConvertError::Read {
        path: output.to_owned(),
        source: error.into_io(),
    })?;
    let weights = Weights {
        kind: if spec.network.include_top() {
            Kind::Full
        } else {
            Kind::NoTop
        },
        // The file's ending chose the format.
        format: Format::of_name(&file).unwrap_or(Format::Burnpack),
        file,
        bytes: Some(bytes),
        sha256: Some(sha256),
        sha256_prefix: None,
        md5: None,
        parameters: spec.network.num_params() as u64,
        trainable_parameters: None,
        urls: Vec::new(),
        obtain: Some(format!("convert {} again", printable(&conversion.file))),
    };
    let mut card = Card::of_file(spec, weights).map_err(failed)?;
    card.licence_note = Some(format!("that of {}", printable(&conversion.file)));
    card.conversion = Some(conversion);
    Ok(card)
}

/// File names can contain anything, and cards are printed.
fn printable(name: &str) -> String {
    name.replace(char::is_control, " ")
}
