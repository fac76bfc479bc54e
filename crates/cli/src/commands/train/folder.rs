//! Where a run writes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use trainer::Run;

use crate::io::target::{Target, check_new_folder};

/// Checks that a run can begin in this folder.
pub fn check(folder: &Path, data: &Path) -> anyhow::Result<()> {
    Run::check_folder(folder, data)?;
    check_new_folder(folder)
}

/// `runs/flowers`, or `runs/flowers-2` and so on where that exists.
pub fn free(data: &Path) -> PathBuf {
    let name = std::path::absolute(data).ok();
    let name = name.as_deref().and_then(Path::file_stem).unwrap_or(OsStr::new("run"));
    let numbered = |number: usize| {
        let mut name = name.to_owned();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        Path::new("runs").join(name)
    };
    (1..=usize::from(u16::MAX))
        .map(numbered)
        .find(|folder| !folder.exists())
        .unwrap_or_else(|| numbered(1))
}

/// Checks that a new PNG can be written.
pub fn check_png(path: &Path) -> anyhow::Result<()> {
    if path.exists() {
        bail!("{} exists already: name another file", path.display());
    }
    Target::new_file(path, false)?;
    ensure!(
        trainer::plots::is_png(path),
        "{}: the file is written as PNG: give it a name that ends in .png",
        path.display()
    );
    Ok(())
}
