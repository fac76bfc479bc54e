use std::io::{self, Write};

use super::evaluation::Evaluation;
use super::predictions::Predictions;

/// Between the classes of a picture with several.
const SEPARATOR: &str = ";";

/// Writes one line a class: `class,precision,recall,f1,support,predicted,average_precision`, the last empty with one label
/// a picture.
///
/// # Errors
///
/// The writer's.
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

/// Writes one line a picture: `file,truth,predicted,right`, then every class's probability under its name.
///
/// # Errors
///
/// The writer's, or predictions that don't fit together, as [`Predictions::check`] says.
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
