//! What other programs take of the processor during a measurement.

use std::fs;
use std::time::Instant;

use crate::commands::bench::row::median;

/// Of the processor's time, a larger share for other programs is worth a warning.
const BUSY: f64 = 0.05;

/// The units of time in Linux's tables (`sysconf(_SC_CLK_TCK)`), the same on every architecture.
const TICKS_PER_SECOND: f64 = 100.0;

/// The processor's time at the start of a measurement; none where Linux's tables are missing.
pub struct Load {
    start: Option<Times>,
    clock: Instant,
}

/// Seconds of all cores since the machine, or this process, started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Times {
    all: f64,
    own: f64,
}

impl Load {
    pub fn start() -> Self {
        Self {
            start: times(),
            clock: Instant::now(),
        }
    }

    /// The share of the processor's time that other programs took since the start.
    pub fn others(&self, cores: usize) -> Option<f64> {
        let (start, end) = (self.start?, times()?);
        let others = (end.all - start.all) - (end.own - start.own);
        let available = self.clock.elapsed().as_secs_f64() * cores as f64;
        (available > 0.0).then(|| (others / available).clamp(0.0, 1.0))
    }
}

/// What makes measurements doubtful: other programs that took this share of the processor, and runs that took far
/// longer than the others of their case.
pub fn warnings<'a>(others: Option<f64>, cases: impl Iterator<Item = &'a [f64]>) -> Vec<String> {
    let busy = others.filter(|others| *others > BUSY).map(|others| {
        format!(
            "other programs took {:.0} % of the processor during the measurement: the network looks slower than it is",
            100.0 * others
        )
    });
    let (mut slow, mut runs) = (0, 0);
    for times in cases {
        runs += times.len();
        slow += outliers(times);
    }
    let slow = (slow > 0).then(|| {
        format!(
            "{slow} of {runs} runs took far longer than the median of their case, which the table shows: other \
             programs, or a processor that lowered its clock; measure again on a quiet machine"
        )
    });
    busy.into_iter().chain(slow).collect()
}

/// How many times are far above the median: as in hyperfine, by ten standard deviations, estimated from the median
/// distance to the median. A quiet machine's times differ so little that a tenth of the median is needed, too.
fn outliers(times: &[f64]) -> usize {
    /// The standard deviation of normally distributed numbers, by their median distance to the median.
    const DEVIATION: f64 = 1.4826;

    let middle = median(times);
    let distances: Vec<f64> = times.iter().map(|time| (time - middle).abs()).collect();
    let far = (10.0 * DEVIATION * median(&distances)).max(0.1 * middle);
    times.iter().filter(|time| **time > middle + far).count()
}

fn times() -> Option<Times> {
    Some(Times {
        all: busy(&fs::read_to_string("/proc/stat").ok()?)?,
        own: own(&fs::read_to_string("/proc/self/stat").ok()?)?,
    })
}

/// The busy seconds of all cores, of `/proc/stat`: all but idle time and waits for disks.
fn busy(text: &str) -> Option<f64> {
    let line = text.lines().find_map(|line| line.strip_prefix("cpu "))?;
    let numbers: Vec<f64> = line.split_whitespace().map(str::parse).collect::<Result<_, _>>().ok()?;
    // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user.
    let busy = [0, 1, 2, 5, 6, 7].map(|column| numbers.get(column).copied().unwrap_or(0.0));
    Some(busy.iter().sum::<f64>() / TICKS_PER_SECOND)
}

/// The seconds of this process, of `/proc/self/stat`.
fn own(text: &str) -> Option<f64> {
    // The name in parentheses may hold blanks.
    let (_, rest) = text.rsplit_once(')')?;
    let numbers: Vec<&str> = rest.split_whitespace().collect();
    let [user, system] = [11, 12].map(|column| numbers.get(column).and_then(|number| number.parse::<f64>().ok()));
    Some((user? + system?) / TICKS_PER_SECOND)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn linux_s_tables() {
        let text = "cpu  200 100 50 9000 800 10 20 20 7 0\ncpu0 1 1 1 1 1 1 1 1 1 1\n";
        assert_eq!(busy(text), Some(4.0));
        let text = "77 (a (b) c) S 1 2 3 4 5 6 7 8 9 10 250 50 0 0 20 0 8 0 100";
        assert_eq!(own(text), Some(3.0));
        assert_eq!(busy("intr 0"), None);
        assert_eq!(own("77 (x) S 1"), None);
    }

    #[test]
    fn a_busy_machine_and_slow_runs_are_told() {
        let quiet = [10.0, 10.2, 10.1, 10.0, 10.9];
        let told = |others, times: &[f64]| warnings(others, [times].into_iter()).join("\n");
        assert_eq!(told(Some(0.01), &quiet), "");
        assert_eq!(told(None, &[]), "");
        assert!(told(Some(0.4), &quiet).starts_with("other programs took 40 % of the processor"));
        assert!(told(None, &[10.0, 10.2, 10.1, 10.0, 19.0]).starts_with("1 of 5 runs took far longer"));
        // Times that differ anyway have no outliers.
        assert_eq!(told(None, &[10.0, 14.0, 12.0, 17.0, 19.0]), "");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_share_is_a_share() {
        let load = Load::start();
        std::thread::sleep(std::time::Duration::from_millis(50));
        let share = load.others(crate::compute::threads::cores()).unwrap();
        assert!((0.0..=1.0).contains(&share), "{share}");
    }
}
