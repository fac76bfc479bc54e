use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Lets a file appear complete or not at all: `fill` writes it under another name, it is made durable, then it gets its
/// own.
///
/// # Errors
///
/// When the file exists and `overwrite` is false, or cannot be written; nothing is left of it then, and a file that was
/// there is as it was.
pub fn publish(path: &Path, overwrite: bool, fill: impl FnOnce(&Path) -> io::Result<()>) -> io::Result<()> {
    let folder = match path.parent() {
        Some(folder) if folder != Path::new("") => folder,
        _ => Path::new("."),
    };
    let mut builder = tempfile::Builder::new();
    builder.prefix(".xception-").suffix(".part");
    #[cfg(unix)]
    builder.permissions(<fs::Permissions as std::os::unix::fs::PermissionsExt>::from_mode(0o666));
    let scratch = builder.tempfile_in(folder)?.into_temp_path();
    // A writer may put a file of its own in its place.
    let permissions = scratch.metadata()?.permissions();
    fill(&scratch)?;
    fs::set_permissions(&scratch, permissions)?;
    File::open(&scratch)?.sync_all()?;
    if overwrite {
        scratch.persist(path)?;
    } else {
        scratch.persist_noclobber(path)?;
    }
    Ok(())
}
