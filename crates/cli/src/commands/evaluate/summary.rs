//! The figures of an evaluation.

use serde::Serialize;
use trainer::evaluate::{Evaluated, Speed};
use trainer::metrics::Evaluation;
use xception_model::ModelSpec;
use xception_model::picture::Preset;

use crate::commands::evaluate::pictures::LabelledPictures;

/// The content of standard output and of `--json`.
#[derive(Serialize)]
pub struct Summary<'a> {
    pub weights: &'a str,
    pub data: &'a str,
    /// How many of the pictures the network was trained on, as far as that is known.
    trained_on: usize,
    preset: Preset,
    height: usize,
    width: usize,
    pub speed: Speed,
    #[serde(flatten)]
    pub evaluation: &'a Evaluation,
}

impl<'a> Summary<'a> {
    pub fn new(spec: &'a ModelSpec, labelled: &'a LabelledPictures, judged: &'a Evaluated) -> Self {
        let input = spec.input;
        Self {
            weights: &spec.source,
            data: &labelled.description,
            trained_on: labelled.trained_on,
            preset: judged.preset,
            height: input.height,
            width: input.width,
            speed: judged.speed,
            evaluation: &judged.evaluation,
        }
    }

    /// For people.
    pub fn preset(&self) -> String {
        format!("{}, {} x {}", self.preset, self.height, self.width)
    }

    /// For people.
    pub fn speed(&self) -> String {
        let Speed {
            seconds,
            pictures_per_second,
            wait_share,
        } = self.speed;
        let waited = 100.0 * wait_share;
        format!("{pictures_per_second:.1} pictures/s, {seconds:.1} s in all, {waited:.0} % of it waiting for files")
    }
}
