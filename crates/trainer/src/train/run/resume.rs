//! The continuation of a run that was stopped.

use std::path::Path;
use std::sync::Arc;

use burn::module::Module;
use xception_model::Network;

use super::Run;
use crate::data::{DataReport, Dataset, Known};
use crate::train::checkpoint::{Checkpoints, Loaded, Progress};
use crate::train::ema::Ema;
use crate::train::environment::Environment;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};
use crate::train::folder::{self, CHECKED, CHECKPOINTS};
use crate::train::parameters::optimizer;
use crate::train::phase::Weights;
use crate::train::run_file::{RunFile, VERSION};
use crate::train::run_pictures::{RunPictures, write_table};
use crate::train::settings::RunSettings;
use crate::train::trainee::Trainee;

impl Run {
    /// Continues a run that was stopped, from its last whole checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainError`] if the folder holds no run, its data has changed, or no checkpoint is whole.
    pub fn resume(folder: &Path, settings: RunSettings) -> Result<Self, TrainError> {
        Self::resume_with(folder, settings, None)
    }

    /// As [`resume`](Self::resume); `data` is the new place of the pictures, which the run records.
    ///
    /// # Errors
    ///
    /// As [`resume`](Self::resume).
    pub fn resume_with(folder: &Path, settings: RunSettings, data: Option<&Path>) -> Result<Self, TrainError> {
        settings.check()?;
        let mut file = RunFile::read(folder)?;
        let moved = data.is_some();
        if let Some(data) = data {
            file.move_data(data)?;
        }
        let file = file;
        if Self::is_finished(folder) {
            return Err(TrainError::run(
                folder,
                "this run is finished: begin a new run for other settings",
            ));
        }
        let warn = |warning: String| (settings.observer)(Event::Warning(warning));
        file.environment
            .admits(&Environment::of(&settings))
            .map_err(|problem| TrainError::run(folder, problem))?
            .into_iter()
            .for_each(warn);
        if file.version != VERSION {
            warn(format!(
                "version {} of this program began the run, and {VERSION} continues it: its numbers may differ from \
                 those of a run that was not stopped",
                file.version
            ));
        }
        let lock = folder::lock(folder)?;
        let (dataset, report) = open_data(folder, &file, &settings)?;
        if moved {
            write_table(folder, &dataset)?;
            file.write(folder)?;
        }
        let (loaded, warnings) = Checkpoints::new(folder.join(CHECKPOINTS), settings.keep).load()?;
        warnings.into_iter().for_each(warn);
        let loaded = loaded.ok_or_else(|| TrainError::run(folder, "no checkpoint is whole: begin a new run"))?;
        let (weights, progress) = restored(loaded, &file, &dataset, &settings)?;
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            dataset: Arc::new(dataset),
            report,
            weights,
            progress,
            file,
            _lock: lock,
        })
    }
}

/// Opens the pictures of the run, and compares them with the pictures at the run's start.
fn open_data(folder: &Path, file: &RunFile, settings: &RunSettings) -> Result<(Dataset, DataReport), TrainError> {
    if !file.data.exists() {
        let problem = format!(
            "its pictures are not at {} any more: name their new place with --data",
            file.data.display()
        );
        return Err(TrainError::run(folder, problem));
    }
    let path = folder.join(CHECKED);
    let known = Known::read(&path);
    let (dataset, report, checked) = Dataset::open_known(&file.data, &file.data_options, &known, &|done, total| {
        (settings.observer)(Event::Work {
            activity: Activity::Check,
            done,
            total,
        });
    })?;
    if dataset.fingerprint() != file.fingerprint {
        let difference = RunPictures::read(folder)?.difference(&dataset);
        let problem = format!(
            "the pictures of {} are not those the run began with{}: restore them, name another place with --data, or \
             begin a new run",
            file.data.display(),
            difference.map_or_else(String::new, |difference| format!(": {difference}"))
        );
        return Err(TrainError::run(folder, problem));
    }
    // Only a warning, because the table only saves time.
    if checked != known
        && let Err(error) = checked.write(&path)
    {
        (settings.observer)(Event::Warning(format!("{}: {error}", path.display())));
    }
    Ok((dataset, report))
}

/// The weights and the position of a checkpoint.
fn restored(
    loaded: Loaded,
    file: &RunFile,
    dataset: &Dataset,
    settings: &RunSettings,
) -> Result<(Weights, Progress), TrainError> {
    let Loaded { progress, state } = loaded;
    let phase = file.recipe.phases.get(progress.phase);
    let network = || file.model.network.init(settings.device());
    let inference = |record| -> Result<Network, TrainError> { Ok(network()?.load_record(record).valid()) };
    let trainee = Trainee::new(network()?.load_record(state.model), file.objective(dataset));
    let trainee = trainee.on(&settings.training(settings.device()));
    let optimizer = match (state.optimizer, phase) {
        (Some(record), Some(phase)) => Some(optimizer(&trainee, phase).load_record(record)),
        _ => None,
    };
    let ema = match (state.ema, phase.and_then(|phase| phase.ema)) {
        (Some(record), Some(decay)) => Some(Ema::resume(inference(record)?, decay, progress.ema_updates)),
        _ => None,
    };
    let weights = Weights {
        ema,
        best: state.best.map(inference).transpose()?,
        optimizer,
        ..Weights::new(trainee)
    };
    Ok((weights, progress))
}
