//! The start of a run.

use std::fs;
use std::sync::Arc;

use burn::module::Module;
use xception_model::{ModelSpec, Network};

use super::starting_network::Setup;
use super::{Run, disk_space};
use crate::augment::Augmentation;
use crate::data::{DataOptions, Known};
use crate::train::checkpoint::{Progress, State};
use crate::train::environment::Environment;
use crate::train::error::TrainError;
use crate::train::folder::{self, CHECKED};
use crate::train::options::RunOptions;
use crate::train::phase::Weights;
use crate::train::run_data::RunData;
use crate::train::run_file::{RunFile, VERSION, now};
use crate::train::run_pictures::write_table;
use crate::train::settings::RunSettings;
use crate::train::trainee::Trainee;

impl Run {
    /// Starts a run: reads the data, makes the network, writes the folder.
    ///
    /// `start` is the trained network to start from. A recipe that starts from random weights uses only its
    /// architecture.
    ///
    /// # Errors
    ///
    /// [`TrainError`] for unusable data, a folder in use, or a recipe that the network cannot follow.
    pub fn new(options: &RunOptions, settings: RunSettings, start: (Network, ModelSpec)) -> Result<Self, TrainError> {
        check(options, &settings)?;
        let data = RunData::open(&options.data, &options.data_options, &settings.observer)?;
        Self::with_data(options, settings, data, start)
    }

    /// As [`new`](Self::new), with data that is open already. The options must name the same data.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn with_data(
        options: &RunOptions,
        settings: RunSettings,
        data: RunData,
        start: (Network, ModelSpec),
    ) -> Result<Self, TrainError> {
        check(options, &settings)?;
        let RunOptions { folder, recipe, .. } = options;
        let RunData { dataset, report, known } = data;
        let augmentation = augmentation(options, &start.1);
        let setup = Setup {
            options,
            dataset: &dataset,
            augmentation: &augmentation,
            device: settings.device(),
        };
        let (network, spec, weights_sha256) = setup.network(start.0, &start.1)?;
        fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
        let lock = folder::lock(folder)?;
        // Another process may have begun a run since the first check.
        folder::check(folder, &options.data)?;
        folder::clear_unbegun(folder);
        let file = RunFile {
            version: VERSION.to_owned(),
            started: now(),
            data: fs::canonicalize(&options.data).map_err(TrainError::file(&options.data))?,
            fingerprint: dataset.fingerprint(),
            seed: options.seed,
            class_weights: options.class_weights,
            balanced: options.balanced,
            weights_sha256,
            environment: Environment::of(&settings),
            data_options: absolute(&options.data_options)?,
            augmentation,
            model: spec,
            recipe: recipe.clone(),
        };
        let trainee = Trainee::new(network, file.objective(&dataset));
        let run = Self {
            folder: folder.clone(),
            weights: Weights::new(trainee.on(&settings.training(settings.device()))),
            settings,
            dataset: Arc::new(dataset),
            report,
            progress: Progress::default(),
            file,
            _lock: lock,
        };
        if let Err(error) = run.write_folder(&known) {
            let folder = run.folder.clone();
            drop(run);
            folder::clear(&folder);
            return Err(error);
        }
        Ok(run)
    }

    /// Writes the first files, `run.toml` last: this file marks the folder as a run's.
    fn write_folder(&self, known: &Known) -> Result<(), TrainError> {
        let needed = disk_space::needed(&self.file.recipe, &self.weights.trainee, self.settings.keep);
        files::check_space(&self.folder, needed)?;
        // A checkpoint of the weights makes the run independent of the starting weights' file.
        self.checkpoints().save(
            &self.progress,
            State {
                model: self.weights.trainee.network.clone().into_record(),
                ema: None,
                best: None,
                optimizer: None,
            },
        )?;
        write_table(&self.folder, &self.dataset)?;
        let path = self.folder.join(CHECKED);
        known.write(&path).map_err(TrainError::file(&path))?;
        self.file.write(&self.folder)
    }
}

/// The options' augmentation, or the recipe's level, with the channel scaling of the starting network.
fn augmentation(options: &RunOptions, start: &ModelSpec) -> Augmentation {
    let mut augmentation = options.augmentation.clone().unwrap_or_else(|| {
        let size = options.size.unwrap_or(start.input.height);
        Augmentation::named(options.recipe.augmentation, size, options.preset)
    });
    augmentation.scaling = start.input.scaling;
    augmentation
}

/// Checks whether a run can begin, before its data is opened.
fn check(options: &RunOptions, settings: &RunSettings) -> Result<(), TrainError> {
    settings.check()?;
    let recipe = &options.recipe;
    recipe.validate().map_err(|problem| TrainError::Recipe {
        recipe: recipe.name.clone(),
        problem,
    })?;
    folder::check(&options.folder, &options.data)
}

/// The options with absolute paths: the run may be resumed from another folder.
fn absolute(options: &DataOptions) -> Result<DataOptions, TrainError> {
    let mut options = options.clone();
    if let Some(pictures) = &mut options.table.pictures {
        *pictures = fs::canonicalize(&*pictures).map_err(TrainError::file(pictures))?;
    }
    Ok(options)
}
