//! Checkpoints: all that a run needs to go on as if it had not been stopped.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};

use crate::data::ContentHash;
use crate::error::TrainError;
use crate::metrics::EpochRow;

/// Where a run is.
///
/// Random numbers have no state of their own: they follow from the run's seed and these counters.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Progress {
    /// The phase, from 0.
    pub phase: usize,
    /// Epochs of the phase that are complete.
    pub epoch: usize,
    /// Batches of the current epoch that are done.
    pub batch: usize,
    /// Updates of the weights in this phase.
    pub update: usize,
    /// Steps since the run began.
    pub step: u64,
    /// Sum of the current epoch's losses, each times its pictures.
    pub loss_sum: f64,
    /// Pictures of the current epoch that were classified rightly.
    pub correct: f64,
    /// Pictures of the current epoch that were seen.
    pub seen: usize,
    /// Seconds since the run began, without the time it was stopped.
    pub seconds: f64,
    /// Seconds of the current epoch.
    pub epoch_seconds: f64,
    /// Seconds of the current epoch in which the step waited for pictures.
    pub wait_seconds: f64,
    /// Updates of the weights' moving average.
    pub ema_updates: u64,
    /// Epochs of the phase since its lowest validation loss.
    pub stale: usize,
    /// The lowest validation loss of the phase.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase_best: Option<f64>,
    /// The best weights so far.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub best: Option<Best>,
    /// What each epoch gave.
    #[serde(default)]
    pub rows: Vec<EpochRow>,
}

/// The best weights of a run.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Best {
    /// Row of the metrics table, from 0.
    pub row: usize,
    /// Whether they are the moving average's.
    pub ema: bool,
    /// Their validation loss.
    pub loss: f64,
    /// Their validation accuracy.
    pub accuracy: f64,
}

/// A checkpoint that was read and found whole.
pub(crate) struct Loaded {
    pub progress: Progress,
    pub model: ModuleRecord,
    pub ema: Option<ModuleRecord>,
    /// The weights of [`Progress::best`].
    pub best: Option<ModuleRecord>,
    pub optimizer: Option<OptimizerRecord>,
}

/// A run's folder of checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

const PROGRESS: &str = "progress.toml";
const MODEL: &str = "model.bpk";
const EMA: &str = "ema.bpk";
const BEST: &str = "best.bpk";
const OPTIMIZER: &str = "optimizer.bpk";
/// The files' checksums; a folder without it was never finished.
const MANIFEST: &str = "checksums.toml";
/// What a folder is called while it is written.
const PARTIAL: &str = ".partial";

