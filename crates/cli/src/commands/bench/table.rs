//! The measurements, for people.

use std::io::{self, Write};

use crate::commands::bench::limit::Limit;
use crate::commands::bench::report::Report;

/// Writes the network, the machine, and a table of all cases.
pub fn write(output: &mut impl Write, report: &Report) -> io::Result<()> {
    write_machine(output, report)?;
    write_rows(output, report)?;
    if let Some(peak) = report.peak_memory_bytes {
        writeln!(output, "\npeak memory, including loading: {} MB", megabytes(peak))?;
    }
    Ok(())
}

fn write_machine(output: &mut impl Write, report: &Report) -> io::Result<()> {
    let [channels, height, width] = report.input;
    writeln!(
        output,
        "{}; pictures of {channels} x {height} x {width}, {:.2} billion multiply-adds each",
        report.weights,
        report.multiply_adds as f64 / 1e9
    )?;
    report.machine.write(output)?;
    for start in &report.networks {
        writeln!(
            output,
            "{}: ready after {:.0} ms, first prediction after {:.0} ms more",
            start.network, start.load_ms, start.first_prediction_ms
        )?;
    }
    write_limits(output, &report.limits)?;
    Ok(())
}

/// Writes a line for each number of threads.
pub fn write_limits(output: &mut impl Write, limits: &[Limit]) -> io::Result<()> {
    for limit in limits {
        writeln!(
            output,
            "limit of the processor with {}: {:.1} GFLOP/s",
            count(limit.threads, "thread"),
            limit.flops_per_second / 1e9
        )?;
    }
    Ok(())
}

fn write_rows(output: &mut impl Write, report: &Report) -> io::Result<()> {
    writeln!(
        output,
        "\n{:<8}{:>8}{:>7}{:>11}{:>14}{:>9}{:>9}{:>12}{:>10}{:>10}",
        "network", "threads", "batch", "size", "ms/picture", "least", "most", "pictures/s", "of limit", "peak MB"
    )?;
    for row in &report.rows {
        let pictures = row.batch_size as f64;
        writeln!(
            output,
            "{:<8}{:>8}{:>7}{:>11}{:>14.1}{:>9.1}{:>9.1}{:>12.1}{:>10}{:>10}",
            row.network,
            dash(row.threads),
            row.batch_size,
            format!("{}x{}", row.height, row.width),
            row.ms_per_picture,
            row.min_ms / pictures,
            row.max_ms / pictures,
            row.pictures_per_second,
            dash(row.share_of_limit.map(|share| format!("{:.0} %", 100.0 * share))),
            dash(row.peak_memory_bytes.map(megabytes)),
        )?;
    }
    Ok(())
}

pub fn dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

pub fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}
