use std::path::{Path, PathBuf};

use files::sha256;
use serde::Serialize;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xception_model::{Architecture, InputSpec};

use crate::convert::Report;
use crate::dtype::Precision;
use crate::error::ConvertError;
use crate::source::Format;

/// Where a converted file came from: `model.bpk.card.toml` beside `model.bpk`.
#[derive(Clone, Debug, Serialize)]
pub struct Card {
    /// The file that was converted.
    source: SourceFile,
    /// The file that was written.
    output: OutputFile,
    input: InputSpec,
    network: Architecture,
}

/// A file that was converted.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct SourceFile {
    file: String,
    format: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    writer: Option<String>,
    bytes: u64,
    sha256: String,
    /// Tensors that were not taken over.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    left_out: Vec<String>,
}

#[derive(Clone, Debug, Serialize)]
struct OutputFile {
    file: String,
    dtype: String,
    parameters: usize,
    classes: Option<usize>,
    date: String,
    converter: &'static str,
    /// Tensors that the source lacks.
    #[serde(skip_serializing_if = "<[_]>::is_empty")]
    initial: Vec<String>,
}

impl SourceFile {
    /// Reads the whole file for its hash.
    pub(crate) fn new(path: &Path, format: &Format) -> Result<Self, ConvertError> {
        let (bytes, sha256) = sha256(path).map_err(|error| ConvertError::Read {
            path: path.to_owned(),
            source: error.into_io(),
        })?;
        Ok(Self {
            file: name(path),
            format: format.name.clone(),
            writer: format.writer.clone(),
            bytes,
            sha256,
            left_out: Vec::new(),
        })
    }
}

/// The name of a file without its folder, which means nothing elsewhere.
fn name(path: &Path) -> String {
    path.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

impl Card {
    /// The path of an output's card.
    pub fn path(output: &Path) -> PathBuf {
        output.with_file_name(format!("{}.card.toml", name(output)))
    }

    /// What was made of `source`, now.
    pub(crate) fn new(
        mut source: SourceFile,
        output: &Path,
        precision: Precision,
        report: &Report,
    ) -> Result<Self, String> {
        source.left_out.clone_from(&report.left_out);
        let date = OffsetDateTime::now_utc().format(&Rfc3339);
        Ok(Self {
            source,
            output: OutputFile {
                file: name(output),
                dtype: precision.to_string(),
                parameters: report.parameters,
                classes: report.spec.classes(),
                date: date.map_err(|error| error.to_string())?,
                converter: env!("CARGO_PKG_VERSION"),
                initial: report.initial.clone(),
            },
            input: report.spec.input,
            network: report.spec.network.clone(),
        })
    }

    /// The card as TOML.
    ///
    /// # Errors
    ///
    /// A number that TOML cannot hold.
    pub fn to_toml(&self) -> Result<String, String> {
        toml::to_string(self).map_err(|error| error.to_string())
    }
}
