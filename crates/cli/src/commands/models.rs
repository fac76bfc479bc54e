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
    let cards: Vec<&Card> = if args.names.is_empty() {
        registry::cards().collect()
    } else {
        let named = args.names.iter().map(|name| registry::card(name));
        named.collect::<Result<_, _>>()?
    };
    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text if args.names.is_empty() => {
            write_table(&mut output, &cards, &cache)?;
            writeln!(
                output,
                "\n`xception models NAME` describes one: its files, licence and preprocessing."
            )?;
            writeln!(output, "Weights are kept in {}", cache.dir().display())?;
        }
        ListFormat::Text => {
            for (index, card) in cards.into_iter().enumerate() {
                if index > 0 {
                    writeln!(output)?;
                }
                write_card(&mut output, card)?;
                write_files(&mut output, card, &cache.status(card))?;
            }
        }
        ListFormat::Json => {
            let cards: Vec<_> = cards
                .into_iter()
                .map(|card| as_json(card, &cache.status(card)))
                .collect();
            json::write(&mut output, &cards)?;
        }
    }
    output.finish()?;
    Ok(ExitStatus::Complete)
}

/// One line for each card, at most 78 columns wide.
fn write_table(output: &mut Output, cards: &[&Card], cache: &Cache) -> io::Result<()> {
    writeln!(
        output,
        "{:<24} {:>5}  {:>7}  {:>9}  {:>6}  {:<12}  here",
        "name", "input", "params", "mult-adds", "top-1", "licence"
    )?;
    for card in cards {
        let cost = cost(card);
        let cost = cost.as_ref();
        let params = cost.map_or_else(String::new, |cost| format!("{:.1} M", cost.params() as f64 / 1e6));
        let mult_adds = cost.map_or_else(String::new, |cost| {
            format!("{:.2} G", cost.multiply_adds() as f64 / 1e9)
        });
        let metrics = card.metrics.as_ref();
        let top1 = metrics.map_or_else(String::new, |metrics| format!("{:.1} %", 100.0 * metrics.top1));
        let is_here = |file: &Cached| file.bytes.is_some() || file.record_bytes.is_some();
        let here = if cache.status(card).iter().any(is_here) {
            "yes"
        } else {
            "no"
        };
        writeln!(
            output,
            "{:<24} {:>5}  {params:>7}  {mult_adds:>9}  {top1:>6}  {:<12}  {here}",
            card.name, card.input.width, card.licence,
        )?;
    }
    Ok(())
}

fn write_card(output: &mut Output, card: &Card) -> io::Result<()> {
    writeln!(output, "{}", card.name)?;
    writeln!(output, "  {}", card.description)?;
    let input = &card.input;
    writeln!(
        output,
        "  input     {} x {}, {}; {} classes",
        input.height,
        input.width,
        input.preset.map_or("no preset".into(), Preset::name),
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
