use std::fs;
use std::io::ErrorKind;
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

/// The settings that decide what a run computes: `run.toml`.
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
    /// Whether rare classes have a larger weight in the loss.
    pub class_weights: bool,
    /// Whether classes are drawn equally often.
    pub balanced: bool,
    /// SHA-256 over the names, shapes and values of the starting weights, given or random: the same for the same
    /// weights in any file format.
    pub weights_sha256: String,
    /// The environment in which the run started.
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
    /// Reads and checks a run's file.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] for a folder without it, or a file that this version does not understand.
    pub fn read(folder: &Path) -> Result<Self, TrainError> {
        if folder.is_file() {
            let problem = format!("this is a file, not the folder of a run, which holds {RUN_FILE}");
            return Err(TrainError::run(folder, problem));
        }
        let text = fs::read_to_string(folder.join(RUN_FILE)).map_err(|error| {
            let problem = match error.kind() {
                ErrorKind::NotFound if !folder.exists() => "there is no such folder".to_owned(),
                ErrorKind::NotFound => format!("this folder holds no run: it has no {RUN_FILE}"),
                _ => format!("{RUN_FILE} cannot be read: {error}"),
            };
            TrainError::run(folder, problem)
        })?;
        let file: Self = toml::from_str(&text).map_err(|error| {
            let problem = format!("{RUN_FILE}, {}", toml_problem(&text, &error));
            TrainError::run(folder, problem + &written_by(&text))
        })?;
        file.recipe
            .validate()
            .map_err(|problem| TrainError::run(folder, format!("{RUN_FILE}: {problem}")))?;
        Ok(file)
    }

    /// The objective that the run minimizes on this data.
    pub(crate) fn objective(&self, dataset: &Dataset) -> Objective {
        Objective {
            multi_label: dataset.multi_label,
            label_smoothing: self.recipe.label_smoothing,
            class_weights: self.class_weights.then(|| class_weights(dataset)),
        }
    }

    /// Replaces the place of the pictures. A folder of pictures beside the table moves with the table.
    pub(crate) fn move_data(&mut self, data: &Path) -> Result<(), TrainError> {
        let data = fs::canonicalize(data).map_err(TrainError::file(data))?;
        if let Some(pictures) = &mut self.data_options.table.pictures
            && let (Some(old), Some(new)) = (self.data.parent(), data.parent())
            && let Ok(inside) = pictures.strip_prefix(old)
        {
            *pictures = new.join(inside);
        }
        self.data = data;
        Ok(())
    }

    /// Writes the file of a run.
    pub(crate) fn write(&self, folder: &Path) -> Result<(), TrainError> {
        let text = toml::to_string(self).map_err(|error| TrainError::run(folder, error.to_string()))?;
        Ok(files::write(&folder.join(RUN_FILE), true, text.as_bytes())?)
    }
}

/// The version of this program.
pub(crate) const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The rest of a sentence about an unreadable file: another version wrote the file.
fn written_by(text: &str) -> String {
    let table: Option<toml::Table> = toml::from_str(text).ok();
    let version = table.as_ref().and_then(|table| table.get("version")?.as_str());
    match version {
        Some(version) if version != VERSION => {
            format!("; version {version} wrote it, and this is {VERSION}: use that version for this run")
        }
        _ => String::new(),
    }
}

/// The time now, RFC 3339.
pub(crate) fn now() -> String {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}
