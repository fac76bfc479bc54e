//! Results that wait for the end of the work.

use std::fs::File;
use std::io::{self, BufWriter, Seek, Write};

use anyhow::Context;

use crate::io::target::Target;

/// Bytes in a file without a name, which become the target's content at the end.
pub struct Spool {
    bytes: BufWriter<File>,
    target: Target,
}

impl Spool {
    pub fn new(target: Target) -> anyhow::Result<Self> {
        Ok(Self {
            bytes: BufWriter::new(target.unnamed()?),
            target,
        })
    }

    /// Refuses a disk without the space for so many bytes. They are there twice at the end: here, and in the target's
    /// temporary file.
    pub fn check_space(&self, bytes: u64) -> anyhow::Result<()> {
        self.target.check_space(2 * bytes)
    }

    /// The context of an error.
    pub fn cannot_write(&self) -> String {
        self.target.cannot_write()
    }

    /// Writes the target: a header, then the bytes.
    pub fn publish(self, header: &[u8]) -> anyhow::Result<()> {
        let mut bytes = self
            .bytes
            .into_inner()
            .map_err(io::IntoInnerError::into_error)
            .with_context(|| self.target.cannot_write())?;
        self.target.publish(|file| {
            file.write_all(header)?;
            bytes.rewind()?;
            io::copy(&mut bytes, file).map(drop)
        })
    }
}

impl Write for Spool {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.bytes.write(bytes)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.bytes.flush()
    }
}
