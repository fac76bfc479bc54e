//! Computes the values of the page's template, `page.html`, from the figures.

use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use files::Sha256;
use minijinja::value::Serde;
use minijinja::{AutoEscape, Environment, UndefinedBehavior};
use serde::Serialize;

use super::chart::{self, Chart};
use super::data::{ClassPictures, ReportData, TrainingReport};
use super::data_uri;
use super::error::ReportError;
use super::matrix::{self, Matrix};
use crate::explain::{Examples, Shown};
use crate::judge::metrics::{ClassScore, EpochRow, Evaluation, Predictions, Score, Task, Temperature, interval};
use crate::shortened::shortened;

const TEMPLATE: &str = include_str!("page.html");
const STYLE: &str = include_str!("page.css");
/// The page's only script, which filters the table of predictions. The page's policy lets no other script run.
const SCRIPT: &str = include_str!("page.js");

/// The number of confused pairs that the page lists.
const PAIRS: usize = 10;
/// The most predictions in the page's table, because browsers are slow with more. `predictions.csv` has all
/// predictions.
const ROWS: usize = 5000;
/// The most classes that have their own colours on the map.
const COLORS: usize = 12;

/// The values of the template. Pictures are data URIs.
#[derive(Serialize)]
struct Page<'a> {
    style: &'static str,
    script: &'static str,
    script_hash: String,
    title: &'a str,
    headline: String,
    facts: &'a [(String, String)],
    details: &'a [(String, String)],
    figures: Vec<Figure>,
    pairs: Vec<Pair<'a>>,
    classes: &'a [ClassScore],
    averages: Vec<Average>,
    multi_label: bool,
    matrix: Option<Matrix>,
    calibration: Chart,
    gallery: Gallery,
    predictions: Vec<Row<'a>>,
    prediction_count: usize,
    training: Option<Training<'a>>,
}

#[derive(Serialize)]
struct Training<'a> {
    epochs: &'a [EpochRow],
    curves: Vec<Chart>,
    best: Option<String>,
    stops: Vec<&'a str>,
    times: Vec<(&'a str, String)>,
    classes: Vec<ClassRow<'a>>,
    /// The number of pictures of the largest class.
    largest: usize,
    map: EmbeddingMap<'a>,
    temperature: Option<Temperature>,
    calibrated: bool,
    suspects: usize,
}

pub(super) fn render(data: &ReportData) -> Result<String, ReportError> {
    let mut environment = Environment::new();
    // The names of classes and files are untrusted.
    environment.set_auto_escape_callback(|_| AutoEscape::Html);
    environment.set_undefined_behavior(UndefinedBehavior::Strict);
    environment.add_filter("percent", |share: f64| format!("{:.1}", 100.0 * share));
    environment.add_filter("decimals", |value: f64| format!("{value:.4}"));
    environment.add_filter("rate", |value: f64| format!("{value:.2e}"));
    environment.add_filter("short", |name: String| shortened(&name, 32));
    environment.add_template("page.html", TEMPLATE)?;
    let evaluation = &data.evaluation;
    let folder = common_folder(&data.predictions.paths);
    let mut hash = Sha256::new();
    hash.update(SCRIPT);
    let page = Page {
        style: STYLE,
        script: SCRIPT,
        script_hash: STANDARD.encode(hash.finish().0),
        title: &data.title,
        headline: headline(evaluation, &data.judged),
        facts: &data.facts,
        details: &data.details,
        figures: figures(evaluation),
        pairs: pairs(evaluation),
        classes: &evaluation.classes,
        averages: averages(evaluation),
        multi_label: data.predictions.multi_label,
        matrix: matrix::matrix(evaluation),
        calibration: chart::calibration(&evaluation.calibration),
        gallery: gallery(&data.examples, &folder)?,
        predictions: rows(&data.predictions, &folder),
        prediction_count: data.predictions.len(),
        training: data
            .training
            .as_ref()
            .map(|training| self::training(training, data, &folder))
            .transpose()?,
    };
    Ok(environment.get_template("page.html")?.render(Serde(&page))?)
}

/// "91 of 114 test pictures right (79.8 %, 95 % interval 71.5 to 86.2 %)."
fn headline(evaluation: &Evaluation, judged: &str) -> String {
    let (low, high) = interval(evaluation.right(), evaluation.pictures);
    let of = if judged.is_empty() {
        String::new()
    } else {
        format!("{judged} ")
    };
    format!(
        "{} of {} {of}pictures right ({:.1} %, 95 % interval {:.1} to {:.1} %).",
        evaluation.right(),
        evaluation.pictures,
        100.0 * evaluation.accuracy(),
        100.0 * low,
        100.0 * high
    )
}

