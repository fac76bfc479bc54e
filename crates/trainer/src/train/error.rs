use std::path::{Path, PathBuf};

use files::FileError;
use xception_model::{ConfigError, InputError, WeightsError};

use crate::data::DataError;
use crate::explain::ExplainError;
use crate::plots::PlotError;
use crate::report::ReportError;

/// Why a training could not start or continue.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum TrainError {
    /// The data cannot be used.
    #[error(transparent)]
    Data(#[from] DataError),
    /// The starting weights cannot be read, or a record cannot be written.
    #[error(transparent)]
    Weights(#[from] WeightsError),
    /// The network cannot be built.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The network does not take these pictures.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The network takes neither RGB nor grey pictures.
    #[error(
        "training takes RGB or grey pictures, and this network takes pictures of {0} channels: the library's \
         `Network::with_in_channels(3)` adapts its first layer to RGB"
    )]
    Channels(usize),
    /// The recipe is invalid.
    #[error("recipe {recipe}: {problem}")]
    Recipe {
        /// The recipe's name or path.
        recipe: String,
        /// The problem.
        problem: String,
    },
    /// A file could not be written or read.
    #[error("{}: {source}", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// The error of the operating system.
        source: std::io::Error,
    },
    /// The run's folder cannot be used.
    #[error("run {}: {problem}", run.display())]
    Run {
        /// The run's folder.
        run: PathBuf,
        /// The problem, and the way out.
        problem: String,
    },
    /// The loss is not a finite number.
    #[error(
        "the loss became {loss} in step {step} (phase `{phase}`, epoch {epoch}) at learning rate {rate:e}: the run \
         stops, and its last checkpoint is from an earlier step; try a lower rate (--learning-rate {}), or clip_norm \
         in the recipe",
        rate / 10.0
    )]
    NotFinite {
        /// The value of the loss.
        loss: f32,
        /// The step of the run, from 1.
        step: u64,
        /// The name of the phase.
        phase: String,
        /// The epoch of the phase, from 1.
        epoch: usize,
        /// The learning rate of the step.
        rate: f64,
    },
    /// A plot could not be written.
    #[error(transparent)]
    Plot(#[from] PlotError),
    /// A report could not be written.
    #[error(transparent)]
    Report(#[from] ReportError),
    /// A heat map could not be computed.
    #[error(transparent)]
    Explain(#[from] ExplainError),
    /// Burn's training failed.
    #[error("training stopped: {0}")]
    Stopped(String),
}

impl From<FileError> for TrainError {
    fn from(error: FileError) -> Self {
        Self::File {
            path: error.path().to_owned(),
            source: error.into_io(),
        }
    }
}

impl TrainError {
    pub(crate) fn file(path: &Path) -> impl FnOnce(std::io::Error) -> Self + '_ {
        |source| Self::File {
            path: path.to_owned(),
            source,
        }
    }

    pub(crate) fn run(run: &Path, problem: impl Into<String>) -> Self {
        Self::Run {
            run: run.to_owned(),
            problem: problem.into(),
        }
    }
}
