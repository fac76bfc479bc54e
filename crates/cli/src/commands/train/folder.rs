//! Where a run writes.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::{bail, ensure};
use trainer::{CARD, RUN_FILE, Run};

use crate::io::target::{Target, check_new_folder};

/// Checks that a run can begin in this folder.
pub fn check(folder: &Path, data: &Path) -> anyhow::Result<()> {
    Run::check_folder(folder, data)?;
    check_new_folder(folder)
}

/// `runs/flowers`, or `runs/flowers-2` and so on where that exists; and the last of the existing ones, if its run was
/// stopped.
pub fn free(data: &Path) -> (PathBuf, Option<PathBuf>) {
    let name = std::path::absolute(data).ok();
    let name = name.as_deref().and_then(Path::file_stem).unwrap_or(OsStr::new("run"));
    let numbered = |number: usize| {
        let mut name = name.to_owned();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        Path::new("runs").join(name)
    };
    let number = (1..=usize::from(u16::MAX))
        .find(|number| !numbered(*number).exists())
        .unwrap_or(1);
    let before = (number > 1).then(|| numbered(number - 1));
    let stopped = before.filter(|folder| folder.join(RUN_FILE).is_file() && !folder.join(CARD).exists());
    (numbered(number), stopped)
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
