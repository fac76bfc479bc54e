//! Where results and complaints go.

use std::fs::File;
use std::io::{self, BufWriter, ErrorKind, Seek, Stdout, Write};
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use files::FileError;

/// How far a command came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// All was done.
    Complete,
    /// Something failed and was reported; the rest was done.
    Incomplete,
    /// A signal asked for the end; what was done is saved.
    Interrupted { signal: u8 },
}

/// Standard output, or a file that appears complete or not at all.
pub enum Output {
    Stdout(BufWriter<Stdout>),
    File { spool: BufWriter<File>, target: Target },
}

impl Output {
    pub fn stdout() -> Self {
        Self::Stdout(BufWriter::new(io::stdout()))
    }

    /// Standard output without a path. A file that exists is refused here, before any work is done.
    pub fn open(path: Option<&Path>, force: bool) -> anyhow::Result<Self> {
        Ok(match path {
            None => Self::stdout(),
            Some(path) => {
                let target = Target::new(path, force)?;
                Self::File {
                    spool: BufWriter::new(target.spool()?),
                    target,
                }
            }
        })
    }

    /// Must be called at the end: without it a file does not appear.
    pub fn finish(self) -> anyhow::Result<Outcome> {
        match self {
            Self::Stdout(mut stdout) => stdout.flush()?,
            Self::File { spool, target } => {
                let mut spool = spool
                    .into_inner()
                    .map_err(io::IntoInnerError::into_error)
                    .with_context(|| target.cannot_write())?;
                target.publish(|file| {
                    spool.rewind()?;
                    io::copy(&mut spool, file).map(drop)
                })?;
            }
        }
        Ok(Outcome::Complete)
    }
}

impl Write for Output {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self {
            Self::Stdout(stdout) => stdout.write(bytes),
            Self::File { spool, .. } => spool.write(bytes),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Stdout(stdout) => stdout.flush(),
            Self::File { spool, .. } => spool.flush(),
        }
    }
}

/// A file to be written.
pub struct Target {
    path: PathBuf,
    force: bool,
}

impl Target {
    /// Checks what can be checked before any work is done.
    pub fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        match files::check_target(path, force) {
            Err(FileError::NotOrdinary { .. }) => bail!(
                "{} is no ordinary file; results go to standard output without --output",
                path.display()
            ),
            Err(error @ FileError::Exists { .. }) => bail!("{error}; --force replaces it"),
            checked => checked?,
        }
        let target = Self {
            path: path.to_owned(),
            force,
        };
        files::check_folder(files::folder_of(path)).with_context(|| target.cannot_write())?;
        Ok(target)
    }

    /// A file without a name on the target's disk, for what is not complete yet. It is gone with this process, however that
    /// ends.
    pub fn spool(&self) -> anyhow::Result<File> {
        files::spool(files::folder_of(&self.path)).with_context(|| self.cannot_write())
    }

    /// Writes a file under another name, makes it durable and gives it its own.
    pub fn publish(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> anyhow::Result<()> {
        files::write_with(&self.path, self.force, fill)
            .map_err(FileError::into_io)
            .with_context(|| self.cannot_write())
    }

    pub fn cannot_write(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

/// Whether a folder is there, or can be made, and takes files. Nothing is left behind.
pub fn folder_can_be_made(folder: &Path) -> anyhow::Result<()> {
    let there = folder.ancestors().find(|folder| folder.exists());
    files::check_folder(there.unwrap_or(Path::new("."))).with_context(|| format!("cannot write {}", folder.display()))
}

/// One sentence on standard error. When that is closed too, nobody is left to tell.
pub fn complain(kind: &str, sentence: &str) {
    drop(writeln!(io::stderr(), "{kind}: {}", printable(sentence)));
}

/// An error and its causes in one sentence. Some libraries' messages already hold their cause's.
pub fn sentence(error: &anyhow::Error) -> String {
    error.chain().fold(String::new(), |mut sentence, cause| {
        let cause = cause.to_string();
        if !sentence.contains(&cause) {
            if !sentence.is_empty() {
                sentence.push_str(": ");
            }
            sentence.push_str(&cause);
        }
        sentence
    })
}

/// Names of files can hold anything, also what moves a terminal's cursor.
pub fn printable(text: &str) -> String {
    text.chars().fold(String::with_capacity(text.len()), |mut text, char| {
        if char.is_control() {
            text.extend(char.escape_default());
        } else {
            text.push(char);
        }
        text
    })
}

/// Standard output's errors come without context; a pipe that closed elsewhere is a failure like any other.
pub fn is_closed_pipe(error: &anyhow::Error) -> bool {
    error
        .downcast_ref::<io::Error>()
        .is_some_and(|error| error.kind() == ErrorKind::BrokenPipe)
}
