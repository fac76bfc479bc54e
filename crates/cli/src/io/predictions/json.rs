//! One JSON object for each picture.

use std::io::{self, Write};

use serde::Serialize;
use xception_model::Prediction;

/// A picture's classes.
#[derive(Serialize)]
struct Classified<'a> {
    file: &'a str,
    predictions: Vec<Ranked<'a>>,
}

#[derive(Serialize)]
struct Ranked<'a> {
    class: usize,
    #[serde(skip_serializing_if = "Option::is_none")]
    id: Option<&'a str>,
    label: &'a str,
    probability: f32,
}

/// A picture of a network whose output is a number.
#[derive(Serialize)]
struct Measured<'a> {
    file: &'a str,
    value: f32,
}

/// Writes one picture on one line, without a line break.
pub fn write(output: impl Write, file: &str, predictions: &[Prediction], value: Option<f32>) -> io::Result<()> {
    if let Some(value) = value {
        return Ok(serde_json::to_writer(output, &Measured { file, value })?);
    }
    let predictions = predictions
        .iter()
        .map(|prediction| Ranked {
            class: prediction.class,
            id: prediction.label.id.as_deref(),
            label: &prediction.label.name,
            probability: prediction.probability,
        })
        .collect();
    Ok(serde_json::to_writer(output, &Classified { file, predictions })?)
}
