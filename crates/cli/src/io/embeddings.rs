//! Feature vectors and maps in files.

mod safetensors;

use std::io::Write;
use std::path::Path;

use anyhow::{Context, bail};

use crate::args::EmbeddingFormat;
use crate::io::message::printable;
use crate::io::output::Output;
use crate::io::spool::Spool;
use crate::io::target::Target;
use crate::io::{csv, npy};

/// Writes rows of numbers, each with the name of its picture.
pub enum EmbeddingWriter {
    /// Written line by line.
    Csv { output: Output, columns: usize },
    /// Formats whose header holds the number of rows.
    Array(ArrayWriter),
}

/// Keeps the numbers in a file without a name until their header is known.
pub struct ArrayWriter {
    numbers: Spool,
    names: Vec<String>,
    /// Of one row.
    shape: Vec<usize>,
    /// A .npy file has no place for the names; they go into a text file beside it.
    names_target: Option<Target>,
}

impl EmbeddingWriter {
    /// Refuses files that exist, before any work is done. Without a path the format is CSV.
    pub fn open(format: EmbeddingFormat, path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|_| format != EmbeddingFormat::Csv) else {
            return Ok(Self::Csv {
                output: Output::open(path, force)?,
                columns: 0,
            });
        };
        let target = Target::new(path, force)?;
        if format == EmbeddingFormat::Npy && !target.is_file() {
            bail!(
                "{}: the names of the pictures go into a second file beside a .npy file: name a file, or --format csv",
                path.display()
            );
        }
        let names_target = match format {
            EmbeddingFormat::Npy => Some(Target::new(&path.with_extension("names.txt"), force)?),
            EmbeddingFormat::Safetensors | EmbeddingFormat::Csv => None,
        };
        Ok(Self::Array(ArrayWriter {
            numbers: Spool::new(target)?,
            names: Vec::new(),
            shape: Vec::new(),
            names_target,
        }))
    }

    /// Refuses a disk without the space for `pictures` rows, before they are computed; `length` is that of a row, where
    /// it is known.
    pub fn check_space(&self, pictures: usize, length: Option<usize>) -> anyhow::Result<()> {
        /// The least bytes of a number in a CSV file, with its comma.
        const CSV_NUMBER: u64 = 2;

        let Some(length) = length else { return Ok(()) };
        let numbers = pictures as u64 * length as u64;
        match self {
            Self::Csv { output, .. } => match output {
                Output::Stdout(_) => Ok(()),
                Output::File(spool) => spool.check_space(CSV_NUMBER * numbers),
            },
            Self::Array(array) => array.numbers.check_space(size_of::<f32>() as u64 * numbers),
        }
    }

    /// Writes a batch: `values` holds a row of `shape` for each name.
    pub fn write(&mut self, names: &[String], shape: &[usize], values: &[f32]) -> anyhow::Result<()> {
        match self {
            Self::Csv { output, columns } => {
                let length = shape.iter().product::<usize>();
                if *columns == 0 {
                    let head = std::iter::once("file".to_owned()).chain((0..length).map(|index| format!("f{index}")));
                    csv::write_row(output, head)?;
                }
                *columns = length;
                for (name, row) in names.iter().zip(values.chunks_exact(length)) {
                    let fields = std::iter::once(name.clone()).chain(row.iter().map(f32::to_string));
                    csv::write_row(output, fields)?;
                }
                // A program at the other end of a pipe gets each batch as soon as it is computed.
                output.flush()?;
            }
            Self::Array(array) => {
                array.shape = shape.to_vec();
                array.names.extend_from_slice(names);
                let written = npy::write_values(&mut array.numbers, values);
                written.with_context(|| array.numbers.cannot_write())?;
            }
        }
        Ok(())
    }

    /// Completes the file. Without this call no file appears.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Csv { columns: 0, .. } => bail!("no picture could be read"),
            Self::Csv { output, .. } => output.finish(),
            Self::Array(array) => array.finish(),
        }
    }
}

impl ArrayWriter {
    fn finish(self) -> anyhow::Result<()> {
        if self.names.is_empty() {
            bail!("no picture could be read");
        }
        let mut shape = vec![self.names.len()];
        shape.extend(&self.shape);
        let header = match self.names_target {
            Some(_) => npy::header(&shape),
            None => safetensors::header(&shape, &self.names)?,
        };
        self.numbers.publish(&header)?;
        if let Some(target) = self.names_target {
            // A name with a line break stays on one line.
            let lines: String = self.names.iter().map(|name| printable(name) + "\n").collect();
            target.publish(|file| file.write_all(lines.as_bytes()))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk for a million pictures of a million numbers is nowhere.
    #[cfg(unix)]
    #[test]
    fn a_full_disk_is_found_before_the_work() {
        let home = tempfile::tempdir().unwrap();
        for format in [EmbeddingFormat::Npy, EmbeddingFormat::Safetensors, EmbeddingFormat::Csv] {
            let writer = EmbeddingWriter::open(format, Some(&home.path().join("vectors")), false).unwrap();
            writer.check_space(100, Some(2048)).unwrap();
            writer.check_space(1_000_000_000, None).unwrap();
            let error = writer.check_space(1_000_000_000, Some(1_000_000)).unwrap_err();
            let error = crate::io::message::sentence(&error);
            assert!(
                error.contains("cannot write") && error.contains("MB are needed"),
                "{error}"
            );
        }
        let writer = EmbeddingWriter::open(EmbeddingFormat::Csv, None, false).unwrap();
        writer.check_space(1_000_000_000, Some(1_000_000)).unwrap();
    }
}