fn training<'a>(
    training: &'a TrainingReport,
    data: &'a ReportData,
    folder: &Path,
) -> Result<Training<'a>, ReportError> {
    let rows = &training.epochs;
    let best = training.best.and_then(|(index, averaged)| {
        let row = rows.get(index)?;
        let first = rows.iter().position(|other| other.phase == row.phase)?;
        let weights = if averaged {
            "the averaged weights"
        } else {
            "the weights"
        };
        Some(format!(
            "{weights} of epoch {} of phase {}",
            index - first + 1,
            row.phase
        ))
    });
    let stops: Vec<usize> = training.stops.iter().map(|(row, _)| *row).collect();
    let total = |class: &ClassPictures| class.count.train + class.count.val + class.count.test;
    Ok(Training {
        epochs: rows,
        curves: chart::curves(rows, training.best.map(|(index, _)| index), &stops),
        best,
        stops: training.stops.iter().map(|(_, text)| text.as_str()).collect(),
        times: training
            .times
            .iter()
            .map(|(name, seconds)| (name.as_str(), duration(*seconds)))
            .collect(),
        largest: training.classes.iter().map(total).max().unwrap_or(1).max(1),
        classes: training.classes.iter().map(class_row).collect::<Result<_, _>>()?,
        map: map(&training.map, &data.predictions, folder),
        temperature: training.temperature.map(|(temperature, _)| temperature),
        calibrated: training.temperature.is_some_and(|(_, calibrated)| calibrated),
        suspects: training.suspects,
    })
}

/// A duration for readers: `7 s`, `2 min 5 s`, `1 h 20 min`.
pub fn duration(seconds: f64) -> String {
    let whole = seconds.round().max(0.0) as u64;
    match whole {
        0..60 => format!("{whole} s"),
        60..3600 if whole.is_multiple_of(60) => format!("{} min", whole / 60),
        60..3600 => format!("{} min {} s", whole / 60, whole % 60),
        _ => format!("{} h {} min", whole / 3600, whole % 3600 / 60),
    }
}

#[derive(Serialize)]
struct Figure {
    name: &'static str,
    value: String,
    about: String,
}

/// The figures at the top of the page.
fn figures(evaluation: &Evaluation) -> Vec<Figure> {
    let figure = |name, value, about: &str| Figure {
        name,
        value,
        about: about.to_owned(),
    };
    let percent = |share: f64| format!("{:.1} %", 100.0 * share);
    let (low, high) = interval(evaluation.right(), evaluation.pictures);
    let interval = format!("95 % interval {:.1} to {:.1} %", 100.0 * low, 100.0 * high);
    let mut figures = Vec::new();
    match &evaluation.task {
        Task::Single { top_1, top_5, .. } => {
            figures.push(figure("Accuracy", percent(*top_1), &interval));
            if let Some(top_5) = top_5 {
                let about = "pictures whose class is among the five likeliest";
                figures.push(figure("Top 5", percent(*top_5), about));
            }
        }
        Task::Multi {
            subset_accuracy,
            micro_average,
            mean_average_precision,
        } => {
            figures.push(figure("All right", percent(*subset_accuracy), &interval));
            let about = "mean average precision of the classes";
            figures.push(figure("mAP", percent(*mean_average_precision), about));
            let about = "over all answers together, at one half";
            figures.push(figure("Micro F1", percent(micro_average.f1), about));
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
    let about = "mean distance between confidence and accuracy";
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
    share: f64,
}

/// The most frequently confused pairs of classes.
fn pairs(evaluation: &Evaluation) -> Vec<Pair<'_>> {
    let pairs = evaluation.confused_pairs().into_iter().take(PAIRS);
    pairs
        .map(|pair| Pair {
            truth: &evaluation.classes[pair.truth].class,
            predicted: &evaluation.classes[pair.predicted].class,
            count: pair.count,
            share: pair.share,
        })
        .collect()
}

/// The pictures of the page.
#[derive(Serialize)]
struct Gallery {
    suspects: Vec<Entry>,
    mistakes: Vec<Entry>,
    ordinary: Vec<Entry>,
    right: Vec<Entry>,
}

#[derive(Serialize)]
struct Entry {
    path: String,
    truth: String,
    predicted: String,
    confidence: f32,
    right: bool,
    second: Option<(String, f32)>,
    picture: Option<String>,
    heat: Option<String>,
    heat_class: Option<String>,
}

fn gallery(examples: &Examples, root: &Path) -> Result<Gallery, ReportError> {
    Ok(Gallery {
        suspects: entries(&examples.suspects, root)?,
        mistakes: entries(&examples.mistakes, root)?,
        ordinary: entries(&examples.ordinary, root)?,
        right: entries(&examples.right, root)?,
    })
}

fn entries(shown: &[Shown], root: &Path) -> Result<Vec<Entry>, ReportError> {
    shown
        .iter()
        .map(|shown| {
            Ok(Entry {
                path: within(&shown.path, root),
                truth: shown.truth.clone(),
                predicted: shown.predicted.clone(),
                confidence: shown.confidence,
                right: shown.right,
                second: shown.second.clone(),
                picture: shown.picture.as_ref().map(data_uri::thumbnail).transpose()?,
                heat: shown
                    .heat
                    .as_ref()
                    .map(|heat| data_uri::thumbnail(&heat.picture))
                    .transpose()?,
                heat_class: shown.heat.as_ref().map(|heat| heat.class.clone()),
            })
        })
        .collect()
}

/// The path of a picture relative to the common folder of all pictures.
fn within(path: &Path, folder: &Path) -> String {
    path.strip_prefix(folder).unwrap_or(path).to_string_lossy().into_owned()
}

/// The deepest folder that contains all given files.
fn common_folder(paths: &[PathBuf]) -> PathBuf {
    let mut folders = paths.iter().filter_map(|path| path.parent());
    let mut common = folders.next().unwrap_or(Path::new("")).to_owned();
    for folder in folders {
        while !folder.starts_with(&common) {
            common.pop();
        }
    }
    common
}

/// A row of the table of predictions.
#[derive(Serialize)]
struct Row<'a> {
    path: String,
    truth: Vec<&'a str>,
    predicted: Vec<&'a str>,
    confidence: f32,
    /// The probability of the true class; `None` with several labels per picture.
    truth_probability: Option<f32>,
    right: bool,
}

