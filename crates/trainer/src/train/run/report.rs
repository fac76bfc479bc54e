//! The report, the plots and the tables of a run that ended.

use image::RgbImage;
use xception_model::picture::Preset;
use xception_model::{Classifier, Network};

use super::Run;
use super::judge::Judged;
use crate::data::Split;
use crate::explain::{ExampleCounts, Examples, examples, shrunk, suspect_pictures};
use crate::judge::metrics::{Task, write_predictions, write_suspects};
use crate::judge::projection::project;
use crate::plots;
use crate::report::{self, ClassPictures, ReportData, TrainingReport};
use crate::train::error::TrainError;
use crate::train::event::Activity;
use crate::train::folder::{PREDICTIONS, SUSPECTS};
use crate::train::outcome::ActivityTime;

/// The numbers of pictures in a report.
const EXAMPLES: ExampleCounts = ExampleCounts {
    mistakes: 12,
    ordinary: 24,
    right: 8,
};
/// The most heat maps of a report.
pub(super) const MAPS: usize = EXAMPLES.mistakes + EXAMPLES.right;
/// The most pictures on the map of the embeddings. The map's time grows with the square of their number.
const MOST_MAPPED: usize = 1000;
/// The most suspected labels shown with their pictures.
const SUSPECTED: usize = 12;
/// The most classes with pictures of their own in the report, and the pictures per class.
const SHOWN_CLASSES: usize = 40;
const SHOWN_PICTURES: usize = 5;
/// The longer side of such a picture, in pixels.
const SHOWN_SIZE: u32 = 160;

impl Run {
    /// Writes `report.html`, the plots and the tables.
    pub(super) fn write_report(
        &self,
        model: &Network,
        judged: &Judged,
        calibrated: bool,
        times: &[ActivityTime],
    ) -> Result<(), TrainError> {
        let path = |name: &str| self.folder.join(name);
        let rows = &self.progress.rows;
        if !rows.is_empty() {
            plots::curves(rows, &path("curves.png"))?;
        }
        // There is no confusion matrix with several labels per picture.
        if matches!(&judged.evaluation.task, Task::Single { confusion: Some(_), .. }) {
            plots::confusion_matrix(&judged.evaluation, &path("confusion_matrix.png"))?;
        }
        self.write_tables(judged)?;
        let title = self.file.data.file_stem();
        let data = ReportData {
            title: title.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            facts: self.facts(),
            details: vec![
                ("run.toml".to_owned(), toml::to_string(&self.file).unwrap_or_default()),
                ("check of the data".to_owned(), self.report.to_string()),
            ],
            judged: name(judged.split).to_owned(),
            evaluation: judged.evaluation.clone(),
            predictions: judged.predictions.clone(),
            examples: self.examples(model, judged)?,
            training: Some(TrainingReport {
                epochs: rows.clone(),
                best: self.progress.best.as_ref().map(|best| (best.row, best.ema)),
                stops: self.stops(),
                times: times.iter().map(|time| (time.name.clone(), time.seconds)).collect(),
                classes: self.class_pictures(),
                map: map(judged),
                temperature: judged.temperature.map(|temperature| (temperature, calibrated)),
                suspects: judged.suspects.len(),
            }),
        };
        self.tell(Activity::Report, 0, 1);
        Ok(report::write(&path("report.html"), &data)?)
    }

    /// `predictions.csv` and `suspected_labels.csv`.
    fn write_tables(&self, judged: &Judged) -> Result<(), TrainError> {
        let path = self.folder.join(PREDICTIONS);
        let mut table = Vec::new();
        write_predictions(&mut table, &judged.predictions).map_err(TrainError::file(&path))?;
        files::write(&path, true, &table)?;
        let path = self.folder.join(SUSPECTS);
        let mut table = Vec::new();
        write_suspects(&mut table, &judged.suspects).map_err(TrainError::file(&path))?;
        Ok(files::write(&path, true, &table)?)
    }

    /// The pictures of the report.
    fn examples(&self, model: &Network, judged: &Judged) -> Result<Examples, TrainError> {
        let classifier = Classifier::new(model, self.file.model.clone());
        let total = MAPS.min(judged.predictions.len());
        self.tell(Activity::HeatMaps, 0, total);
        let mut tell = |done: usize| self.tell(Activity::HeatMaps, done.min(total), total);
        let found = examples(
            &classifier,
            &judged.predictions,
            &judged.evaluation,
            EXAMPLES,
            &mut tell,
        )?;
        let suspects = &judged.suspects[..judged.suspects.len().min(SUSPECTED)];
        Ok(Examples {
            suspects: suspect_pictures(&classifier, suspects),
            ..found
        })
    }

