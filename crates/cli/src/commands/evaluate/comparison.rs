//! Several networks, judged one after the other.

use std::collections::BTreeSet;
use std::io;
use std::path::{Path, PathBuf};

use anyhow::{Context, bail};
use serde::Serialize;
use xception_model::registry::Metrics;

use crate::args::{EvaluateArgs, FigureFormat, WeightsArgs};
use crate::commands::evaluate::row::Row;
use crate::commands::evaluate::summary::Summary;
use crate::commands::evaluate::table;
use crate::compute::threads;
use crate::exit::ExitStatus;
use crate::io::output::Output;
use crate::io::target::Target;
use crate::io::{json, message};
use crate::weights::card;

/// A row for programs.
#[derive(Serialize)]
struct Entry<'a> {
    name: &'a str,
    published: Option<&'a Metrics>,
    parameters: usize,
    multiply_adds: u64,
    #[serde(flatten)]
    summary: Summary<'a>,
}

/// The files that the command line asks for.
pub struct ResultFiles {
    json: Option<Target>,
    csv: Option<Target>,
}

impl ResultFiles {
    /// Refuses output files that exist, and outputs that only one network can have, before any work is done.
    pub fn open(args: &EvaluateArgs) -> anyhow::Result<Self> {
        for (flag, file) in [("--report", &args.report), ("--predictions", &args.predictions)] {
            if file.is_some() {
                bail!("{flag} is for one network: give one --weights, or leave {flag} out to compare several");
            }
        }
        let target = |path: &Option<PathBuf>| {
            path.as_deref()
                .map(|path: &Path| Target::new(path, args.force))
                .transpose()
        };
        Ok(Self {
            json: target(&args.json)?,
            csv: target(&args.csv)?,
        })
    }
}

/// Judges the networks by the same pictures and compares them.
pub fn compare(args: &EvaluateArgs, networks: &[WeightsArgs], files: &ResultFiles) -> anyhow::Result<ExitStatus> {
    let threads = threads::start(args.weights.inference.compute.threads)?;
    // A name that is misspelt is found before hours of work.
    let published = networks.iter().map(|weights| card::metrics(&weights.file.weights));
    let published: Vec<Option<Metrics>> = published.collect::<anyhow::Result<_>>()?;
    let mut rows: Vec<Row> = Vec::with_capacity(networks.len());
    for (weights, published) in networks.iter().zip(published) {
        let name = weights.file.weights.display().to_string();
        let row = Row::judge(args, weights, published, threads, rows.is_empty());
        rows.push(row.with_context(|| name)?);
    }
    warn_of_different_pictures(&rows);

    if let Some(target) = &files.json {
        target.publish(|file| write_json(file, &rows))?;
    }
    if let Some(target) = &files.csv {
        target.publish(|file| table::write_csv(file, &rows))?;
    }
    let mut output = Output::stdout();
    match args.format {
        FigureFormat::Text => table::write(&mut output, &rows)?,
        FigureFormat::Json => write_json(&mut output, &rows)?,
        FigureFormat::Csv => table::write_csv(&mut output, &rows)?,
    }
    output.finish()?;
    let failures = rows
        .iter()
        .map(|row| row.labelled.unreadable + row.judged.unreadable.len());
    Ok(ExitStatus::after(failures.sum()))
}

/// Runs hold out pictures of their own.
fn warn_of_different_pictures(rows: &[Row]) {
    let pictures = |row: &Row| -> BTreeSet<PathBuf> {
        let labelled = row.labelled.pictures.iter();
        labelled.map(|picture| picture.path.clone()).collect()
    };
    let all: Vec<BTreeSet<PathBuf>> = rows.iter().map(pictures).collect();
    if all.windows(2).any(|pair| pair[0] != pair[1]) {
        message::print(
            "warning",
            "the networks were judged by different pictures, so that their figures can hardly be compared: each \
             training run held out pictures of its own",
        );
    }
}

fn write_json(output: &mut impl io::Write, rows: &[Row]) -> io::Result<()> {
    let entries: Vec<Entry<'_>> = rows
        .iter()
        .map(|row| Entry {
            name: &row.name,
            published: row.published.as_ref(),
            parameters: row.parameters,
            multiply_adds: row.multiply_adds,
            summary: Summary::new(&row.spec, &row.labelled, &row.judged),
        })
        .collect();
    json::write(output, &entries)
}
