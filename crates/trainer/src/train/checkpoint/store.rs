use std::fmt::Write as _;
use std::path::{Path, PathBuf};
use std::{fs, io};

use files::FileError;

use super::names::MANIFEST;
use super::position::Position;
use super::progress::Progress;
use super::read::{Loaded, read};
use super::write::{State, write};
use crate::train::error::TrainError;

/// The folder of a run's checkpoints.
#[derive(Clone, Debug)]
pub(crate) struct Checkpoints {
    folder: PathBuf,
    keep: usize,
}

/// The folder of a checkpoint that is being written.
const PARTIAL: &str = ".partial";
/// The prefix of a checkpoint's name while a new checkpoint of that name replaces it.
const REPLACED: &str = ".replaced-";
/// The prefix of a damaged checkpoint's name.
const DAMAGED: &str = "damaged-";

impl Checkpoints {
    /// Checkpoints in `folder`. The last `keep` of them are kept.
    pub fn new(folder: PathBuf, keep: usize) -> Self {
        Self {
            folder,
            keep: keep.max(1),
        }
    }

    /// Writes a checkpoint. The checkpoint appears under its name whole or not at all. Older ones are removed
    /// afterwards.
    pub fn save(&self, progress: &Progress, state: State) -> Result<(), TrainError> {
        let partial = self.folder.join(PARTIAL);
        let position = Position::of(progress);
        let written = (|| {
            self.settle()?;
            // Left by a killed process.
            if partial.exists() {
                fs::remove_dir_all(&partial)?;
            }
            write(&partial, progress, state)?;
            self.publish(&partial, &position.name())
        })();
        if let Err(source) = written {
            // Frees the space of the unfinished checkpoint. Whole checkpoints are untouched.
            let _ = fs::remove_dir_all(&partial);
            let problem = if self.positions().is_ok_and(|positions| positions.is_empty()) {
                format!("the first checkpoint could not be written ({source}): make room, then begin again")
            } else {
                format!(
                    "the checkpoint of step {} could not be written ({source}); the earlier checkpoints are whole: \
                     make room, then continue with --resume",
                    progress.step
                )
            };
            return Err(TrainError::run(&self.folder, problem));
        }
        self.prune(position)
    }

    /// Removes all but the newest checkpoints up to `position`. A later checkpoint is left by a run that continued from
    /// an earlier one. Later checkpoints do not count, so they never displace a whole one.
    fn prune(&self, position: Position) -> Result<(), TrainError> {
        let mut positions = self.positions()?;
        positions.retain(|other| *other <= position);
        positions.truncate(positions.len().saturating_sub(self.keep));
        for old in positions {
            let old = self.folder.join(old.name());
            // If the removal is interrupted, the missing manifest marks the folder as no checkpoint.
            let _ = fs::remove_file(old.join(MANIFEST));
            fs::remove_dir_all(&old).map_err(TrainError::file(&old))?;
        }
        Ok(())
    }

    /// Reads the newest whole checkpoint. Renames newer damaged ones, and returns a warning for each.
    pub fn load(&self) -> Result<(Option<Loaded>, Vec<String>), TrainError> {
        self.settle().map_err(TrainError::file(&self.folder))?;
        let mut damaged = Vec::new();
        let mut found = None;
        for position in self.positions()?.into_iter().rev() {
            match read(&self.folder.join(position.name())) {
                Ok(loaded) => {
                    found = Some(loaded);
                    break;
                }
                Err(problem) => damaged.push((position.name(), problem)),
            }
        }
        let mut warnings = Vec::with_capacity(damaged.len());
        for (name, problem) in damaged {
            let path = self.folder.join(&name);
            let mut warning = format!("checkpoint {} is damaged ({problem})", path.display());
            if found.is_some() {
                let aside = self.set_aside(&name).map_err(TrainError::file(&path))?;
                let _ = write!(
                    warning,
                    ": the run continues from the one before it; {} can be deleted",
                    aside.display()
                );
            }
            warnings.push(warning);
        }
        Ok((found, warnings))
    }

