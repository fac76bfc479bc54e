use std::collections::BTreeMap;
use std::fs::{self, File};
use std::path::Path;

use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;

use super::checksum::checksum;
use super::names::{BEST, EMA, MANIFEST, MODEL, OPTIMIZER, PROGRESS};
use super::progress::Progress;
use super::write::State;

/// A checkpoint whose files match their checksums.
pub(crate) struct Loaded {
    pub progress: Progress,
    pub state: State,
}

/// Reads a checkpoint; the error says what is damaged.
pub(super) fn read(folder: &Path) -> Result<Loaded, String> {
    let checksums = verified(folder)?;
    let text = read_text(folder, PROGRESS)?;
    let progress = toml::from_str(&text).map_err(|error| format!("{PROGRESS}: {}", error.message()))?;
    let record = |name: &str| ModuleRecord::load(folder.join(name)).map_err(|error| format!("{name}: {error}"));
    let optional = |name: &str| checksums.contains_key(name).then(|| record(name)).transpose();
    let optimizer = || {
        let loaded = OptimizerRecord::load(folder.join(OPTIMIZER));
        loaded.map_err(|error| format!("{OPTIMIZER}: {error}"))
    };
    Ok(Loaded {
        progress,
        state: State {
            model: record(MODEL)?,
            ema: optional(EMA)?,
            best: optional(BEST)?,
            optimizer: checksums.contains_key(OPTIMIZER).then(optimizer).transpose()?,
        },
    })
}

/// Compares a checkpoint's files with their checksums, and returns the names and checksums.
fn verified(folder: &Path) -> Result<BTreeMap<String, String>, String> {
    let text = read_text(folder, MANIFEST)?;
    let checksums: BTreeMap<String, String> =
        toml::from_str(&text).map_err(|error| format!("{MANIFEST}: {}", error.message()))?;
    for (name, expected) in &checksums {
        if Path::new(name).components().count() != 1 {
            return Err(format!("{MANIFEST} names {name}, which is not a file name"));
        }
        let found = File::open(folder.join(name))
            .and_then(checksum)
            .map_err(|error| format!("{name}: {error}"))?;
        if found != *expected {
            return Err(format!("{name} is not what was written"));
        }
    }
    for needed in [PROGRESS, MODEL] {
        if !checksums.contains_key(needed) {
            return Err(format!("{MANIFEST} does not list {needed}"));
        }
    }
    Ok(checksums)
}

fn read_text(folder: &Path, name: &str) -> Result<String, String> {
    fs::read_to_string(folder.join(name)).map_err(|error| format!("{name}: {error}"))
}
