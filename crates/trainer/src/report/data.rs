use image::RgbImage;

use crate::data::ClassCount;
use crate::explain::Examples;
use crate::judge::metrics::{EpochRow, Evaluation, Predictions, Temperature};

/// The content of a report.
#[derive(Clone, Debug)]
pub struct ReportData {
    /// Its headline.
    pub title: String,
    /// Facts about the run, as name and value: weights, data, recipe, duration...
    pub facts: Vec<(String, String)>,
    /// Longer texts by name, such as the recipe, shown on a click.
    pub details: Vec<(String, String)>,
    /// The kind of the pictures that were judged, as in "test pictures"; empty without a kind.
    pub judged: String,
    /// How good the network is.
    pub evaluation: Evaluation,
    /// The predictions that were judged.
    pub predictions: Predictions,
    /// The pictures that it shows.
    pub examples: Examples,
    /// The training; `None` for an evaluation.
    pub training: Option<TrainingReport>,
}

/// What a report says about the training.
#[derive(Clone, Debug, Default)]
pub struct TrainingReport {
    /// The epochs of all phases.
    pub epochs: Vec<EpochRow>,
    /// The row of the best epoch, and whether the averaged weights are the best; `None` without validation.
    pub best: Option<(usize, bool)>,
    /// Phases that ended early: the row of their last epoch, and why.
    pub stops: Vec<(usize, String)>,
    /// The time of every stage, in seconds.
    pub stages: Vec<(String, f64)>,
    /// The pictures of each class.
    pub classes: Vec<ClassPictures>,
    /// The embeddings of the judged pictures as points of a plane: the picture's place among the predictions, and its
    /// coordinates.
    pub map: Vec<(usize, [f64; 2])>,
    /// Temperature scaling, if it was measured, and whether the weights have it.
    pub temperature: Option<(Temperature, bool)>,
    /// The number of labels that may be wrong.
    pub suspects: usize,
}

/// The pictures of a class.
#[derive(Clone, Debug)]
pub struct ClassPictures {
    /// How many there are in each split.
    pub count: ClassCount,
    /// Some of those for training.
    pub pictures: Vec<RgbImage>,
}
