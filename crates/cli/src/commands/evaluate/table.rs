//! The table that compares networks.

use std::collections::BTreeSet;
use std::io::{self, Write};
use std::path::Path;

use trainer::metrics::{Evaluation, Task};
use trainer::report::shortened;
use unicode_width::UnicodeWidthStr;

use crate::commands::evaluate::row::Row;
use crate::io::csv::write_row;
use crate::io::message::printable;
use crate::io::wrap::wrapped;

/// The longest name of a network, in columns.
const NAME: usize = 24;

/// For people: at most 78 columns.
pub fn write(output: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let names = names(rows);
    let width = names
        .iter()
        .map(|name| name.width())
        .max()
        .unwrap_or(0)
        .max("weights".len());
    let padded = |name: &str| format!("{name}{}", " ".repeat(width.saturating_sub(name.width())));
    for line in pictures(rows) {
        writeln!(output, "{line}")?;
    }
    writeln!(
        output,
        "\n{}    published %     measured %   million  billion  pictures",
        padded("")
    )?;
    writeln!(
        output,
        "{}   top-1  top-5   top-1  top-5    params     MACs     per s",
        padded("weights")
    )?;
    for (name, row) in names.iter().zip(rows) {
        let [top_1, top_5] = accuracies(&row.judged.evaluation);
        let published = row.published.as_ref();
        writeln!(
            output,
            "{}   {:>5}  {:>5}   {:>5}  {:>5}  {:>8.1}  {:>7.2}  {:>8.1}",
            padded(name),
            percent(published.map(|metrics| metrics.top1)),
            percent(published.and_then(|metrics| metrics.top5)),
            percent(top_1),
            percent(top_5),
            row.parameters as f64 / 1e6,
            row.multiply_adds as f64 / 1e9,
            row.judged.speed.pictures_per_second
        )?;
    }
    let sources = sources(rows);
    if !sources.is_empty() {
        writeln!(output)?;
    }
    for source in sources {
        writeln!(output, "{}", wrapped(&format!("published  {source}"), 11))?;
    }
    Ok(())
}

/// For programs.
pub fn write_csv(output: &mut impl Write, rows: &[Row]) -> io::Result<()> {
    let names = [
        "weights",
        "published_top1",
        "published_top5",
        "published_on",
        "pictures",
        "top1",
        "top5",
        "loss",
        "parameters",
        "multiply_adds",
        "pictures_per_second",
        "height",
        "width",
    ];
    write_row(output, names)?;
    for row in rows {
        let evaluation = &row.judged.evaluation;
        let [top_1, top_5] = accuracies(evaluation);
        let published = row.published.as_ref();
        let share = |share: Option<f64>| share.map_or_else(String::new, |share| share.to_string());
        write_row(
            output,
            [
                row.name.clone(),
                share(published.map(|metrics| metrics.top1)),
                share(published.and_then(|metrics| metrics.top5)),
                published.map_or_else(String::new, |metrics| metrics.dataset.clone()),
                evaluation.pictures.to_string(),
                share(top_1),
                share(top_5),
                evaluation.loss.to_string(),
                row.parameters.to_string(),
                row.multiply_adds.to_string(),
                row.judged.speed.pictures_per_second.to_string(),
                row.spec.input.height.to_string(),
                row.spec.input.width.to_string(),
            ],
        )?;
    }
    Ok(())
}

/// The share of right first guesses, and of right answers among five guesses where there are more classes. Of pictures
/// with several labels, the share whose labels are all right.
fn accuracies(evaluation: &Evaluation) -> [Option<f64>; 2] {
    match &evaluation.task {
        Task::Single { top_1, top_5, .. } => [Some(*top_1), *top_5],
        Task::Multi { subset_accuracy, .. } => [Some(*subset_accuracy), None],
    }
}

fn percent(share: Option<f64>) -> String {
    share.map_or_else(|| "-".to_owned(), |share| format!("{:.1}", 100.0 * share))
}

/// The last parts of the paths where they differ, such as `vgg16` of `runs/vgg16`; else what was typed.
fn names(rows: &[Row]) -> Vec<String> {
    let last = |row: &Row| {
        let part = Path::new(&row.name).file_name();
        part.map_or_else(|| row.name.clone(), |part| part.to_string_lossy().into_owned())
    };
    let short: Vec<String> = rows.iter().map(last).collect();
    let differ = short.iter().collect::<BTreeSet<_>>().len() == rows.len();
    let names = if differ {
        short
    } else {
        rows.iter().map(|row| row.name.clone()).collect()
    };
    names.iter().map(|name| shortened(&printable(name), NAME)).collect()
}

/// `pictures  382 (all pictures of stamps)`; a line for each network if they differ.
fn pictures(rows: &[Row]) -> Vec<String> {
    let line = |row: &Row| {
        let pictures = row.judged.evaluation.pictures;
        format!("pictures   {pictures} ({})", printable(&row.labelled.description))
    };
    let mut lines: Vec<String> = rows.iter().map(line).collect();
    lines.dedup();
    if lines.len() > 1 {
        lines = rows
            .iter()
            .map(|row| format!("{}: {}", line(row), printable(&row.name)))
            .collect();
    }
    lines
}

/// Where the published figures come from, each source once.
fn sources(rows: &[Row]) -> Vec<String> {
    let mut sources: Vec<String> = Vec::new();
    for metrics in rows.iter().filter_map(|row| row.published.as_ref()) {
        let source = printable(&format!("{} ({})", metrics.dataset, metrics.source));
        if !sources.contains(&source) {
            sources.push(source);
        }
    }
    sources
}