    /// Why phases ended early, each with the row of the phase's last epoch.
    fn stops(&self) -> Vec<(usize, String)> {
        let mut last = 0;
        let mut stops = Vec::new();
        for rows in self.progress.rows.chunk_by(|a, b| a.phase == b.phase) {
            last += rows.len();
            let phase = self.file.recipe.phases.iter().find(|phase| phase.name == rows[0].phase);
            let Some(phase) = phase.filter(|phase| rows.len() < phase.epochs) else {
                continue;
            };
            let reason = match phase.patience {
                Some(patience) => format!("no lower validation loss for {patience} epochs"),
                None => "the run's time was used up".to_owned(),
            };
            let text = format!(
                "Phase {} ended after epoch {} of {}: {reason}.",
                phase.name,
                rows.len(),
                phase.epochs
            );
            stops.push((last - 1, text));
        }
        stops
    }

    /// The counts of every class, and some of its training pictures. A picture that can no longer be read is left out.
    fn class_pictures(&self) -> Vec<ClassPictures> {
        let counts = self.report.classes.iter().take(SHOWN_CLASSES);
        let options = self.dataset.decode_options();
        let of_class = |class: usize| {
            let samples = self.dataset.samples.iter();
            let own = samples.filter(move |sample| sample.split == Split::Train && sample.labels.contains(&class));
            own.take(SHOWN_PICTURES)
                .filter_map(|sample| Preset::PilBilinear.open(&sample.path, options).ok())
                .map(|picture| shrunk(&picture, SHOWN_SIZE))
                .collect::<Vec<RgbImage>>()
        };
        counts
            .enumerate()
            .map(|(class, count)| ClassPictures {
                count: count.clone(),
                pictures: of_class(class),
            })
            .collect()
    }

    /// The facts about the run at the top of the report.
    fn facts(&self) -> Vec<(String, String)> {
        let file = &self.file;
        let weights = self.progress.best.as_ref().map_or_else(
            || "the last ones, because there are no validation pictures".to_owned(),
            |best| {
                let rows = &self.progress.rows;
                let phase = rows.get(best.row).map_or("", |row| row.phase.as_str());
                let first = rows.iter().position(|row| row.phase == phase).unwrap_or(0);
                format!(
                    "epoch {} of phase {phase}{}: the lowest validation loss ({:.4}, accuracy {:.1} %)",
                    best.row - first + 1,
                    if best.ema { ", averaged" } else { "" },
                    best.loss,
                    100.0 * best.accuracy
                )
            },
        );
        let pictures = Split::ALL.map(|split| format!("{} {split}", self.dataset.count(split)));
        let eval = &file.augmentation.eval;
        let fact = |name: &str, value: String| (name.to_owned(), value);
        vec![
            fact("recipe", format!("{}: {}", file.recipe.name, file.recipe.about)),
            fact("network", file.model.source.clone()),
            fact("input", format!("{} x {}, {}", eval.size, eval.size, eval.preset)),
            fact("best weights", weights),
            fact("pictures", pictures.join(", ")),
            fact(
                "machine",
                format!(
                    "{}, {}, seed {}",
                    file.environment.devices.join(", "),
                    file.environment.counted_threads(),
                    file.seed
                ),
            ),
            fact(
                "started",
                file.started.chars().take(16).collect::<String>().replace('T', " ") + " UTC",
            ),
        ]
    }
}

/// The name of a split's pictures, for a sentence.
fn name(split: Split) -> &'static str {
    match split {
        Split::Train => "training",
        Split::Val => "validation",
        Split::Test => "test",
    }
}

/// The evaluated pictures as points of a plane; an even selection if there are many.
fn map(judged: &Judged) -> Vec<(usize, [f64; 2])> {
    let features = &judged.embeddings;
    let step = features.len().div_ceil(MOST_MAPPED).max(1);
    let chosen: Vec<usize> = (0..features.len()).step_by(step).collect();
    let width = features.width;
    let rows: Vec<f32> = chosen
        .iter()
        .flat_map(|&row| features.values[row * width..(row + 1) * width].iter().copied())
        .collect();
    chosen.into_iter().zip(project(&rows, width)).collect()
}
