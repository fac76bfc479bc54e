//! Checkpoints: all that a run needs to go on as if it had not been stopped.
//!
//! Burn's own checkpointers write at the end of an epoch, each record at once under its last name and without a checksum:
//! what a kill or a full disk leaves of it looks like a checkpoint, and a pruned one may have been the last whole one.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use burn::optim::OptimizerRecord;
use burn::store::ModuleRecord;
use files::{FileError, Sha256};
use serde::{Deserialize, Serialize};

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
    /// Seconds of the current epoch that steps took: forward, backward and update.
    pub step_seconds: f64,
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
/// What the name of a checkpoint begins with while another takes its place.
const REPLACED: &str = ".replaced-";
/// What the name of a checkpoint begins with once it was found damaged and passed over.
const DAMAGED: &str = "damaged-";

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
        let place = Place::of(progress);
        let written = (|| {
            self.settle()?;
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
            files::sync_folder(&partial).map_err(FileError::into_io)?;
            self.publish(&partial, &place.name())
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
        // What is later than the run itself is of no use to it, and never a reason to remove another.
        let mut places = self.places()?;
        places.retain(|other| *other <= place);
        places.truncate(places.len().saturating_sub(self.keep));
        for old in places {
            let old = self.folder.join(old.name());
            // Not a checkpoint any more from its first removed file on.
            let _ = fs::remove_file(old.join(MANIFEST));
            fs::remove_dir_all(&old).map_err(TrainError::file(&old))?;
        }
        Ok(())
    }

    /// The newest one that is whole, and what to say about newer ones that are not: those are moved out of the way.
    pub fn load(&self) -> Result<(Option<Loaded>, Vec<String>), TrainError> {
        self.settle().map_err(TrainError::file(&self.folder))?;
        let mut damaged = Vec::new();
        let mut found = None;
        for place in self.places()?.into_iter().rev() {
            match load(&self.folder.join(place.name())) {
                Ok(loaded) => {
                    found = Some(loaded);
                    break;
                }
                Err(problem) => damaged.push((place.name(), problem)),
            }
        }
        let mut warnings = Vec::with_capacity(damaged.len());
        for (name, problem) in damaged {
            let path = self.folder.join(&name);
            let mut warning = format!("checkpoint {} is damaged ({problem})", path.display());
            if found.is_some() {
                let aside = self.folder.join(format!("{DAMAGED}{name}"));
                (|| {
                    if aside.exists() {
                        fs::remove_dir_all(&aside)?;
                    }
                    fs::rename(&path, &aside)
                })()
                .map_err(TrainError::file(&path))?;
                let _ = write!(
                    warning,
                    ": the one before it is taken, and {} can be deleted",
                    aside.display()
                );
            }
            warnings.push(warning);
        }
        Ok((found, warnings))
    }

    /// Gives a finished folder its name. The one that had it goes only when the new one is in its place.
    fn publish(&self, partial: &Path, name: &str) -> io::Result<()> {
        let path = self.folder.join(name);
        let aside = self.folder.join(format!("{REPLACED}{name}"));
        let replaces = path.exists();
        if replaces {
            fs::rename(&path, &aside)?;
        }
        files::rename(partial, &path).map_err(FileError::into_io)?;
        if replaces {
            fs::remove_dir_all(&aside)?;
        }
        Ok(())
    }

    /// Ends what a process that was killed was in the middle of: a checkpoint that was to be replaced is there again, or gone.
    fn settle(&self) -> io::Result<()> {
        for name in self.entries()? {
            let Some(of) = name.strip_prefix(REPLACED) else {
                continue;
            };
            let (aside, path) = (self.folder.join(&name), self.folder.join(of));
            if path.exists() {
                fs::remove_dir_all(&aside)?;
            } else {
                files::rename(&aside, &path).map_err(FileError::into_io)?;
            }
        }
        Ok(())
    }

    /// The finished ones, oldest first.
    fn places(&self) -> Result<Vec<Place>, TrainError> {
        let names = self.entries().map_err(TrainError::file(&self.folder))?;
        let mut places: Vec<Place> = names.iter().filter_map(|name| Place::parse(name)).collect();
        places.sort_unstable();
        Ok(places)
    }

    /// Names of what is in the folder; of none, if there is no folder yet.
    fn entries(&self) -> io::Result<Vec<String>> {
        match fs::read_dir(&self.folder) {
            Ok(entries) => Ok(entries
                .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
                .collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }
}

/// Where in the run a checkpoint was taken. A phase begins at the step at which the one before it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Place {
    step: u64,
    phase: usize,
}

impl Place {
    fn of(progress: &Progress) -> Self {
        Self {
            step: progress.step,
            phase: progress.phase,
        }
    }

    /// `step-0000000123-phase-1`.
    fn name(self) -> String {
        format!("step-{:010}-phase-{}", self.step, self.phase)
    }

    /// Of a name that [`name`](Self::name) gives.
    fn parse(name: &str) -> Option<Self> {
        let (step, phase) = name.strip_prefix("step-")?.split_once("-phase-")?;
        let place = Self {
            step: step.parse().ok()?,
            phase: phase.parse().ok()?,
        };
        (place.name() == name).then_some(place)
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

fn checksum(file: File) -> io::Result<String> {
    let mut hash = Sha256::new();
    files::each_piece(file, |piece| hash.update(piece))?;
    Ok(hash.finish().to_string())
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::module::Module;
    use burn::nn::LinearConfig;
    use burn::tensor::Device;

    fn save(checkpoints: &Checkpoints, step: u64, phase: usize) {
        let progress = Progress {
            phase,
            step,
            ..Progress::default()
        };
        let record = || LinearConfig::new(2, 2).init(&Device::flex()).into_record();
        checkpoints.save(&progress, record(), None, None, None).unwrap();
    }

    fn names(folder: &Path) -> Vec<String> {
        let mut names: Vec<_> = fs::read_dir(folder)
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn damage(folder: &Path, name: &str) {
        fs::write(folder.join(name).join(MODEL), "rubbish").unwrap();
    }

    fn newest(checkpoints: &Checkpoints) -> (u64, usize, usize) {
        let (loaded, warnings) = checkpoints.load().unwrap();
        let progress = loaded.unwrap().progress;
        (progress.step, progress.phase, warnings.len())
    }

    #[test]
    fn a_damaged_later_checkpoint_never_costs_a_whole_one() {
        for keep in [1, 2] {
            let home = tempfile::tempdir().unwrap();
            let folder = home.path();
            let writing = Checkpoints::new(folder.to_owned(), 9);
            save(&writing, 10, 0);
            save(&writing, 900, 1);
            damage(folder, "step-0000000900-phase-1");
            let checkpoints = Checkpoints::new(folder.to_owned(), keep);
            assert_eq!(newest(&checkpoints), (10, 0, 1), "it falls back and says so");
            // Stopped before it comes as far as the damaged one was.
            save(&checkpoints, 11, 0);
            assert_eq!(newest(&checkpoints), (11, 0, 0), "keep {keep}");
            let mut expected = vec!["damaged-step-0000000900-phase-1", "step-0000000011-phase-0"];
            if keep == 2 {
                expected.insert(1, "step-0000000010-phase-0");
            }
            assert_eq!(names(folder), expected);

            // Even where nothing could be moved away.
            fs::rename(
                folder.join("damaged-step-0000000900-phase-1"),
                folder.join("step-0000000900-phase-1"),
            )
            .unwrap();
            save(&checkpoints, 12, 0);
            assert_eq!(newest(&checkpoints), (12, 0, 1));
        }
    }

    #[test]
    fn where_nothing_is_whole_nothing_is_moved() {
        let home = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(home.path().to_owned(), 2);
        save(&checkpoints, 10, 0);
        damage(home.path(), "step-0000000010-phase-0");
        let (loaded, warnings) = checkpoints.load().unwrap();
        assert!(loaded.is_none() && warnings.len() == 1);
        assert_eq!(names(home.path()), ["step-0000000010-phase-0"]);
    }

    #[test]
    fn a_phase_that_begins_does_not_replace_the_end_of_the_one_before() {
        let home = tempfile::tempdir().unwrap();
        let checkpoints = Checkpoints::new(home.path().to_owned(), 2);
        save(&checkpoints, 10, 0);
        save(&checkpoints, 10, 1);
        assert_eq!(
            names(home.path()),
            ["step-0000000010-phase-0", "step-0000000010-phase-1"]
        );
        assert_eq!(newest(&checkpoints), (10, 1, 0));
        // The tenth phase comes after the ninth.
        save(&checkpoints, 10, 9);
        save(&checkpoints, 10, 10);
        assert_eq!(newest(&checkpoints), (10, 10, 0));
    }

    /// What a process leaves that is killed while it replaces its only checkpoint.
    #[test]
    fn a_kill_between_two_renames_costs_no_checkpoint() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let checkpoints = Checkpoints::new(folder.to_owned(), 1);
        let name = "step-0000000010-phase-0";
        save(&checkpoints, 10, 0);
        let aside = folder.join(format!("{REPLACED}{name}"));
        // The old one is aside and the new one not yet there.
        fs::rename(folder.join(name), &aside).unwrap();
        fs::create_dir(folder.join(PARTIAL)).unwrap();
        assert_eq!(newest(&checkpoints), (10, 0, 0));
        assert!(!aside.exists());
        // Both are there.
        save(&checkpoints, 10, 0);
        fs::create_dir(&aside).unwrap();
        assert_eq!(newest(&checkpoints), (10, 0, 0));
        assert_eq!(names(folder), [name]);
        // The next one goes on as if nothing had been.
        fs::rename(folder.join(name), &aside).unwrap();
        save(&checkpoints, 10, 0);
        assert_eq!(newest(&checkpoints), (10, 0, 0));
        assert_eq!(names(folder), [name]);
    }
}
