use image::RgbImage;

use crate::data::ClassCount;
use crate::explain::Examples;
use crate::judge::metrics::{EpochRow, Evaluation, Predictions, Temperature};

/// The content of a report.
#[derive(Clone, Debug)]
pub struct ReportData {
    /// The headline.
    pub title: String,
    /// Facts about the run, as name and value: weights, data, recipe, duration...
    pub facts: Vec<(String, String)>,
    /// Longer texts by name, such as the recipe, shown on a click.
    pub details: Vec<(String, String)>,
    /// The kind of the evaluated pictures, as in "test pictures"; empty without a kind.
    pub judged: String,
    /// The figures about the network.
    pub evaluation: Evaluation,
    /// The predictions for the evaluated pictures.
    pub predictions: Predictions,
    /// The pictures that the report shows.
    pub examples: Examples,
    /// The training; `None` for an evaluation.
    pub training: Option<TrainingReport>,
}

/// The report's data about the training.
#[derive(Clone, Debug, Default)]
pub struct TrainingReport {
    /// The epochs of all phases.
    pub epochs: Vec<EpochRow>,
    /// The row of the best epoch, and whether the averaged weights are the best; `None` without validation.
    pub best: Option<(usize, bool)>,
    /// Phases that ended early: the row of the phase's last epoch, and the reason.
    pub stops: Vec<(usize, String)>,
    /// The seconds of each phase and activity.
    pub times: Vec<(String, f64)>,
    /// The pictures per class.
    pub classes: Vec<ClassPictures>,
    /// The embeddings of the evaluated pictures as points of a plane: the picture's index among the predictions, and
    /// the point's coordinates.
    pub map: Vec<(usize, [f64; 2])>,
    /// Temperature scaling, if it was measured, and whether the weights contain it.
    pub temperature: Option<(Temperature, bool)>,
    /// The number of suspected labels.
    pub suspects: usize,
}

/// The pictures of a class.
#[derive(Clone, Debug)]
pub struct ClassPictures {
    /// The number of pictures in each split.
    pub count: ClassCount,
    /// Some of the training pictures.
    pub pictures: Vec<RgbImage>,
}
