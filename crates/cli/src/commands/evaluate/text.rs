//! An evaluation for people.

use std::io::{self, Write};

use trainer::metrics::{ClassScore, Evaluation, Score, Task, interval};
use unicode_width::UnicodeWidthStr;

use crate::commands::evaluate::summary::Summary;
use crate::io::message::printable;

/// The most classes whose confusion matrix is printed: its lines fit a terminal.
const MATRIX: usize = 16;

pub fn write(output: &mut impl Write, summary: &Summary<'_>) -> io::Result<()> {
    let evaluation = summary.evaluation;
    let percent = |part: f64| format!("{:.2} %", 100.0 * part);
    let mut line = |name: &str, value: &str| writeln!(output, "{name:<12}{value}");
    line(
        "pictures",
        &format!("{} ({})", evaluation.pictures, printable(summary.data)),
    )?;
    line("preset", &summary.preset())?;
    match &evaluation.task {
        Task::Single { top_1, top_5, .. } => {
            line("top-1", &percent(*top_1))?;
            let (low, high) = interval(evaluation.right(), evaluation.pictures);
            line("", &format!("{} to {} (95 % interval)", percent(low), percent(high)))?;
            if let Some(top_5) = top_5 {
                line("top-5", &percent(*top_5))?;
            }
        }
        Task::Multi {
            subset_accuracy,
            micro_average,
            mean_average_precision,
        } => {
            line("all right", &percent(*subset_accuracy))?;
            line("mAP", &percent(*mean_average_precision))?;
            line("micro F1", &percent(micro_average.f1))?;
        }
    }
    line("loss", &format!("{:.4}", evaluation.loss))?;
    line("ECE", &percent(evaluation.calibration.ece))?;
    line("speed", &summary.speed())?;
    writeln!(output)?;
    write_class_scores(output, evaluation)?;
    match &evaluation.task {
        Task::Single {
            confusion: Some(confusion),
            ..
        } if confusion.len() <= MATRIX => {
            writeln!(output)?;
            write_confusion(output, evaluation, confusion)
        }
        _ => Ok(()),
    }
}

fn write_class_scores(output: &mut impl Write, evaluation: &Evaluation) -> io::Result<()> {
    const MEANS: [&str; 2] = ["mean over the classes", "mean by pictures"];
    let names: Vec<String> = evaluation.classes.iter().map(|class| printable(&class.class)).collect();
    let widest = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let width = widest.max(MEANS[0].len());
    let padded = |name: &str| format!("{name}{}", " ".repeat(width.saturating_sub(name.width())));
    let row = |name: &str, score: Score, pictures: &str| {
        let Score { precision, recall, f1 } = score;
        let [precision, recall, f1] = [precision, recall, f1].map(|part| 100.0 * part);
        format!(
            "{}  {precision:9.1}  {recall:6.1}  {f1:5.1}  {pictures:>8}",
            padded(name)
        )
    };
    writeln!(output, "{}  precision  recall     F1  pictures", padded("class, %"))?;
    for (name, ClassScore { score, support, .. }) in names.iter().zip(&evaluation.classes) {
        writeln!(output, "{}", row(name, *score, &support.to_string()))?;
    }
    for (name, score) in MEANS
        .iter()
        .zip([evaluation.macro_average, evaluation.weighted_average])
    {
        writeln!(output, "{}", row(name, score, "").trim_end())?;
    }
    Ok(())
}

/// How many pictures of each class (row) were given each class (column); the columns are numbered like the rows.
fn write_confusion(output: &mut impl Write, evaluation: &Evaluation, confusion: &[Vec<usize>]) -> io::Result<()> {
    let classes = evaluation.classes.iter().map(|class| printable(&class.class));
    let names: Vec<String> = (1..)
        .zip(classes)
        .map(|(number, class)| format!("{number:>2} {class}"))
        .collect();
    let width = names.iter().map(|name| name.width()).max().unwrap_or(0);
    let largest = confusion.iter().flatten().max().copied().unwrap_or(0);
    let cell = largest.to_string().len().max(2) + 1;
    let line = |name: &str, cells: &[String]| {
        let cells: Vec<String> = cells.iter().map(|text| format!("{text:>cell$}")).collect();
        format!(
            "{name}{}{}",
            " ".repeat(width.saturating_sub(name.width())),
            cells.concat()
        )
    };
    let heads: Vec<String> = (1..=confusion.len()).map(|number| number.to_string()).collect();
    writeln!(output, "what pictures of a class (row) were taken for (column)")?;
    writeln!(output, "{}", line("", &heads))?;
    for (name, row) in names.iter().zip(confusion) {
        let cells: Vec<String> = row.iter().map(ToString::to_string).collect();
        writeln!(output, "{}", line(name, &cells))?;
    }
    Ok(())
}