impl Checkpoints {
    /// Checkpoints in `folder`, of which the last `keep` are kept.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self {
            folder,
            keep: keep.max(1),
        }
    }

    /// Writes one. It is there whole under its name, or not at all; older ones go only afterwards.
    pub fn save(
        &self,
        progress: &Progress,
        model: ModuleRecord,
        ema: Option<ModuleRecord>,
        best: Option<ModuleRecord>,
        optimizer: Option<OptimizerRecord>,
    ) -> Result<(), TrainError> {
        let partial = self.folder.join(PARTIAL);
        let name = format!("step-{:010}", progress.step);
        let path = self.folder.join(&name);
        let written = (|| {
            // Left by a process that was killed.
            if partial.exists() {
                fs::remove_dir_all(&partial)?;
            }
            fs::create_dir_all(&partial)?;
            let record = |result: Result<(), burn::store::RecordError>| {
                result.map_err(|error| io::Error::other(error.to_string()))
            };
            record(model.save(partial.join(MODEL)))?;
            for (record_of, name) in [(ema, EMA), (best, BEST)] {
                if let Some(record_of) = record_of {
                    record(record_of.save(partial.join(name)))?;
                }
            }
            if let Some(optimizer) = optimizer {
                record(optimizer.save(partial.join(OPTIMIZER)))?;
            }
            let text = toml::to_string(progress).map_err(io::Error::other)?;
            fs::write(partial.join(PROGRESS), text)?;
            let mut checksums = BTreeMap::new();
            for entry in fs::read_dir(&partial)? {
                let entry = entry?;
                let file = File::open(entry.path())?;
                file.sync_all()?;
                checksums.insert(entry.file_name().to_string_lossy().into_owned(), checksum(file)?);
            }
            let text = toml::to_string(&checksums).map_err(io::Error::other)?;
            fs::write(partial.join(MANIFEST), text)?;
            File::open(partial.join(MANIFEST))?.sync_all()?;
            sync_folder(&partial)?;
            if path.exists() {
                fs::remove_dir_all(&path)?;
            }
            fs::rename(&partial, &path)?;
            sync_folder(&self.folder)
        })();
        if let Err(source) = written {
            // Room for whoever frees the disk; what was whole before is untouched.
            let _ = fs::remove_dir_all(&partial);
            return Err(TrainError::Run {
                run: self.folder.clone(),
                problem: format!(
                    "the checkpoint of step {} could not be written ({source}); those before it are whole: make room and go on \
                     with --resume",
                    progress.step
                ),
            });
        }
        let mut names = self.names()?;
        names.truncate(names.len().saturating_sub(self.keep));
        for old in names {
            let old = self.folder.join(old);
            // Not a checkpoint any more from its first removed file on.
            let _ = fs::remove_file(old.join(MANIFEST));
            fs::remove_dir_all(&old).map_err(TrainError::file(&old))?;
        }
        Ok(())
    }

    /// The newest one that is whole, and what to say about newer ones that are not.
    pub fn load(&self) -> Result<(Option<Loaded>, Vec<String>), TrainError> {
        let mut warnings = Vec::new();
        for name in self.names()?.into_iter().rev() {
            let path = self.folder.join(&name);
            match load(&path) {
                Ok(loaded) => return Ok((Some(loaded), warnings)),
                Err(problem) => warnings.push(format!(
                    "checkpoint {} is damaged ({problem}): the one before it is taken",
                    path.display()
                )),
            }
        }
        Ok((None, warnings))
    }

    /// The finished ones, oldest first.
    fn names(&self) -> Result<Vec<String>, TrainError> {
        let entries = match fs::read_dir(&self.folder) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(TrainError::file(&self.folder)(error)),
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .filter(|name| name.starts_with("step-"))
            .collect();
        names.sort();
        Ok(names)
    }
}

fn load(path: &Path) -> Result<Loaded, String> {
    let text = |name: &str| fs::read_to_string(path.join(name)).map_err(|error| format!("{name}: {error}"));
    let checksums: BTreeMap<String, String> =
        toml::from_str(&text(MANIFEST)?).map_err(|error| format!("{MANIFEST}: {}", error.message()))?;
    for (name, expected) in &checksums {
        if Path::new(name).components().count() != 1 {
            return Err(format!("{MANIFEST} names {name}"));
        }
        let found = File::open(path.join(name))
            .and_then(checksum)
            .map_err(|error| format!("{name}: {error}"))?;
        if found != *expected {
            return Err(format!("{name} is not what was written"));
        }
    }
    for needed in [PROGRESS, MODEL] {
        if !checksums.contains_key(needed) {
            return Err(format!("{MANIFEST} lacks {needed}"));
        }
    }
    let progress = toml::from_str(&text(PROGRESS)?).map_err(|error| format!("{PROGRESS}: {}", error.message()))?;
    let record = |name: &str| ModuleRecord::load(path.join(name)).map_err(|error| format!("{name}: {error}"));
    let optional = |name: &str| checksums.contains_key(name).then(|| record(name)).transpose();
    Ok(Loaded {
        progress,
        model: record(MODEL)?,
        ema: optional(EMA)?,
        best: optional(BEST)?,
        optimizer: checksums
            .contains_key(OPTIMIZER)
            .then(|| OptimizerRecord::load(path.join(OPTIMIZER)).map_err(|error| format!("{OPTIMIZER}: {error}")))
            .transpose()?,
    })
}

fn checksum(mut file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 1 << 16];
    loop {
        let read = file.read(&mut buffer)?;
        if read == 0 {
            return Ok(ContentHash(hash.finalize().into()).to_string());
        }
        hash.update(&buffer[..read]);
    }
}

/// Makes a rename in a folder last through a power cut. Only Unix has folders that can be synced.
pub(crate) fn sync_folder(folder: &Path) -> io::Result<()> {
    if cfg!(unix) {
        File::open(folder)?.sync_all()
    } else {
        Ok(())
    }
}
