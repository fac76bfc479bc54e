//! The measurements of one case.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::commands::bench::cases::Case;
use crate::commands::bench::limit::Limit;

/// Which implementation of the network computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Implementation {
    /// Batch norms folded and layers fused.
    Fused,
    /// Layer by layer, on Burn's own operations.
    Plain,
}

impl fmt::Display for Implementation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Fused => "fused",
            Self::Plain => "plain",
        })
    }
}

/// The measurements of one implementation in one case.
#[derive(Debug, Serialize)]
pub struct Row {
    pub network: Implementation,
    /// None on a device, which chooses its own threads.
    pub threads: Option<usize>,
    pub batch_size: usize,
    pub height: usize,
    pub width: usize,
    /// The time of every run of a whole batch.
    pub times_ms: Vec<f64>,
    /// Of a whole batch, like the next two.
    pub median_ms: f64,
    pub min_ms: f64,
    pub max_ms: f64,
    pub ms_per_picture: f64,
    pub pictures_per_second: f64,
    /// The part of the processor's limit that the median reaches.
    pub share_of_limit: Option<f64>,
    /// While this row was measured.
    pub peak_memory_bytes: Option<u64>,
}

impl Row {
    pub fn new(network: Implementation, case: Case, on_processor: bool, times: &[Duration]) -> Self {
        let times_ms: Vec<f64> = times.iter().map(|&time| milliseconds(time)).collect();
        let median_ms = median(&times_ms);
        Self {
            network,
            threads: on_processor.then_some(case.threads),
            batch_size: case.batch_size,
            height: case.size.height,
            width: case.size.width,
            median_ms,
            min_ms: times_ms.iter().copied().fold(f64::INFINITY, f64::min),
            max_ms: times_ms.iter().copied().fold(0.0, f64::max),
            ms_per_picture: median_ms / case.batch_size as f64,
            pictures_per_second: 1e3 * case.batch_size as f64 / median_ms,
            share_of_limit: None,
            peak_memory_bytes: None,
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

/// The middle value, or the mean of the two in the middle.
pub fn median(values: &[f64]) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let middle = sorted.len() / 2;
    match sorted.len() {
        0 => f64::NAN,
        odd if odd % 2 == 1 => sorted[middle],
        _ => f64::midpoint(sorted[middle - 1], sorted[middle]),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Size;

    fn row(milliseconds: &[u64]) -> Row {
        let times: Vec<Duration> = milliseconds.iter().map(|&time| Duration::from_millis(time)).collect();
        let case = Case {
            threads: 2,
            batch_size: 4,
            size: Size { height: 71, width: 72 },
        };
        Row::new(Implementation::Fused, case, true, &times)
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
        // 100 pictures per second of 1,000 multiply-adds each.
        let limit = Limit {
            threads: 2,
            flops_per_second: 400_000.0,
        };
        let row = row(&[40]).with_limit(1_000, &limit);
        assert_eq!(row.share_of_limit, Some(0.5));
    }
}
