//! The start of a run.

use std::sync::Arc;
use std::{fs, io};

use burn::module::Module;
use xception_model::{ModelSpec, Network};

use super::Run;
use super::starting_network::Setup;
use crate::augment::Augmentation;
use crate::data::{Dataset, Known};
use crate::train::checkpoint::{Progress, State};
use crate::train::environment::Environment;
use crate::train::error::TrainError;
use crate::train::event::{Event, Stage};
use crate::train::folder::{self, CHECKED, DATA};
use crate::train::options::RunOptions;
use crate::train::phase::Weights;
use crate::train::run_file::{RunFile, now};
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
        settings.check()?;
        let RunOptions { folder, recipe, .. } = options;
        recipe.validate().map_err(|problem| TrainError::Recipe {
            recipe: recipe.name.clone(),
            problem,
        })?;
        folder::check(folder, &options.data)?;
        let (dataset, report, known) = Dataset::open_known(
            &options.data,
            &options.data_options,
            &Known::default(),
            &|done, total| {
                (settings.observer)(Event::Work {
                    stage: Stage::Check,
                    done,
                    total,
                });
            },
        )?;
        let augmentation = augmentation(options, &start.1);
        fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
        let lock = folder::lock(folder)?;
        let setup = Setup {
            options,
            dataset: &dataset,
            augmentation: &augmentation,
            device: settings.device(),
        };
        let (network, spec, weights_sha256) = setup.network(start.0, &start.1)?;
        let file = RunFile {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: now(),
            data: fs::canonicalize(&options.data).map_err(TrainError::file(&options.data))?,
            fingerprint: dataset.fingerprint(),
            seed: options.seed,
            class_weights: options.class_weights,
            balanced: options.balanced,
            weights_sha256,
            environment: Environment::of(&settings),
            data_options: options.data_options.clone(),
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
        run.write_folder(&known)?;
        Ok(run)
    }

    /// Writes the first files, `run.toml` last: it makes the folder the folder of a run.
    fn write_folder(&self, known: &Known) -> Result<(), TrainError> {
        // With the weights in a checkpoint the run no longer depends on the starting weights.
        self.checkpoints().save(
            &self.progress,
            State {
                model: self.weights.trainee.network.clone().into_record(),
                ema: None,
                best: None,
                optimizer: None,
            },
        )?;
        let path = self.folder.join(DATA);
        files::write(&path, true, &table(&self.dataset).map_err(TrainError::file(&path))?)?;
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

/// `data.csv`: the absolute path, the labels and the split of every picture.
fn table(dataset: &Dataset) -> io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    let label = if dataset.multi_label { "labels" } else { "label" };
    rows.write_record(["path", label, "split"])?;
    for sample in &dataset.samples {
        let labels: Vec<&str> = sample
            .labels
            .iter()
            .map(|&label| dataset.classes[label].as_str())
            .collect();
        let path = std::path::absolute(&sample.path)?;
        rows.write_record([&path.to_string_lossy(), labels.join(";").as_str(), sample.split.name()])?;
    }
    rows.into_inner().map_err(csv::IntoInnerError::into_error)
}
