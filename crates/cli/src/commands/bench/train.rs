//! `xception bench --train`: how fast this machine trains.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use burn::tensor::Device;
use serde::Serialize;
use trainer::{StepKind, StepTimer};
use xception_model::{ModelSpec, Network};

use super::cases::{Case, cases};
use super::limit::{Limit, limit};
use super::load::{self, Load};
use super::machine::Machine;
use super::measure::pool;
use super::memory;
use super::row::{median, milliseconds};
use super::table::{dash, megabytes, write_limits};
use crate::args::{BenchArgs, ListFormat, Size};
use crate::io::output::Output;
use crate::io::progress::Progress;
use crate::io::{json, message};

/// Warm-up steps, which are not timed: the first allocates maps and gradients, the second the optimizer's state.
const WARM_UP: usize = 2;

/// Which operations compute a step.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Operations {
    /// Our kernels where there are any, Burn's elsewhere.
    Kernels,
    /// Burn's own, layer by layer.
    Burn,
}

impl fmt::Display for Operations {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Kernels => "kernels",
            Self::Burn => "burn",
        })
    }
}

/// The measurements of one call.
#[derive(Debug, Serialize)]
struct Report {
    #[serde(flatten)]
    machine: Machine,
    /// Where the weights came from.
    weights: String,
    /// For one picture, forward alone.
    multiply_adds: u64,
    limits: Vec<Limit>,
    rows: Vec<Row>,
    /// The share of the processor's time that other programs took, on Linux.
    others: Option<f64>,
}

/// The measurements of one kind of step in one case.
#[derive(Debug, Serialize)]
struct Row {
    operations: Operations,
    trains: StepKind,
    /// None on a device, which chooses its own threads.
    threads: Option<usize>,
    batch_size: usize,
    height: usize,
    width: usize,
    /// The time of every step: forward pass, backward pass and update.
    times_ms: Vec<f64>,
    median_ms: f64,
    pictures_per_second: f64,
    /// The part of the processor's limit that the median reaches. A full step multiplies three times as often as a
    /// forward pass.
    share_of_limit: Option<f64>,
    /// While this row was measured.
    peak_memory_bytes: Option<u64>,
    /// Of every step, those before the measured ones included: kernels and Burn compute the same.
    losses: Vec<f32>,
}

/// Measures all cases and writes the report.
pub fn bench(args: &BenchArgs, network: &Network, spec: &ModelSpec, device: &Device) -> anyhow::Result<()> {
    let on_processor = args.device.uses_rayon();
    let size = args.size.unwrap_or(Size {
        height: spec.input.height,
        width: spec.input.width,
    });
    let mut report = Report {
        machine: Machine::with_device(args.device.to_string()),
        weights: spec.source.clone(),
        multiply_adds: network.summary(size.height, size.width)?.multiply_adds(),
        limits: Vec::new(),
        rows: Vec::new(),
        others: None,
    };
    let load = Load::start();
    let cases = cases(args, report.machine.cores, on_processor, size);
    let operations: &[Operations] = if args.plain {
        &[Operations::Kernels, Operations::Burn]
    } else {
        &[Operations::Kernels]
    };
    let steps = WARM_UP + usize::from(args.runs());
    let pictures: usize = cases.iter().map(|case| case.batch_size).sum();
    let progress = Progress::new(pictures * steps * args.trains.len() * operations.len());
    for case in cases {
        for &trains in &args.trains {
            for &operations in operations {
                let workers = pool(case.threads)?;
                memory::reset_peak();
                let mut row = workers.install(|| match operations {
                    Operations::Kernels => measure(network, case, trains, steps, device, &progress),
                    Operations::Burn => by_burn(|| measure(network, case, trains, steps, device, &progress)),
                });
                row.operations = operations;
                row.threads = on_processor.then_some(case.threads);
                row.peak_memory_bytes = memory::peak();
                if on_processor {
                    let passes = if trains == StepKind::Head { 1.0 } else { 3.0 };
                    let work = 2.0 * passes * report.multiply_adds as f64;
                    let limit = limit(&mut report.limits, case.threads, &workers);
                    row.share_of_limit = Some(work * row.pictures_per_second / limit.flops_per_second);
                }
                report.rows.push(row);
                release_memory();
            }
        }
    }
    drop(progress);
    report.others = load.others(report.machine.cores);
    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text => write(&mut output, &report)?,
        ListFormat::Json => json::write(&mut output, &report)?,
    }
    output.finish()?;
    for problem in load::warnings(report.others, report.rows.iter().map(|row| row.times_ms.as_slice())) {
        message::print("warning", &problem);
    }
    Ok(())
}

#[cfg(feature = "flex")]
fn by_burn<R>(work: impl FnOnce() -> R) -> R {
    xception_model::with_burn_operations(work)
}

#[cfg(not(feature = "flex"))]
fn by_burn<R>(work: impl FnOnce() -> R) -> R {
    work()
}

fn release_memory() {
    #[cfg(feature = "flex")]
    xception_model::release_training_memory();
}

fn measure(network: &Network, case: Case, trains: StepKind, steps: usize, device: &Device, progress: &Progress) -> Row {
    let Case { batch_size, size, .. } = case;
    let shape = [batch_size, size.height, size.width];
    let mut timer = StepTimer::new(network.clone(), trains, shape, device);
    let measured: Vec<(Duration, f32)> = (0..steps)
        .map(|_| {
            let step = timer.step();
            progress.advance(batch_size);
            step
        })
        .collect();
    let times_ms: Vec<f64> = measured[WARM_UP..]
        .iter()
        .map(|(time, _)| milliseconds(*time))
        .collect();
    let median_ms = median(&times_ms);
    Row {
        operations: Operations::Kernels,
        trains,
        threads: None,
        batch_size,
        height: size.height,
        width: size.width,
        median_ms,
        pictures_per_second: 1e3 * batch_size as f64 / median_ms,
        share_of_limit: None,
        peak_memory_bytes: None,
        losses: measured.iter().map(|(_, loss)| *loss).collect(),
        times_ms,
    }
}

/// Writes the network, the machine, and a table of all cases.
fn write(output: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(
        output,
        "{}; {:.2} billion multiply-adds per picture, forward pass",
        report.weights,
        report.multiply_adds as f64 / 1e9
    )?;
    report.machine.write(output)?;
    write_limits(output, &report.limits)?;
    writeln!(
        output,
        "\n{:<18}{:<11}{:>8}{:>7}{:>11}{:>10}{:>12}{:>10}{:>10}",
        "trains", "operations", "threads", "batch", "size", "ms/step", "pictures/s", "of limit", "peak MB"
    )?;
    for row in &report.rows {
        let trains = match row.trains {
            StepKind::Full => "all",
            StepKind::FrozenStatistics => "all, norms frozen",
            StepKind::Head => "head",
        };
        writeln!(
            output,
            "{trains:<18}{:<11}{:>8}{:>7}{:>11}{:>10.0}{:>12.2}{:>10}{:>10}",
            row.operations,
            dash(row.threads),
            row.batch_size,
            format!("{}x{}", row.height, row.width),
            row.median_ms,
            row.pictures_per_second,
            dash(row.share_of_limit.map(|share| format!("{:.0} %", 100.0 * share))),
            dash(row.peak_memory_bytes.map(megabytes)),
        )?;
    }
    Ok(())
}
