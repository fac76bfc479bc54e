//! The folder of a run: the names of its files, whether a run can start there, and its lock.

use std::path::{Path, PathBuf};
use std::{fs, io};

use files::Lock;

use super::error::TrainError;

/// The file that marks a folder as a run's.
pub const RUN_FILE: &str = "run.toml";
/// The best weights, with everything needed to classify.
pub const MODEL: &str = "model.bpk";
/// The last weights.
pub const LAST_MODEL: &str = "last.bpk";
/// The moving average of the last weights, if the recipe keeps one.
pub const EMA_MODEL: &str = "ema.bpk";
pub(crate) const CHECKPOINTS: &str = "checkpoints";
/// The checkpoints of a finished run during their removal.
const DISCARDED: &str = ".discarded";
/// The prediction for every judged picture.
pub(crate) const PREDICTIONS: &str = "predictions.csv";
/// The pictures with suspected labels.
pub(crate) const SUSPECTS: &str = "suspected_labels.csv";
/// The pictures, their labels and their split, as a table that `xception train` reads.
pub(crate) const DATA: &str = "data.csv";
/// The results of the last check of the pictures, so that a resumed run does not decode unchanged pictures again.
pub(crate) const CHECKED: &str = "checked.csv";
pub(crate) const METRICS: &str = "metrics.csv";
pub(crate) const STEPS: &str = "steps.csv";
/// The kept features of the frozen backbone.
pub(crate) const FEATURES: &str = "features";
/// The folder of a run's own decoded pictures ([`Cache::Disk`](crate::pipeline::Cache)), which are removed when the run
/// is finished.
pub const PICTURES: &str = "pictures";
const LOCK: &str = ".lock";

/// Whether a run on `data` can start in `folder`.
///
/// # Errors
///
/// [`TrainError::Run`] for a folder that is not empty, is a file, or lies in the data.
pub(crate) fn check(folder: &Path, data: &Path) -> Result<(), TrainError> {
    let wrong = |problem: &str| Err(TrainError::run(folder, problem));
    if folder.join(RUN_FILE).exists() {
        return wrong(
            "there is a run in this folder already: continue it with --resume, or name another with --output",
        );
    }
    if folder.exists() && !folder.is_dir() {
        return wrong("this is a file, no folder: name another with --output");
    }
    // The run's files would become part of the data.
    if data.is_dir() && resolved(folder).starts_with(resolved(data)) {
        return wrong("the folder lies in the data: name another with --output");
    }
    if folder.is_dir() {
        let was_locked = folder.join(LOCK).exists();
        for entry in fs::read_dir(folder).map_err(TrainError::file(folder))? {
            let name = entry.map_err(TrainError::file(folder))?.file_name();
            let is_own = [LOCK, CHECKPOINTS, DATA, CHECKED].iter().any(|own| name == *own);
            let is_left = was_locked && (is_own || files::is_unfinished(&name));
            if !is_left {
                return wrong("the folder is not empty: empty it, or name another with --output");
            }
        }
    }
    Ok(())
}

/// Removes the files of a run that ended before its first files were complete.
pub(crate) fn clear_unbegun(folder: &Path) {
    // A file that cannot be removed blocks a new file, and the new file's error reports it.
    let _ = fs::remove_dir_all(folder.join(CHECKPOINTS));
    for name in [DATA, CHECKED] {
        let _ = fs::remove_file(folder.join(name));
    }
}

/// Removes a run that could not begin. Removes its folder too if the folder is otherwise empty.
pub(crate) fn clear(folder: &Path) {
    clear_unbegun(folder);
    let _ = fs::remove_file(folder.join(LOCK));
    let _ = fs::remove_dir(folder);
}

/// Removes the files that a finished run does not need, also after an interrupted removal.
pub(crate) fn discard(folder: &Path) -> io::Result<()> {
    let discarded = folder.join(DISCARDED);
    missing_is_fine(fs::remove_dir_all(&discarded))?;
    // Renamed first: partly removed checkpoints would look like a damaged run.
    missing_is_fine(fs::rename(folder.join(CHECKPOINTS), &discarded))?;
    missing_is_fine(fs::remove_dir_all(&discarded))?;
    for name in [FEATURES, PICTURES] {
        missing_is_fine(fs::remove_dir_all(folder.join(name)))?;
    }
    for name in [LAST_MODEL, EMA_MODEL] {
        missing_is_fine(fs::remove_file(folder.join(name)))?;
    }
    Ok(())
}

fn missing_is_fine(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        removed => removed,
    }
}

/// The absolute path, with links resolved as far as the path exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors()
        .find_map(|ancestor| {
            let rest = path.strip_prefix(ancestor).ok()?;
            Some(fs::canonicalize(ancestor).ok()?.join(rest))
        })
        .unwrap_or_else(|| path.clone())
}

/// Keeps other processes out of the folder while the lock is held. Removes the files that a killed process was writing.
pub(crate) fn lock(folder: &Path) -> Result<Lock, TrainError> {
    let lock = Lock::try_take(&folder.join(LOCK))?
        .ok_or_else(|| TrainError::run(folder, "another process is training in this folder"))?;
    files::remove_unfinished(folder)?;
    Ok(lock)
}
