//! `xception models`.

use std::io::{self, Write};

use indicatif::DecimalBytes;
use serde_json::{Value, json};
use xception_model::registry::{self, Cache, Cached, Card};
use xception_model::{Preset, Summary};

use crate::args::{ListFormat, ModelsArgs};
use crate::exit::ExitStatus;
use crate::io::json;
use crate::io::output::Output;

pub fn models(args: &ModelsArgs) -> anyhow::Result<ExitStatus> {
    let cache = Cache::new(args.cache.clone())?;
    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text => {
            writeln!(output, "Weights are kept in {}", cache.dir().display())?;
            for card in registry::cards() {
                write_card(&mut output, card)?;
                write_files(&mut output, card, &cache.status(card))?;
            }
        }
        ListFormat::Json => {
            let cards: Vec<_> = registry::cards()
                .map(|card| as_json(card, &cache.status(card)))
                .collect();
            json::write(&mut output, &cards)?;
        }
    }
    output.finish()?;
    Ok(ExitStatus::Complete)
}

fn write_card(output: &mut Output, card: &Card) -> io::Result<()> {
    writeln!(output, "\n{}", card.name)?;
    writeln!(output, "  {}", card.description)?;
    let input = &card.input;
    writeln!(
        output,
        "  input     {} x {}, {}; {} classes",
        input.height,
        input.width,
        input.preset.map_or("no preset", Preset::name),
        card.labels().len()
    )?;
    if let Some(cost) = cost(card) {
        writeln!(
            output,
            "  cost      {:.1} million parameters, {:.2} billion multiply-adds for each picture",
            cost.params() as f64 / 1e6,
            cost.multiply_adds() as f64 / 1e9
        )?;
    }
    if let Some(metrics) = &card.metrics {
        let top5 = metrics
            .top5
            .map_or_else(String::new, |top5| format!(", top-5 {:.1} %", 100.0 * top5));
        let top1 = 100.0 * metrics.top1;
        writeln!(output, "  accuracy  top-1 {top1:.1} %{top5} on {}", metrics.dataset)?;
    }
    let note = card
        .licence_note
        .as_ref()
        .map_or_else(String::new, |note| format!(" ({note})"));
    writeln!(output, "  licence   {}{note}", card.licence)
}

/// The layers of a card's network, for their parameters and multiply-adds.
fn cost(card: &Card) -> Option<Summary> {
    let network = card.architecture().ok()?;
    network.graph().summary([card.input.height, card.input.width]).ok()
}

/// Which of a card's files are on this machine, and how to get the others.
fn write_files(output: &mut Output, card: &Card, files: &[Cached]) -> io::Result<()> {
    for (weights, file) in card.weights.iter().zip(files) {
        let state = match (file.bytes, file.record_bytes) {
            (Some(bytes), _) => format!("here, {}: {}", DecimalBytes(bytes), file.path.display()),
            (None, Some(_)) => "here as a record".to_owned(),
            (None, None) => match (weights.urls.first(), &weights.obtain) {
                (Some(url), _) => format!("not here; downloaded when it is used, from {url}"),
                (None, Some(obtain)) => format!("not here; {obtain}, and save it as {}", file.path.display()),
                (None, None) => format!("not here; save it as {}", file.path.display()),
            },
        };
        writeln!(output, "  {:<8}  {state}", file.kind.to_string())?;
        if let Some(bytes) = file.partial_bytes {
            writeln!(output, "            {} of it downloaded so far", DecimalBytes(bytes))?;
        }
        if let Some(bytes) = file.record_bytes {
            let (bytes, record) = (DecimalBytes(bytes), file.record.display());
            writeln!(output, "            as a record, {bytes}: {record}")?;
        }
    }
    Ok(())
}

fn as_json(card: &Card, files: &[Cached]) -> Value {
    let files: Vec<_> = card
        .weights
        .iter()
        .zip(files)
        .map(|(weights, file)| {
            json!({
                "kind": file.kind.to_string(),
                "parameters": weights.parameters,
                "urls": weights.urls,
                "path": file.path.to_string_lossy(),
                "bytes": file.bytes,
                "partial_bytes": file.partial_bytes,
                "record": file.record.to_string_lossy(),
                "record_bytes": file.record_bytes,
            })
        })
        .collect();
    let cost = cost(card);
    json!({
        "name": card.name,
        "description": card.description,
        "licence": card.licence,
        "height": card.input.height,
        "width": card.input.width,
        "preset": card.input.preset.map(Preset::name),
        "classes": card.labels().len(),
        "parameters": cost.as_ref().map(Summary::params),
        "multiply_adds": cost.as_ref().map(Summary::multiply_adds),
        "top1": card.metrics.as_ref().map(|metrics| metrics.top1),
        "files": files,
    })
}
