//! A run: one training in a folder of its own, which can be stopped and resumed.

mod begin;
mod disk_space;
mod estimate;
mod features;
mod find_rate;
mod finish;
mod judge;
mod metrics_table;
mod next_phase;
mod phase_inputs;
mod report;
mod resume;
mod starting_network;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use burn::tensor::Device;
use burn::train::renderer::MetricsRenderer;
use files::Lock;
use xception_model::Architecture;
use xception_model::registry::TemperatureScaling;

use super::calibrate;
use super::card::CARD;
use super::checkpoint::{Checkpoints, Progress};
use super::error::TrainError;
use super::folder::{self, CHECKPOINTS, STEPS};
use super::no_display::NoDisplay;
use super::outcome::Outcome;
use super::phase::{self, Context, End, PhaseRun, Weights};
use super::run_file::RunFile;
use super::settings::RunSettings;
use super::step_log::StepLog;
use crate::data::{DataReport, Dataset};

/// A run that is ready to train.
pub struct Run {
    folder: PathBuf,
    file: RunFile,
    settings: RunSettings,
    dataset: Arc<Dataset>,
    report: DataReport,
    weights: Weights,
    progress: Progress,
    /// Keeps other processes out while the run is open.
    _lock: Lock,
}

impl Run {
    /// Whether a run on `data` can start in `folder`. [`new`](Self::new) checks this first.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] for a folder that is not empty, is a file, or lies in the data.
    pub fn check_folder(folder: &Path, data: &Path) -> Result<(), TrainError> {
        folder::check(folder, data)
    }

    /// Whether a run can start from this network. [`new`](Self::new) checks it too.
    ///
    /// # Errors
    ///
    /// [`TrainError::Channels`] for a network that takes neither RGB nor grey pictures; [`TrainError::Config`] for a
    /// grey one whose first layer cannot be adapted to RGB.
    pub fn check_network(network: &Architecture) -> Result<(), TrainError> {
        starting_network::check_channels(network)
    }

    /// Whether the run in `folder` is finished and has no checkpoint to continue from.
    pub fn is_finished(folder: &Path) -> bool {
        folder.join(CARD).is_file() && !folder.join(CHECKPOINTS).exists()
    }

    /// Removes the checkpoints of a finished run whose process was killed during their removal.
    ///
    /// # Errors
    ///
    /// [`TrainError`]: another process uses the folder, or a file cannot be removed.
    pub fn remove_leftovers(folder: &Path) -> Result<(), TrainError> {
        if Self::is_finished(folder) {
            let _lock = folder::lock(folder)?;
            folder::discard(folder).map_err(TrainError::file(folder))?;
        }
        Ok(())
    }

    /// Stores the measured temperature of a finished run in the run's weights: the last layer's weights and biases are
    /// divided by the temperature. The card records this.
    ///
    /// # Errors
    ///
    /// [`TrainError`]: the run is not finished, measured no temperature, or has stored it already; a file cannot be
    /// read or written.
    pub fn calibrate(folder: &Path, device: &Device) -> Result<TemperatureScaling, TrainError> {
        calibrate::calibrate(folder, device)
    }

    /// The run's folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The run's `run.toml`.
    pub fn file(&self) -> &RunFile {
        &self.file
    }

    /// The counts and problems of the data.
    pub fn report(&self) -> &DataReport {
        &self.report
    }

    /// The data.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The run's progress.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Trains to the end, or until the run is stopped. `renderer` is Burn's dashboard; `None` shows nothing.
    ///
    /// # Errors
    ///
    /// [`TrainError`]; the last checkpoint stays whole.
    pub fn train(mut self, renderer: Option<Box<dyn MetricsRenderer>>) -> Result<Outcome, TrainError> {
        let mut renderer = renderer.unwrap_or_else(|| Box::new(NoDisplay));
        let mut steps = StepLog::open(&self.folder.join(STEPS), self.progress.step)?;
        // An existing card describes other weights. A new card is written at the end.
        files::remove(&self.folder.join(CARD))?;
        let context = self.context();
        self.announce_time(&context)?;
        let recipe = self.file.recipe.clone();
        while let Some(phase) = recipe.phases.get(self.progress.phase) {
            let phase_run = match self.phase_run(phase, &context, steps)? {
                ControlFlow::Continue(phase_run) => phase_run,
                ControlFlow::Break(end) => return self.end(end),
            };
            let end;
            (steps, renderer, end) = self.train_phase(phase_run, renderer)?;
            if end != End::Complete {
                return self.end(end);
            }
        }
        self.end(End::Complete)
    }

    /// Trains a phase. Afterwards the run is ready for the next phase.
    fn train_phase(
        &mut self,
        phase_run: PhaseRun,
        renderer: Box<dyn MetricsRenderer>,
    ) -> Result<(StepLog, Box<dyn MetricsRenderer>, End), TrainError> {
        let (phase_run, end, renderer) = phase::run(phase_run, renderer)?;
        (self.weights, self.progress) = (phase_run.weights, phase_run.progress);
        if end == End::Complete {
            self.next_phase()?;
        }
        Ok((phase_run.step_log, renderer, end))
    }

    /// The settings that all phases share.
    fn context(&self) -> Arc<Context> {
        let settings = &self.settings;
        Arc::new(Context {
            folder: self.folder.clone(),
            devices: settings
                .devices
                .iter()
                .map(|device| settings.training(device))
                .collect(),
            seed: self.file.seed,
            checkpoints: self.checkpoints(),
            checkpoint_every: settings.checkpoint_every,
            budget: settings.budget,
            interrupter: settings.interrupter.clone(),
            observer: self.metrics_writer(),
            spec: self.file.model.clone(),
        })
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.folder.join(CHECKPOINTS), self.settings.keep)
    }
}
