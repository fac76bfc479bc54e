//! Where results go.

use std::io::{self, BufWriter, Stdout, Write};
use std::path::Path;

use crate::io::spool::Spool;
use crate::io::target::Target;

/// Standard output, or a file that is written completely or not at all.
pub enum Output {
    Stdout(BufWriter<Stdout>),
    File(Spool),
}

impl Output {
    pub fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout()))
    }

    /// Standard output if there is no path, for `-`, and for a path that leads there. A file that exists is refused
    /// here, before any work is done.
    pub fn open(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        let Some(path) = path.filter(|path| *path != Path::new("-")) else {
            return Ok(Self::stdout());
        };
        let target = Target::new(path, force)?;
        Ok(if target.is_standard_output() {
            Self::stdout()
        } else {
            Self::File(Spool::new(target)?)
        })
    }

    /// Writes what is buffered. Without this call no file appears.
    pub fn finish(self) -> anyhow::Result<()> {
        match self {
            Self::Stdout(mut stdout) => Ok(stdout.flush()?),
            Self::File(spool) => spool.publish(&[]),
        }
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File(spool) => spool.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File(spool) => spool.flush(),
        }
    }
}
