//! The files that an evaluation writes.

use std::io::Write;
use std::path::{Path, PathBuf};

use trainer::evaluate::Evaluated;
use trainer::explain::{ExampleCounts, examples};
use trainer::metrics::{write_class_table, write_predictions};
use trainer::report::{self, ReportData};
use xception_model::Classifier;

use crate::args::{EvaluateArgs, WeightsArgs};
use crate::commands::evaluate::summary::Summary;
use crate::io::json;
use crate::io::target::Target;

/// How many pictures a report shows.
const SHOWN: ExampleCounts = ExampleCounts {
    mistakes: 24,
    ordinary: 24,
    right: 12,
};

/// The files that the command line asks for.
pub struct ResultFiles {
    report: Option<Target>,
    json: Option<Target>,
    csv: Option<Target>,
    predictions: Option<Target>,
}

impl ResultFiles {
    /// Refuses files that exist, before any work is done.
    pub fn open(args: &EvaluateArgs) -> anyhow::Result<Self> {
        let target = |path: &Option<PathBuf>| {
            path.as_deref()
                .map(|path: &Path| Target::new(path, args.force))
                .transpose()
        };
        Ok(Self {
            report: target(&args.report)?,
            json: target(&args.json)?,
            csv: target(&args.csv)?,
            predictions: target(&args.predictions)?,
        })
    }

    pub fn write(
        &self,
        weights: &WeightsArgs,
        data: &Path,
        classifier: &Classifier,
        summary: &Summary<'_>,
        judged: &Evaluated,
    ) -> anyhow::Result<()> {
        if let Some(target) = &self.json {
            target.publish(|file| json::write(file, summary))?;
        }
        if let Some(target) = &self.csv {
            target.publish(|file| write_class_table(file, &judged.evaluation))?;
        }
        if let Some(target) = &self.predictions {
            target.publish(|file| write_predictions(file, &judged.predictions))?;
        }
        if let Some(target) = &self.report {
            let page = html(weights, data, classifier, summary, judged)?;
            target.publish(|file| file.write_all(page.as_bytes()))?;
        }
        Ok(())
    }
}

fn html(
    weights: &WeightsArgs,
    data: &Path,
    classifier: &Classifier,
    summary: &Summary<'_>,
    judged: &Evaluated,
) -> anyhow::Result<String> {
    Ok(report::html(&ReportData {
        title: format!("Evaluation of {}", file_name(Path::new(&weights.file.weights))),
        facts: facts(weights, data, summary),
        details: Vec::new(),
        judged: String::new(),
        evaluation: judged.evaluation.clone(),
        predictions: judged.predictions.clone(),
        examples: examples(classifier, &judged.predictions, &judged.evaluation, SHOWN, &mut |_| {})?,
        training: None,
    })?)
}

/// The last part of a path, for a headline.
fn file_name(path: &Path) -> String {
    path.file_name()
        .unwrap_or(path.as_os_str())
        .to_string_lossy()
        .into_owned()
}

fn facts(weights: &WeightsArgs, data: &Path, summary: &Summary<'_>) -> Vec<(String, String)> {
    let fact = |name: &str, value: String| (name.to_owned(), value);
    vec![
        fact("Weights", weights.file.weights.display().to_string()),
        fact("Their origin", summary.weights.to_owned()),
        fact("Data", data.display().to_string()),
        fact("Preprocessing", summary.preset()),
        fact("Device", weights.inference.compute.device.to_string()),
        fact("Speed", summary.speed()),
    ]
}