    /// Renames a damaged checkpoint.
    fn set_aside(&self, name: &str) -> io::Result<PathBuf> {
        let aside = self.folder.join(format!("{DAMAGED}{name}"));
        if aside.exists() {
            fs::remove_dir_all(&aside)?;
        }
        fs::rename(self.folder.join(name), &aside)?;
        Ok(aside)
    }

    /// Gives a finished folder its name, then removes an older folder of that name.
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

    /// Completes a [`publish`](Self::publish) that was killed. The replaced checkpoint gets its name back if the new
    /// one is missing, and is removed otherwise.
    fn settle(&self) -> io::Result<()> {
        for name in self.entries()? {
            let Some(original) = name.strip_prefix(REPLACED) else {
                continue;
            };
            let (aside, path) = (self.folder.join(&name), self.folder.join(original));
            if path.exists() {
                fs::remove_dir_all(&aside)?;
            } else {
                files::rename(&aside, &path).map_err(FileError::into_io)?;
            }
        }
        Ok(())
    }

    /// The finished checkpoints, oldest first.
    fn positions(&self) -> Result<Vec<Position>, TrainError> {
        let names = self.entries().map_err(TrainError::file(&self.folder))?;
        let mut positions: Vec<Position> = names.iter().filter_map(|name| Position::parse(name)).collect();
        positions.sort_unstable();
        Ok(positions)
    }

    /// The names in the folder; none if the folder does not exist yet.
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

#[cfg(test)]
mod tests {
    use super::super::names::MODEL;
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
        let state = State {
            model: LinearConfig::new(2, 2).init(&Device::flex()).into_record(),
            ema: None,
            best: None,
            optimizer: None,
        };
        checkpoints.save(&progress, state).unwrap();
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
            // The run stops before the step of the damaged checkpoint.
            save(&checkpoints, 11, 0);
            assert_eq!(newest(&checkpoints), (11, 0, 0), "keep {keep}");
            let mut expected = vec!["damaged-step-0000000900-phase-1", "step-0000000011-phase-0"];
            if keep == 2 {
                expected.insert(1, "step-0000000010-phase-0");
            }
            assert_eq!(names(folder), expected);

            // The same if the damaged checkpoint keeps its name.
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
    fn without_a_whole_checkpoint_none_is_renamed() {
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
        // Phase 10 sorts after phase 9.
        save(&checkpoints, 10, 9);
        save(&checkpoints, 10, 10);
        assert_eq!(newest(&checkpoints), (10, 10, 0));
    }

    /// The folders left by a process that is killed while it replaces its only checkpoint.
    #[test]
    fn a_kill_between_two_renames_costs_no_checkpoint() {
        let home = tempfile::tempdir().unwrap();
        let folder = home.path();
        let checkpoints = Checkpoints::new(folder.to_owned(), 1);
        let name = "step-0000000010-phase-0";
        save(&checkpoints, 10, 0);
        let aside = folder.join(format!("{REPLACED}{name}"));
        // The old checkpoint is set aside, and the new one is missing.
        fs::rename(folder.join(name), &aside).unwrap();
        fs::create_dir(folder.join(PARTIAL)).unwrap();
        assert_eq!(newest(&checkpoints), (10, 0, 0));
        assert!(!aside.exists());
        // Both checkpoints exist.
        save(&checkpoints, 10, 0);
        fs::create_dir(&aside).unwrap();
        assert_eq!(newest(&checkpoints), (10, 0, 0));
        assert_eq!(names(folder), [name]);
        // Saving recovers, as loading does.
        fs::rename(folder.join(name), &aside).unwrap();
        save(&checkpoints, 10, 0);
        assert_eq!(newest(&checkpoints), (10, 0, 0));
        assert_eq!(names(folder), [name]);
    }
}
