//! The report and the plots of a run that ended.

use xception_model::{Classifier, Network};

use super::Run;
use crate::data::Split;
use crate::explain::examples;
use crate::judge::metrics::{Evaluation, Predictions, Task};
use crate::plots;
use crate::report::{self, ReportData};
use crate::train::error::TrainError;

/// How many mistakes and how many right answers a report shows.
const EXAMPLES: [usize; 2] = [12, 8];

impl Run {
    /// Writes `report.html` and the plots.
    pub(super) fn write_report(
        &self,
        model: &Network,
        split: Split,
        evaluation: &Evaluation,
        predictions: &Predictions,
    ) -> Result<(), TrainError> {
        let path = |name: &str| self.folder.join(name);
        let rows = &self.progress.rows;
        if !rows.is_empty() {
            plots::curves(rows, &path("curves.png"))?;
        }
        // With several labels per picture there is no such matrix.
        if matches!(&evaluation.task, Task::Single { confusion: Some(_), .. }) {
            plots::confusion_matrix(evaluation, &path("confusion_matrix.png"))?;
        }
        let classifier = Classifier::new(model, self.file.model.clone());
        let title = self.file.data.file_stem();
        let data = ReportData {
            root: self.dataset.root.clone(),
            title: title.map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            facts: self.facts(),
            details: vec![
                ("run".to_owned(), toml::to_string(&self.file).unwrap_or_default()),
                ("data".to_owned(), self.report.to_string()),
            ],
            epochs: rows.clone(),
            judged: format!("{} pictures of the {split} split", predictions.len()),
            evaluation: evaluation.clone(),
            examples: examples(&classifier, predictions, evaluation, EXAMPLES)?,
        };
        Ok(report::write(&path("report.html"), &data)?)
    }

    /// What the head of the report says about the run.
    fn facts(&self) -> Vec<(String, String)> {
        let weights = self.progress.best.as_ref().map_or_else(
            || "the last weights".to_owned(),
            |best| {
                let which = if best.ema { "averaged weights" } else { "weights" };
                format!("{which} of epoch {}, by validation loss", best.row + 1)
            },
        );
        let pictures = Split::ALL.map(|split| format!("{} {split}", self.dataset.count(split)));
        let fact = |name: &str, value: String| (name.to_owned(), value);
        vec![
            fact("recipe", self.file.recipe.name.clone()),
            fact("weights", weights),
            fact("pictures", pictures.join(", ")),
            fact("time", format!("{:.0} s", self.progress.seconds)),
        ]
    }
}
