//! Files that results are written to.

use std::fs::{self, File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use files::FileError;

/// Where a result is written.
pub struct Target {
    path: PathBuf,
    kind: Kind,
}

/// What lies at the path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A file, which is written completely or not at all. A link to one stays.
    File { force: bool },
    /// One of the program's own streams, by its number.
    Stream(u8),
    /// A device or a pipe, which is written to and never replaced.
    Device,
}

impl Target {
    /// Checks, before any work is done, that the path may be written: its folder exists and takes files, and an
    /// existing file is replaced only with `force`. `/dev/stdout` is standard output.
    pub fn new(path: &Path, force: bool) -> anyhow::Result<Self> {
        if let Some(number) = standard_stream(path) {
            return Ok(Self {
                path: path.to_owned(),
                kind: Kind::Stream(number),
            });
        }
        let kind = match files::check_target(path, force) {
            Err(FileError::NotOrdinary { .. }) => Kind::Device,
            Err(error @ FileError::Exists { .. }) => bail!("{error}; --force replaces it"),
            checked => checked.map(|()| Kind::File { force })?,
        };
        let target = Self {
            path: path.to_owned(),
            kind,
        };
        if target.is_file() {
            files::check_folder(&files::folder_behind_links(path)?).with_context(|| target.cannot_write())?;
        }
        Ok(target)
    }

    /// As [`new`](Self::new), for results that must be a file.
    pub fn new_file(path: &Path, force: bool) -> anyhow::Result<Self> {
        let target = Self::new(path, force)?;
        if !target.is_file() {
            bail!("{} is no ordinary file: name a file", path.display());
        }
        Ok(target)
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    pub fn is_file(&self) -> bool {
        matches!(self.kind, Kind::File { .. })
    }

    pub fn is_standard_output(&self) -> bool {
        self.kind == Kind::Stream(1)
    }

    /// A file without a name on the target's disk, for an incomplete result. The system deletes it when this process
    /// ends.
    pub fn unnamed(&self) -> anyhow::Result<File> {
        let folder = if self.is_file() {
            files::folder_behind_links(&self.path)?
        } else {
            std::env::temp_dir()
        };
        files::spool(&folder).with_context(|| self.cannot_write())
    }

    /// Refuses a disk with less free space, where a file is written.
    pub fn check_space(&self, bytes: u64) -> anyhow::Result<()> {
        if self.is_file() {
            files::check_space(&files::folder_behind_links(&self.path)?, bytes).with_context(|| self.cannot_write())?;
        }
        Ok(())
    }

    /// Writes a file under a temporary name, syncs it to disk and renames it. Streams, devices and pipes are written
    /// directly.
    pub fn publish(&self, fill: impl FnOnce(&mut File) -> io::Result<()>) -> anyhow::Result<()> {
        let written = match self.kind {
            Kind::File { force } => files::write_with(&self.path, force, fill).map_err(FileError::into_io),
            Kind::Stream(number) => stream(number).and_then(|mut stream| fill(&mut stream)),
            Kind::Device => {
                let device = OpenOptions::new().write(true).open(&self.path);
                device.and_then(|mut device| fill(&mut device))
            }
        };
        written.with_context(|| self.cannot_write())
    }

    /// The context of an error.
    pub fn cannot_write(&self) -> String {
        format!("cannot write {}", self.path.display())
    }
}

/// The number of the program's own stream that a path names, directly or through links. What lies behind such a path
/// may be a file, and writing it anew would lose what others wrote there.
fn standard_stream(path: &Path) -> Option<u8> {
    /// As Linux.
    const LONGEST_CHAIN: usize = 40;

    let own = format!("/proc/{}/fd", std::process::id());
    let mut path = std::path::absolute(path).ok()?;
    for _ in 0..LONGEST_CHAIN {
        for (number, name) in [(1, "/dev/stdout"), (2, "/dev/stderr")] {
            let descriptor = number.to_string();
            let folders = ["/dev/fd", "/proc/self/fd", &own];
            if path == Path::new(name) || folders.iter().any(|folder| path == Path::new(folder).join(&descriptor)) {
                return Some(number);
            }
        }
        path = path.parent()?.join(fs::read_link(&path).ok()?);
    }
    None
}

/// A second handle of standard output or standard error, which writes where the first one stands.
#[cfg(unix)]
fn stream(number: u8) -> io::Result<File> {
    use std::os::fd::AsFd;

    Ok(match number {
        1 => io::stdout().as_fd().try_clone_to_owned()?,
        _ => io::stderr().as_fd().try_clone_to_owned()?,
    }
    .into())
}

#[cfg(not(unix))]
fn stream(_: u8) -> io::Result<File> {
    Err(io::ErrorKind::Unsupported.into())
}

/// Checks that a folder exists, or can be made, and takes files. Leaves nothing behind.
pub fn check_new_folder(folder: &Path) -> anyhow::Result<()> {
    let existing = folder.ancestors().find(|folder| folder.exists());
    files::check_folder(existing.unwrap_or(Path::new(".")))
        .with_context(|| format!("cannot write {}", folder.display()))
}

/// Refuses results that would replace a file that the command reads. Only files that exist are compared, which
/// `--force` allows.
pub fn keep_inputs<'o, 'i>(
    outputs: impl IntoIterator<Item = &'o Path>,
    inputs: impl IntoIterator<Item = &'i Path>,
) -> anyhow::Result<()> {
    let identity = |path: &Path| fs::canonicalize(path).ok().filter(|path| path.is_file());
    let outputs: Vec<PathBuf> = outputs.into_iter().filter_map(identity).collect();
    if outputs.is_empty() {
        return Ok(());
    }
    match inputs
        .into_iter()
        .find(|input| identity(input).is_some_and(|input| outputs.contains(&input)))
    {
        Some(input) => bail!(
            "{} is read by this command, and the result would replace it: name another file",
            input.display()
        ),
        None => Ok(()),
    }
}

#[cfg(all(test, target_os = "linux"))]
mod tests {
    use super::*;

    #[test]
    fn standard_streams_are_found_behind_links() {
        let home = tempfile::tempdir().unwrap();
        let link = home.path().join("link");
        std::os::unix::fs::symlink("/dev/stdout", &link).unwrap();
        for (path, number) in [
            (Path::new("/dev/stdout"), Some(1)),
            (Path::new("/dev/fd/1"), Some(1)),
            (Path::new("/proc/self/fd/1"), Some(1)),
            (&link, Some(1)),
            (Path::new("/dev/stderr"), Some(2)),
            (Path::new("/dev/null"), None),
            (Path::new("out.csv"), None),
        ] {
            assert_eq!(standard_stream(path), number, "{}", path.display());
        }
    }
}
