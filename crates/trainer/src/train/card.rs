//! `model.bpk.card.toml`: the origin, the format and the quality of a run's weights.

use std::path::Path;

use burn::module::Module;
use files::sha256;
use serde::Serialize;
use xception_model::{Architecture, InputSpec, Network};

use super::error::TrainError;
use super::folder::MODEL;
use super::run_file::RunFile;
use crate::data::Split;
use crate::judge::metrics::{Evaluation, Task};

/// The name of the card: the name of the weights with an ending, as in the converter.
pub const CARD: &str = "model.bpk.card.toml";

#[derive(Serialize)]
struct Card<'a> {
    licence: &'static str,
    labels: Vec<&'a str>,
    source: Source<'a>,
    output: Output,
    #[serde(skip_serializing_if = "Option::is_none")]
    metrics: Option<Metrics>,
    input: InputSpec,
    network: &'a Architecture,
}

#[derive(Serialize)]
struct Source<'a> {
    about: &'a str,
    recipe: &'a str,
    seed: u64,
    /// Identifies the pictures and their split.
    fingerprint: &'a str,
    /// Identifies the weights at the start.
    weights_sha256: &'a str,
    trainer: &'a str,
    burn: &'a str,
}

#[derive(Serialize)]
struct Output {
    file: &'static str,
    bytes: u64,
    sha256: String,
    parameters: usize,
    classes: usize,
    multi_label: bool,
    date: String,
}

#[derive(Serialize)]
struct Metrics {
    split: &'static str,
    pictures: usize,
    /// With several labels per picture: the part of the pictures with exactly the right ones.
    accuracy: f64,
    #[serde(skip_serializing_if = "Option::is_none")]
    top_5: Option<f64>,
    macro_f1: f64,
    loss: f64,
    calibration_error: f64,
}

/// Writes the card of `model.bpk` in the run's `folder`.
pub(crate) fn write(
    folder: &Path,
    file: &RunFile,
    network: &Network,
    judged: Option<(Split, &Evaluation)>,
    date: String,
) -> Result<(), TrainError> {
    let weights = folder.join(MODEL);
    let (bytes, sha256) = sha256(&weights)?;
    let spec = &file.model;
    let card = Card {
        licence: "not stated: see the licences of the pictures and of the starting weights",
        labels: spec.labels.iter().map(|label| label.name.as_str()).collect(),
        source: Source {
            about: &spec.source,
            recipe: &file.recipe.name,
            seed: file.seed,
            fingerprint: &file.fingerprint,
            weights_sha256: &file.weights_sha256,
            trainer: &file.version,
            burn: &file.environment.burn,
        },
        output: Output {
            file: MODEL,
            bytes,
            sha256,
            parameters: network.num_params(),
            classes: spec.classes().unwrap_or(0),
            multi_label: spec.is_multi_label(),
            date,
        },
        metrics: judged.map(|(split, evaluation)| Metrics {
            split: split.name(),
            pictures: evaluation.pictures,
            accuracy: evaluation.accuracy(),
            top_5: match evaluation.task {
                Task::Single { top_5, .. } => top_5,
                Task::Multi { .. } => None,
            },
            macro_f1: evaluation.macro_average.f1,
            loss: evaluation.loss,
            calibration_error: evaluation.calibration.ece,
        }),
        input: spec.input,
        network: &spec.network,
    };
    let text = toml::to_string(&card).map_err(|error| TrainError::run(folder, error.to_string()))?;
    Ok(files::write(&folder.join(CARD), true, text.as_bytes())?)
}
