use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io;
use std::path::Path;

use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use files::FileError;

use super::checksum::checksum;
use super::names::{BEST, EMA, MANIFEST, MODEL, OPTIMIZER, PROGRESS};
use super::progress::Progress;

/// The weights and the optimizer of a checkpoint.
pub(crate) struct State {
    pub model: ModuleRecord,
    pub ema: Option<ModuleRecord>,
    /// The weights of [`Progress::best`].
    pub best: Option<ModuleRecord>,
    /// `None` at the start of a phase.
    pub optimizer: Option<OptimizerRecord>,
}

/// Writes all files of a checkpoint into a new folder, the checksums last, and syncs them to the disk.
pub(super) fn write(folder: &Path, progress: &Progress, state: State) -> io::Result<()> {
    fs::create_dir_all(folder)?;
    let saved =
        |result: Result<(), burn::store::RecordError>| result.map_err(|error| io::Error::other(error.to_string()));
    saved(state.model.save(folder.join(MODEL)))?;
    for (record, name) in [(state.ema, EMA), (state.best, BEST)] {
        if let Some(record) = record {
            saved(record.save(folder.join(name)))?;
        }
    }
    if let Some(optimizer) = state.optimizer {
        saved(optimizer.save(folder.join(OPTIMIZER)))?;
    }
    let text = toml::to_string(progress).map_err(io::Error::other)?;
    fs::write(folder.join(PROGRESS), text)?;
    write_manifest(folder)?;
    files::sync_folder(folder).map_err(FileError::into_io)
}

/// Writes the checksums of all files in the folder.
fn write_manifest(folder: &Path) -> io::Result<()> {
    let mut checksums = BTreeMap::new();
    for entry in fs::read_dir(folder)? {
        let entry = entry?;
        let file = File::open(entry.path())?;
        file.sync_all()?;
        checksums.insert(entry.file_name().to_string_lossy().into_owned(), checksum(file)?);
    }
    let text = toml::to_string(&checksums).map_err(io::Error::other)?;
    fs::write(folder.join(MANIFEST), text)?;
    File::open(folder.join(MANIFEST))?.sync_all()
}
