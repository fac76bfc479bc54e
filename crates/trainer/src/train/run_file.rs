use std::fs;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};
use xception_model::ModelSpec;

use super::environment::Environment;
use super::error::TrainError;
use super::folder::RUN_FILE;
use super::objective::Objective;
use super::recipe::Recipe;
use crate::augment::Augmentation;
use crate::data::{DataOptions, Dataset, class_weights};
use crate::toml_problem::toml_problem;

/// Everything that decides what a run computes: `run.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// The version of this crate that started the run.
    pub version: String,
    /// When the run started, RFC 3339.
    pub started: String,
    /// The folder or table of pictures.
    pub data: PathBuf,
    /// Identifies the pictures and their split ([`Dataset::fingerprint`]).
    pub fingerprint: String,
    /// The seed of all random numbers.
    pub seed: u64,
    /// Whether rare classes weigh more in the loss.
    pub class_weights: bool,
    /// Whether classes are drawn equally often.
    pub balanced: bool,
    /// SHA-256 over the names, shapes and values of the starting weights, given or random: the same for the same
    /// weights in any file format.
    pub weights_sha256: String,
    /// What the run computes on.
    pub environment: Environment,
    /// How the data was opened.
    pub data_options: DataOptions,
    /// How pictures are augmented.
    pub augmentation: Augmentation,
    /// The network, its input, its labels, and the source of its starting weights.
    pub model: ModelSpec,
    /// The recipe.
    pub recipe: Recipe,
}

impl RunFile {
    /// Reads and checks the file of a run.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`]: there is no such file, or it is not valid.
    pub fn load(folder: &Path) -> Result<Self, TrainError> {
        if folder.is_file() {
            let problem = format!("this is a file, not the folder of a run, which holds {RUN_FILE}");
            return Err(TrainError::run(folder, problem));
        }
        let text = fs::read_to_string(folder.join(RUN_FILE))
            .map_err(|error| TrainError::run(folder, format!("{RUN_FILE} cannot be read: {error}")))?;
        let file: Self = toml::from_str(&text)
            .map_err(|error| TrainError::run(folder, format!("{RUN_FILE}, {}", toml_problem(&text, &error))))?;
        file.recipe
            .validate()
            .map_err(|problem| TrainError::run(folder, format!("{RUN_FILE}: {problem}")))?;
        Ok(file)
    }

    /// What the run minimizes on this data.
    pub(crate) fn objective(&self, dataset: &Dataset) -> Objective {
        Objective {
            multi_label: dataset.multi_label,
            label_smoothing: self.recipe.label_smoothing,
            class_weights: self.class_weights.then(|| class_weights(dataset)),
        }
    }

    /// Writes the file of a run.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let text = toml::to_string(self).map_err(|error| TrainError::run(folder, error.to_string()))?;
        Ok(files::write(&folder.join(RUN_FILE), true, text.as_bytes())?)
    }
}

/// The time now, RFC 3339.
pub(crate) fn now() -> String {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}
