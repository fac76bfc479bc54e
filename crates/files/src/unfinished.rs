use std::ffi::OsStr;
use std::fs;
use std::path::Path;

use crate::error::FileError;

/// How the name of a file under construction begins and ends.
pub(crate) const PREFIX: &str = ".";
pub(crate) const SUFFIX: &str = ".part";

/// Whether a file of this name is under construction: a [`NewFile`](crate::NewFile), or one of Burn's records
/// (`model.bpk.4711-3.tmp`). A process that is killed leaves it.
pub fn is_unfinished(name: &OsStr) -> bool {
    let Some(name) = name.to_str() else { return false };
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let of_burn = || {
        let (_, counter) = name.strip_suffix(".tmp")?.rsplit_once('.')?;
        let (process, number) = counter.split_once('-')?;
        Some(is_number(process) && is_number(number))
    };
    let is_ours = name.starts_with(PREFIX) && name.ends_with(SUFFIX) && name.len() > PREFIX.len() + SUFFIX.len();
    is_ours || of_burn().unwrap_or(false)
}

/// Removes the files under construction in a folder. No process may be writing there.
///
/// # Errors
///
/// [`FileError::System`].
pub fn remove_unfinished(folder: &Path) -> Result<(), FileError> {
    let problem = FileError::system("read", folder);
    let entries = fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    for entry in entries.map_err(problem)? {
        if is_unfinished(&entry.file_name()) && entry.file_type().is_ok_and(|kind| kind.is_file()) {
            let path = entry.path();
            fs::remove_file(&path).map_err(FileError::system("remove", &path))?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::NewFile;

    #[test]
    fn only_files_under_construction_are_removed() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let kept = ["model.bpk", "notes.tmp", "a.1-b.tmp", "a.-.tmp", ".part", "report.part"];
        for name in kept.iter().chain(&["model.bpk.23644-3.tmp"]) {
            fs::write(folder.join(name), "").unwrap();
        }
        fs::create_dir(folder.join(".folder.part")).unwrap();
        // As after a kill: it is not dropped.
        std::mem::forget(NewFile::create(&folder.join("report.html"), true).unwrap());
        assert_eq!(fs::read_dir(folder).unwrap().count(), kept.len() + 3);

        remove_unfinished(folder).unwrap();
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        names.sort();
        let mut expected = kept.to_vec();
        expected.push(".folder.part");
        expected.sort_unstable();
        assert_eq!(names, expected);
    }
}
