use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use serde::Serialize;
use sha2::{Digest, Sha256};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;
use xception_model::{InputSpec, ModelSpec, XceptionConfig};

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
    network: XceptionConfig,
}

#[derive(Clone, Debug, Serialize)]
struct SourceFile {
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

/// A file's size and SHA-256.
#[derive(Clone, Debug)]
pub(crate) struct Checksum {
    bytes: u64,
    sha256: String,
}

pub(crate) fn sha256(path: &Path) -> Result<Checksum, ConvertError> {
    let read = || -> std::io::Result<Checksum> {
        let mut file = File::open(path)?;
        let mut hasher = Sha256::new();
        let mut buffer = vec![0; 1 << 16];
        let mut bytes = 0;
        loop {
            let count = file.read(&mut buffer)?;
            if count == 0 {
                break;
            }
            hasher.update(&buffer[..count]);
            bytes += count as u64;
        }
        let digest = hasher.finalize();
        Ok(Checksum {
            bytes,
            sha256: hex::encode(digest),
        })
    };
    read().map_err(|source| ConvertError::Read {
        path: path.to_owned(),
        source,
    })
}

impl Card {
    /// The path of an output's card.
    pub fn path(output: &Path) -> PathBuf {
        let name = output.file_name().unwrap_or_default().to_string_lossy();
        output.with_file_name(format!("{name}.card.toml"))
    }

    #[expect(
        clippy::too_many_arguments,
        reason = "a card is a list of facts, and this its only maker"
    )]
    pub(crate) fn new(
        source: &Path,
        checksum: Checksum,
        format: &Format,
        output: &Path,
        precision: Precision,
        spec: &ModelSpec,
        initial: &[String],
        left_out: &[String],
    ) -> Result<Self, ConvertError> {
        let name = |path: &Path| path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let date = OffsetDateTime::now_utc().format(&Rfc3339);
        Ok(Self {
            source: SourceFile {
                file: name(source),
                format: format.name.clone(),
                writer: format.writer.clone(),
                bytes: checksum.bytes,
                sha256: checksum.sha256,
                left_out: left_out.to_vec(),
            },
            output: OutputFile {
                file: name(output),
                dtype: precision.to_string(),
                parameters: spec.network.num_params(),
                classes: spec.network.include_top.then_some(spec.network.num_classes),
                date: date.map_err(|error| ConvertError::write(output, error))?,
                converter: env!("CARGO_PKG_VERSION"),
                initial: initial.to_vec(),
            },
            input: spec.input,
            network: spec.network.clone(),
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
