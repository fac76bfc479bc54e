//! Reads the two earlier formats of cards: those of converted files and those of trained weights.

use std::path::Path;

use serde::Deserialize;
use toml::Table;

use super::contents::{Card, Conversion, Labels, Metrics, Training, name_of, one_line};
use crate::outputs::Outputs;
use crate::registry::weights::{Format, Kind, Weights};
use crate::spec::InputSpec;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Older {
    licence: Option<String>,
    #[serde(default)]
    labels: Vec<String>,
    source: OlderOrigin,
    output: Output,
    metrics: Option<OlderMetrics>,
    input: InputSpec,
    network: Table,
}

#[derive(Deserialize)]
#[serde(untagged)]
enum OlderOrigin {
    Run {
        about: String,
        recipe: String,
        seed: u64,
        fingerprint: String,
        weights_sha256: String,
        trainer: String,
        burn: String,
    },
    File {
        file: String,
        format: String,
        writer: Option<String>,
        bytes: u64,
        sha256: String,
        #[serde(default)]
        left_out: Vec<String>,
    },
}

#[derive(Deserialize)]
struct Output {
    file: String,
    bytes: Option<u64>,
    sha256: Option<String>,
    parameters: u64,
    classes: Option<usize>,
    /// In the cards of runs; the converter's cards lack it.
    multi_label: Option<bool>,
    #[serde(default)]
    dtype: String,
    date: String,
    #[serde(default)]
    converter: String,
    #[serde(default)]
    initial: Vec<String>,
}

#[derive(Deserialize)]
struct OlderMetrics {
    split: String,
    pictures: usize,
    accuracy: f64,
    top_5: Option<f64>,
    macro_f1: f64,
    loss: f64,
    calibration_error: f64,
}

/// Whether a card has an earlier format: only these have a table `output`.
pub(super) fn is_older(card: &Table) -> bool {
    card.contains_key("output")
}

fn outputs(multi_label: bool) -> Outputs {
    if multi_label {
        Outputs::Sigmoid
    } else {
        Outputs::Softmax
    }
}

fn measured(metrics: &OlderMetrics) -> Metrics {
    Metrics {
        top1: metrics.accuracy,
        top5: metrics.top_5,
        dataset: format!("{} split of the training data", metrics.split),
        source: "the run".to_owned(),
        pictures: Some(metrics.pictures),
        macro_f1: Some(metrics.macro_f1),
        loss: Some(metrics.loss),
        calibration_error: Some(metrics.calibration_error),
        temperature: None,
    }
}

/// Reads a card of an earlier format. `path` is the card's.
pub(super) fn read(text: &str, path: &Path) -> Result<Card, toml::de::Error> {
    let Older {
        licence,
        labels,
        source,
        output,
        metrics,
        input,
        network,
    } = toml::from_str(text)?;
    let has_top = network.get("include_top").and_then(toml::Value::as_bool) != Some(false);
    let mut card = Card {
        name: name_of(&path.file_name().unwrap_or_default().to_string_lossy()),
        description: String::new(),
        paper: None,
        licence: "not stated".to_owned(),
        licence_note: licence,
        outputs: output.multi_label.map(outputs),
        classes: output.classes,
        network,
        input,
        label_source: (!labels.is_empty()).then_some(Labels {
            file: None,
            names: Some(labels),
        }),
        metrics: metrics.as_ref().map(measured),
        conversion: None,
        training: None,
        weights: vec![Weights {
            kind: if has_top { Kind::Full } else { Kind::NoTop },
            format: Format::of_name(&output.file).unwrap_or(Format::Burnpack),
            file: output.file,
            bytes: output.bytes,
            sha256: output.sha256,
            sha256_prefix: None,
            md5: None,
            parameters: output.parameters,
            trainable_parameters: None,
            urls: Vec::new(),
            obtain: None,
        }],
        labels: Vec::new(),
        folder: None,
    };
    match source {
        OlderOrigin::Run {
            about,
            recipe,
            seed,
            fingerprint,
            weights_sha256,
            trainer,
            burn,
        } => {
            card.description = one_line(&about);
            card.weights[0].obtain = Some("copy it from the run's folder".to_owned());
            card.training = Some(Training {
                recipe,
                seed,
                fingerprint,
                weights_sha256,
                date: output.date,
                trainer,
                burn,
            });
        }
        OlderOrigin::File {
            file,
            format,
            writer,
            bytes,
            sha256,
            left_out,
        } => {
            card.description = one_line(&format!("converted from {file}"));
            card.licence_note = Some(one_line(&format!("that of {file}")));
            card.weights[0].obtain = Some(one_line(&format!("convert {file} again")));
            card.conversion = Some(Conversion {
                file,
                format,
                writer,
                bytes,
                sha256,
                left_out,
                initial: output.initial,
                dtype: output.dtype,
                date: output.date,
                converter: output.converter,
            });
        }
    }
    Ok(card)
}
