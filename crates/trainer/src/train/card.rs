//! `model.bpk.card.toml`: the origin, the format and the quality of a run's weights.

use std::path::Path;

use burn::module::Module;
use files::sha256;
use xception_model::Network;
use xception_model::registry::{Card, Format, Kind, Metrics, TemperatureScaling, Training, Weights};

use super::error::TrainError;
use super::folder::MODEL;
use super::run_file::RunFile;
use crate::data::Split;
use crate::judge::metrics::{Evaluation, Task, Temperature};

/// The card's file name: the name of the weights' file with an ending, as in the converter.
pub const CARD: &str = "model.bpk.card.toml";

/// Writes the card of the weights in the run's `folder`.
pub(crate) fn write(
    folder: &Path,
    file: &RunFile,
    network: &Network,
    judged: Option<(Split, &Evaluation)>,
    temperature: Option<(Temperature, bool)>,
    date: String,
) -> Result<(), TrainError> {
    let weights = folder.join(MODEL);
    let (bytes, sha256) = sha256(&weights)?;
    let spec = &file.model;
    let failed = |problem: String| TrainError::run(folder, problem);
    let weights = Weights {
        kind: Kind::Full,
        file: MODEL.to_owned(),
        format: Format::Burnpack,
        bytes: Some(bytes),
        sha256: Some(sha256),
        sha256_prefix: None,
        md5: None,
        parameters: network.num_params() as u64,
        trainable_parameters: None,
        urls: Vec::new(),
        obtain: Some("copy it from the run's folder".to_owned()),
    };
    let mut card = Card::of_file(spec, weights).map_err(failed)?;
    card.licence_note = Some("the pictures and the weights that the run started from have theirs".to_owned());
    card.metrics = judged.map(|(split, evaluation)| Metrics {
        top1: evaluation.accuracy(),
        top5: match evaluation.task {
            Task::Single { top_5, .. } => top_5,
            Task::Multi { .. } => None,
        },
        dataset: format!("{} split of the training data", split.name()),
        source: format!("the run itself, trainer {}", file.version),
        pictures: Some(evaluation.pictures),
        macro_f1: Some(evaluation.macro_average.f1),
        loss: Some(evaluation.loss),
        calibration_error: Some(evaluation.calibration.ece),
        temperature: temperature.map(|(temperature, applied)| TemperatureScaling {
            value: temperature.value,
            calibration_error: temperature.error_with,
            applied,
        }),
    });
    card.training = Some(Training {
        recipe: file.recipe.name.clone(),
        seed: file.seed,
        fingerprint: file.fingerprint.clone(),
        weights_sha256: file.weights_sha256.clone(),
        date,
        trainer: file.version.clone(),
        burn: file.environment.burn.clone(),
    });
    let text = card.to_toml().map_err(failed)?;
    Ok(files::write(&folder.join(CARD), true, text.as_bytes())?)
}
