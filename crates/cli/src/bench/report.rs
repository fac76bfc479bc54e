//! What was measured, for people and for programs.

use std::fmt;
use std::io::{self, Write};
use std::time::Duration;

use serde::Serialize;

use crate::args::{ListFormat, Size};

/// All that one call measured.
#[derive(Debug, Serialize)]
pub struct Report {
    pub version: &'static str,
    pub burn: &'static str,
    pub processor: Option<String>,
    pub cores: usize,
    pub device: String,
    /// The instructions of the fused network's kernels.
    pub instructions: &'static str,
    /// Where the weights came from.
    pub weights: String,
    pub input: [usize; 3],
    /// For one picture of this input.
    pub multiply_adds: u64,
    pub networks: Vec<Start>,
    pub limits: Vec<Limit>,
    pub rows: Vec<Row>,
    /// Of the whole process, where the system says.
    pub peak_memory_bytes: Option<u64>,
}

/// Which way the network is computed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Network {
    /// Batch norms folded and layers fused.
    Fused,
    /// Layer by layer, on Burn's own operations.
    Plain,
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fused => "fused",
            Self::Plain => "plain",
        })
    }
}

/// How long a network took to be ready and to give its first answer, on all threads.
#[derive(Debug, Serialize)]
pub struct Start {
    pub network: Network,
    pub load_ms: f64,
    pub first_prediction_ms: f64,
}

/// What the processor reaches when it multiplies and adds in registers and does nothing else.
#[derive(Debug, Serialize)]
pub struct Limit {
    pub threads: usize,
    pub flops_per_second: f64,
}

/// One batch size on one number of threads.
#[derive(Debug, Serialize)]
pub struct Row {
    pub network: Network,
    /// None on a device whose threads are not ours to choose.
    pub threads: Option<usize>,
    pub batch_size: usize,
    pub height: usize,
    pub width: usize,
    /// Every run, a whole batch each.
    pub times_ms: Vec<f64>,
    /// The three of a whole batch.
    pub median_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    pub ms_per_picture: f64,
    pub pictures_per_second: f64,
    /// The part of [`Limit`] that the median reaches.
    pub share_of_limit: Option<f64>,
    /// While this row was measured.
    pub peak_memory_bytes: Option<u64>,
}

impl Row {
    pub fn new(
        network: Network,
        threads: Option<usize>,
        batch_size: usize,
        size: Size,
        times: &[Duration],
        peak_memory_bytes: Option<u64>,
    ) -> Self {
        let times_ms: Vec<f64> = times.iter().map(|&time| milliseconds(time)).collect();
        let median_ms = median(&times_ms);
        Self {
            network,
            threads,
            batch_size,
            height: size.height,
            width: size.width,
            median_ms,
            min_ms: times_ms.iter().copied().fold(f64::INFINITY, f64::min),
            max_ms: times_ms.iter().copied().fold(0.0, f64::max),
            ms_per_picture: median_ms / batch_size as f64,
            pictures_per_second: 1e3 * batch_size as f64 / median_ms,
            share_of_limit: None,
            peak_memory_bytes,
            times_ms,
        }
    }

    /// `multiply_adds` are those of one picture.
    pub fn with_limit(mut self, multiply_adds: u64, limit: &Limit) -> Self {
        let flops_per_second = 2.0 * multiply_adds as f64 * self.pictures_per_second;
        self.share_of_limit = Some(flops_per_second / limit.flops_per_second);
        self
    }
}

pub fn milliseconds(time: Duration) -> f64 {
    time.as_secs_f64() * 1e3
}

fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

impl Report {
    /// Takes a peak of a part of the time for all of it.
    pub fn remember_peak(&mut self, peak: Option<u64>) {
        self.peak_memory_bytes = self.peak_memory_bytes.max(peak);
    }

    pub fn write(&self, format: ListFormat, output: &mut impl Write) -> io::Result<()> {
        match format {
            ListFormat::Text => self.write_text(output),
            ListFormat::Json => {
                serde_json::to_writer_pretty(&mut *output, self)?;
                writeln!(output)
            }
        }
    }

    fn write_text(&self, output: &mut impl Write) -> io::Result<()> {
        let [channels, height, width] = self.input;
        writeln!(
            output,
            "{}; pictures of {channels} x {height} x {width}, {:.2} billion multiply-adds each",
            self.weights,
            self.multiply_adds as f64 / 1e9
        )?;
        writeln!(
            output,
            "{}, {} cores, {}; device {}; xception {} on Burn {}",
            self.processor.as_deref().unwrap_or(std::env::consts::ARCH),
            self.cores,
            self.instructions,
            self.device,
            self.version,
            self.burn
        )?;
        for start in &self.networks {
            writeln!(
                output,
                "{}: ready after {:.0} ms, the first answer {:.0} ms later",
                start.network, start.load_ms, start.first_prediction_ms
            )?;
        }
        for limit in &self.limits {
            writeln!(
                output,
                "limit of the processor with {}: {:.1} GFLOP/s",
                count(limit.threads, "thread"),
                limit.flops_per_second / 1e9
            )?;
        }

        writeln!(
            output,
            "\n{:<8}{:>8}{:>7}{:>11}{:>14}{:>9}{:>9}{:>12}{:>10}{:>10}",
            "network", "threads", "batch", "size", "ms a picture", "least", "most", "pictures/s", "of limit", "peak MB"
        )?;
        for row in &self.rows {
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
        if let Some(peak) = self.peak_memory_bytes {
            writeln!(
                output,
                "\npeak memory of it all, loading included: {} MB",
                megabytes(peak)
            )?;
        }
        Ok(())
    }
}

fn dash(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}

fn count(number: usize, noun: &str) -> String {
    let plural = if number == 1 { "" } else { "s" };
    format!("{number} {noun}{plural}")
}

fn megabytes(bytes: u64) -> u64 {
    (bytes + 500_000) / 1_000_000
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(milliseconds: &[u64]) -> Row {
        let times: Vec<Duration> = milliseconds.iter().map(|&time| Duration::from_millis(time)).collect();
        let size = Size { height: 71, width: 72 };
        Row::new(Network::Fused, Some(2), 4, size, &times, None)
    }

    #[test]
    fn a_row_counts_by_the_median() {
        let row = row(&[90, 30, 40]);
        assert_eq!((row.median_ms, row.min_ms, row.max_ms), (40.0, 30.0, 90.0));
        assert_eq!((row.ms_per_picture, row.pictures_per_second), (10.0, 100.0));
        assert!((self::row(&[90, 30, 40, 50]).median_ms - 45.0).abs() < 1e-9);
    }

    #[test]
    fn the_limit_is_reached_when_every_cycle_counts() {
        // 100 pictures a second of 1,000 multiply-adds each.
        let limit = Limit {
            threads: 2,
            flops_per_second: 400_000.0,
        };
        let row = row(&[40]).with_limit(1_000, &limit);
        assert_eq!(row.share_of_limit, Some(0.5));
    }
}
