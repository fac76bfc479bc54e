//! Feature vectors on their way into a file.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};
use std::path::Path;

use anyhow::{Context, bail};
use safetensors::Dtype;
use safetensors::tensor::{Metadata, TensorInfo};

use crate::args::RowsFormat;
use crate::csv;
use crate::npy;
use crate::output::{Outcome, Output, Target, printable};

/// The tensor in a safetensors file.
const TENSOR: &str = "embeddings";

/// Rows of numbers, each with the name of its picture.
pub enum Rows {
    /// Written line by line.
    Csv { output: Output, columns: usize },
    /// Formats whose header needs the number of rows: the numbers wait in a file without a name.
    Spooled(Spool),
}

pub struct Spool {
    numbers: BufWriter<File>,
    names: Vec<String>,
    /// Of one row.
    shape: Vec<usize>,
    target: Target,
    /// Beside a .npy file, which has no place for them.
    names_target: Option<Target>,
}

impl Rows {
    /// Files that exist are refused here, before any work is done. Only CSV goes without a path.
    pub fn open(format: RowsFormat, path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some((path, format)) = path
            .map(|path| (path, format))
            .filter(|(_, format)| *format != RowsFormat::Csv)
        else {
            return Ok(Self::Csv {
                output: Output::open(path, force)?,
                columns: 0,
            });
        };
        let target = Target::new(path, force)?;
        let names_target = match format {
            RowsFormat::Npy => Some(Target::new(&path.with_extension("names.txt"), force)?),
            RowsFormat::Safetensors | RowsFormat::Csv => None,
        };
        Ok(Self::Spooled(Spool {
            numbers: BufWriter::new(target.spool()?),
            names: Vec::new(),
            shape: Vec::new(),
            target,
            names_target,
        }))
    }

    /// Writes a batch: `values` holds a row of `shape` for each name.
    pub fn write(&mut self, names: &[String], shape: &[usize], values: &[f32]) -> anyhow::Result<()> {
        let length = shape.iter().product::<usize>();
        match self {
            Self::Csv { output, columns } => {
                if *columns == 0 {
                    let head = std::iter::once("file".to_owned()).chain((0..length).map(|index| format!("f{index}")));
                    csv::write_row(output, head)?;
                }
                *columns = length;
                for (name, row) in names.iter().zip(values.chunks_exact(length)) {
                    let fields = std::iter::once(name.clone()).chain(row.iter().map(f32::to_string));
                    csv::write_row(output, fields)?;
                }
                // Whoever reads along gets every batch as it is done.
                output.flush()?;
            }
            Self::Spooled(spool) => {
                spool.shape = shape.to_vec();
                spool.names.extend_from_slice(names);
                npy::write_values(&mut spool.numbers, values).with_context(|| spool.target.cannot_write())?;
            }
        }
        Ok(())
    }

    /// Must be called at the end: without it no file appears.
    pub fn finish(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Csv { columns: 0, .. } => bail!("no picture could be read"),
            Self::Csv { output, .. } => output.finish(),
            Self::Spooled(spool) => spool.finish(),
        }
    }
}

impl Spool {
    fn finish(self) -> anyhow::Result<Outcome> {
        if self.names.is_empty() {
            bail!("no picture could be read");
        }
        let mut shape = vec![self.names.len()];
        shape.extend(&self.shape);
        let head = match self.names_target {
            Some(_) => npy::header(&shape),
            None => safetensors_header(&shape, &self.names)?,
        };
        let mut numbers = self
            .numbers
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .with_context(|| self.target.cannot_write())?;
        self.target.publish(|file| {
            file.write_all(&head)?;
            numbers.rewind()?;
            io::copy(&mut numbers, file).map(drop)
        })?;
        if let Some(target) = self.names_target {
            // A name with a line break stays on one line.
            let lines: String = self.names.iter().map(|name| printable(name) + "\n").collect();
            target.publish(|file| file.write_all(lines.as_bytes()))?;
        }
        Ok(Outcome::Complete)
    }
}

/// The length, then the description padded to 8 bytes, as `safetensors::serialize` has it; the names are in the metadata as
/// a JSON list.
fn safetensors_header(shape: &[usize], names: &[String]) -> anyhow::Result<Vec<u8>> {
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
