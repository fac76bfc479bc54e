use std::io::{self, Write};

use super::evaluation::Evaluation;
use super::predictions::Predictions;

/// The separator of several classes of a picture.
const SEPARATOR: &str = ";";

/// Writes one line per class: `class,precision,recall,f1,support,predicted,average_precision`. The last field is empty
/// with one label per picture.
///
/// # Errors
///
/// The error of the writer.
pub fn write_class_table(output: impl Write, evaluation: &Evaluation) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(output);
    writer.write_record([
        "class",
        "precision",
        "recall",
        "f1",
        "support",
        "predicted",
        "average_precision",
    ])?;
    for class in &evaluation.classes {
        writer.write_record([
            class.class.as_str(),
            &class.score.precision.to_string(),
            &class.score.recall.to_string(),
            &class.score.f1.to_string(),
            &class.support.to_string(),
            &class.predicted.to_string(),
            &class
                .average_precision
                .map_or_else(String::new, |area| area.to_string()),
        ])?;
    }
    writer.flush()
}

/// Writes one line per picture: `file,truth,predicted,right`, then the probability of every class under its name.
///
/// # Errors
///
/// The error of the writer, or an error of [`Predictions::check`].
pub fn write_predictions(output: impl Write, predictions: &Predictions) -> io::Result<()> {
    predictions.check().map_err(io::Error::other)?;
    let names = |classes: &[usize]| {
        let names: Vec<&str> = classes
            .iter()
            .filter_map(|class| predictions.classes.get(*class).map(String::as_str))
            .collect();
        names.join(SEPARATOR)
    };
    let mut writer = csv::Writer::from_writer(output);
    let head = ["file", "truth", "predicted", "right"].into_iter();
    writer.write_record(head.chain(predictions.classes.iter().map(String::as_str)))?;
    for (path, (truth, probabilities)) in predictions.paths.iter().zip(predictions.rows()) {
        let mut truth = truth.to_vec();
        truth.sort_unstable();
        truth.dedup();
        let predicted = predictions.decide(probabilities);
        writer.write_field(path.to_string_lossy().as_ref())?;
        writer.write_field(names(&truth))?;
        writer.write_field(names(&predicted))?;
        writer.write_field((truth == predicted).to_string())?;
        writer.write_record(probabilities.iter().map(ToString::to_string))?;
    }
    writer.flush()
}