/// The predictions, those with the least likely true class first.
fn rows<'a>(predictions: &'a Predictions, root: &Path) -> Vec<Row<'a>> {
    let names = |classes: &[usize]| {
        classes
            .iter()
            .map(|&class| predictions.classes[class].as_str())
            .collect()
    };
    let mut rows: Vec<Row<'a>> = predictions
        .rows()
        .zip(&predictions.paths)
        .map(|((truth, probabilities), path)| {
            let said = predictions.decide(probabilities);
            let mut is = truth.to_vec();
            is.sort_unstable();
            is.dedup();
            Row {
                path: within(path, root),
                truth: names(&is),
                predicted: names(&said),
                confidence: said.iter().map(|&class| probabilities[class]).fold(0.0, f32::max),
                truth_probability: match is.as_slice() {
                    [class] if !predictions.multi_label => Some(probabilities[*class]),
                    _ => None,
                },
                right: is == said,
            }
        })
        .collect();
    rows.sort_by(|a, b| {
        let likelihood = |row: &Row<'_>| row.truth_probability.unwrap_or(row.confidence);
        a.right.cmp(&b.right).then(likelihood(a).total_cmp(&likelihood(b)))
    });
    rows.truncate(ROWS);
    rows
}

#[derive(Serialize)]
struct ClassRow<'a> {
    name: &'a str,
    train: usize,
    val: usize,
    test: usize,
    pictures: Vec<String>,
}

fn class_row(class: &ClassPictures) -> Result<ClassRow<'_>, ReportError> {
    Ok(ClassRow {
        name: &class.count.name,
        train: class.count.train,
        val: class.count.val,
        test: class.count.test,
        pictures: class.pictures.iter().map(data_uri::small).collect::<Result<_, _>>()?,
    })
}

/// The map of the embeddings.
#[derive(Serialize)]
struct EmbeddingMap<'a> {
    points: Vec<Point>,
    /// The classes that have a colour.
    classes: Vec<(&'a str, usize)>,
}

#[derive(Serialize)]
struct Point {
    x: f64,
    y: f64,
    /// The number of the point's colour; `None` if there are more classes than colours.
    color: Option<usize>,
    right: bool,
    title: String,
}

fn map<'a>(points: &[(usize, [f64; 2])], predictions: &'a Predictions, root: &Path) -> EmbeddingMap<'a> {
    let colors = predictions.classes.len() <= COLORS && !predictions.multi_label;
    let rows: Vec<_> = predictions.rows().collect();
    let names = |classes: &[usize]| {
        let names: Vec<&str> = classes
            .iter()
            .map(|&class| predictions.classes[class].as_str())
            .collect();
        names.join(", ")
    };
    let extent = |axis: usize| {
        let values = points.iter().map(|(_, point)| point[axis]);
        values.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), value| {
            (low.min(value), high.max(value))
        })
    };
    // Within a margin, so that the dots fit.
    let scaled = |value: f64, (low, high): (f64, f64), size: f64| {
        let part = if high > low { (value - low) / (high - low) } else { 0.5 };
        16.0 + part * (size - 32.0)
    };
    let (wide, high) = (extent(0), extent(1));
    let point = |(picture, [x, y]): &(usize, [f64; 2])| {
        let (truth, probabilities) = rows.get(*picture)?;
        let said = predictions.decide(probabilities);
        let right = *truth == said.as_slice();
        let is = names(truth);
        let verdict = if right {
            is
        } else {
            format!("{is}, predicted {}", names(&said))
        };
        Some(Point {
            x: scaled(*x, wide, 1000.0),
            y: scaled(*y, high, 620.0),
            color: truth.first().copied().filter(|_| colors),
            right,
            title: format!("{}: {verdict}", within(predictions.paths.get(*picture)?, root)),
        })
    };
    let classes = predictions.classes.iter().enumerate().filter(|_| colors);
    EmbeddingMap {
        points: points.iter().filter_map(point).collect(),
        classes: classes.map(|(color, name)| (name.as_str(), color)).collect(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_two_units_at_most() {
        let shown = [0.4, 59.6, 60.0, 125.0, 3600.0, 8100.0].map(duration);
        assert_eq!(shown, ["0 s", "1 min", "1 min", "2 min 5 s", "1 h 0 min", "2 h 15 min"]);
    }
}
