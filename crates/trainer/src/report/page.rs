//! From figures to the page's template, `page.html`.

use std::path::Path;

use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::data::ReportData;
use super::data_uri;
use super::error::ReportError;
use crate::explain::Shown;
use crate::judge::metrics::{ClassScore, EpochRow, Evaluation, Score, Task};
use crate::plots::{self, PlotError};

const TEMPLATE: &str = include_str!("page.html");

/// The number of confused pairs that the page lists.
const PAIRS: usize = 10;

/// The values of the template. Pictures are data URIs.
#[derive(Serialize)]
struct Page<'a> {
    title: &'a str,
    facts: &'a [(String, String)],
    details: &'a [(String, String)],
    judged: &'a str,
    pictures: usize,
    mistake_count: usize,
    figures: Vec<Figure>,
    classes: &'a [ClassScore],
    averages: Vec<Average>,
    multi_label: bool,
    epochs: &'a [EpochRow],
    curves: Option<String>,
    confusion: Option<String>,
    calibration: Option<String>,
    pairs: Vec<Pair<'a>>,
    mistakes: Vec<Entry>,
    right: Vec<Entry>,
}

pub(super) fn render(data: &ReportData) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    // The names of classes and files are untrusted.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("percent", |part: f64| format!("{:.1}", 100.0 * part));
    environment.add_filter("decimals", |value: f64| format!("{value:.4}"));
    environment.add_filter("rate", |value: f64| format!("{value:.2e}"));
    environment.add_template("page.html", TEMPLATE)?;
    let evaluation = &data.evaluation;
    let page = Page {
        title: &data.title,
        facts: &data.facts,
        details: &data.details,
        judged: &data.judged,
        pictures: evaluation.pictures,
        mistake_count: evaluation.mistake_count,
        figures: figures(evaluation),
        classes: &evaluation.classes,
        averages: averages(evaluation),
        multi_label: matches!(evaluation.task, Task::Multi { .. }),
        epochs: &data.epochs,
        curves: plot(plots::curves_png(&data.epochs))?,
        confusion: plot(plots::confusion_matrix_png(evaluation))?,
        calibration: plot(plots::calibration_png(evaluation))?,
        pairs: pairs(evaluation),
        mistakes: entries(&data.examples.mistakes, &data.root)?,
        right: entries(&data.examples.right, &data.root)?,
    };
    Ok(environment.get_template("page.html")?.render(Serde(&page))?)
}

/// A plot as a data URI; `None` if there is nothing to plot.
fn plot(drawn: Result<Vec<u8>, PlotError>) -> Result<Option<String>, PlotError> {
    match drawn {
        Ok(bytes) => Ok(Some(data_uri::png(&bytes))),
        Err(PlotError::Nothing { .. }) => Ok(None),
        Err(error) => Err(error),
    }
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    about: &'static str,
}

/// The figures at the top of the page.
fn figures(evaluation: &Evaluation) -> Vec<Figure> {
    let figure = |name, value, about| Figure { name, value, about };
    let percent = |part: f64| format!("{:.1} %", 100.0 * part);
    let mut figures = Vec::new();
    match &evaluation.task {
        Task::Single { top_1, top_5, .. } => {
            figures.push(figure(
                "Accuracy",
                percent(*top_1),
                "pictures whose likeliest class is right",
            ));
            if let Some(top_5) = top_5 {
                figures.push(figure(
                    "Top 5",
                    percent(*top_5),
                    "pictures whose class is among the five likeliest",
                ));
            }
        }
        Task::Multi {
            subset_accuracy,
            micro_average,
            mean_average_precision,
        } => {
            figures.push(figure(
                "All right",
                percent(*subset_accuracy),
                "pictures with exactly the right labels",
            ));
            figures.push(figure(
                "mAP",
                percent(*mean_average_precision),
                "mean average precision of the classes",
            ));
            figures.push(figure(
                "Micro F1",
                percent(micro_average.f1),
                "over all answers together, at one half",
            ));
        }
    }
    figures.push(figure(
        "Macro F1",
        percent(evaluation.macro_average.f1),
        "mean over the classes",
    ));
    figures.push(figure(
        "Loss",
        format!("{:.3}", evaluation.loss),
        "mean cross-entropy, nats",
    ));
    let about = "expected distance between confidence and accuracy";
    figures.push(figure("Calibration error", percent(evaluation.calibration.ece), about));
    figures
}

#[derive(Serialize)]
struct Average {
    name: &'static str,
    score: Score,
}

fn averages(evaluation: &Evaluation) -> Vec<Average> {
    let mut averages = vec![
        Average {
            name: "mean over the classes",
            score: evaluation.macro_average,
        },
        Average {
            name: "mean weighted by pictures",
            score: evaluation.weighted_average,
        },
    ];
    if let Task::Multi { micro_average, .. } = evaluation.task {
        averages.push(Average {
            name: "all answers together",
            score: micro_average,
        });
    }
    averages
}

#[derive(Serialize)]
struct Pair<'a> {
    truth: &'a str,
    predicted: &'a str,
    count: usize,
    /// The part of the pictures of the true class.
    part: f64,
}

/// The pairs of classes that are confused most often.
fn pairs(evaluation: &Evaluation) -> Vec<Pair<'_>> {
    let Task::Single {
        confusion: Some(confusion),
        ..
    } = &evaluation.task
    else {
        return Vec::new();
    };
    let name = |class: usize| evaluation.classes.get(class).map_or("", |class| class.class.as_str());
    let mut pairs: Vec<Pair<'_>> = confusion
        .iter()
        .enumerate()
        .flat_map(|(truth, row)| {
            let total = row.iter().sum::<usize>();
            let wrong = row
                .iter()
                .enumerate()
                .filter(move |(class, count)| *class != truth && **count > 0);
            wrong.map(move |(predicted, &count)| Pair {
                truth: name(truth),
                predicted: name(predicted),
                count,
                part: count as f64 / total as f64,
            })
        })
        .collect();
    pairs.sort_by(|a, b| b.count.cmp(&a.count).then(b.part.total_cmp(&a.part)));
    pairs.truncate(PAIRS);
    pairs
}

#[derive(Serialize)]
struct Entry {
    path: String,
    truth: String,
    predicted: String,
    confidence: f32,
    picture: Option<String>,
    heat: Option<String>,
}

/// The path of a picture relative to its data set: inside the folder, or beside the table.
fn within(path: &Path, root: &Path) -> String {
    let beside = root.parent().filter(|_| root.extension().is_some());
    let inside = path.strip_prefix(root).ok().or_else(|| path.strip_prefix(beside?).ok());
    inside.unwrap_or(path).to_string_lossy().into_owned()
}

fn entries(shown: &[Shown], root: &Path) -> Result<Vec<Entry>, ReportError> {
    let thumbnail = |picture: &Option<_>| picture.as_ref().map(data_uri::thumbnail).transpose();
    shown
        .iter()
        .map(|shown| {
            Ok(Entry {
                path: within(&shown.path, root),
                truth: shown.truth.clone(),
                predicted: shown.predicted.clone(),
                confidence: shown.confidence,
                picture: thumbnail(&shown.picture)?,
                heat: thumbnail(&shown.heat)?,
            })
        })
        .collect()
}
