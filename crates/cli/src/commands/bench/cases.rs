//! The cases that are measured.

use crate::args::{BenchArgs, Size};

/// What `--scaling` measures: batch sizes, and sides of a picture from the smallest that Keras commonly uses to twice
/// Xception's.
const SCALING_BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];
const SCALING_SIDES: [usize; 6] = [150, 224, 299, 400, 500, 600];

/// One measurement.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Case {
    pub threads: usize,
    pub batch_size: usize,
    pub size: Size,
}

/// The cases that the arguments ask for, each once, in the order of the report. Only on the processor are the threads a
/// choice; `size` is that of a picture.
pub fn cases(args: &BenchArgs, cores: usize, on_processor: bool, size: Size) -> Vec<Case> {
    let threads = threads(args, cores, on_processor);
    let mut cases = if args.scaling {
        scaling(&threads, cores, size)
    } else {
        let case = |threads| {
            let batch_sizes = args.batch_sizes().iter();
            batch_sizes.map(move |&batch_size| Case {
                threads,
                batch_size,
                size,
            })
        };
        threads.into_iter().flat_map(case).collect()
    };
    let mut seen = Vec::with_capacity(cases.len());
    cases.retain(|case| {
        let new = !seen.contains(case);
        seen.push(*case);
        new
    });
    cases
}

fn threads(args: &BenchArgs, cores: usize, on_processor: bool) -> Vec<usize> {
    match (on_processor, args.scaling, args.threads.as_slice()) {
        (false, ..) => vec![cores],
        // Every number up to four, then powers of two, then all cores.
        (true, true, _) => (1..cores)
            .filter(|&threads| threads <= 4 || threads.is_power_of_two())
            .chain([cores])
            .collect(),
        (true, false, []) => vec![1, cores],
        (true, false, threads) => threads.iter().map(|&threads| threads.into()).collect(),
    }
}

/// Batch sizes, threads and sizes, each varied alone.
fn scaling(threads: &[usize], cores: usize, size: Size) -> Vec<Case> {
    let case = |threads, batch_size, size| Case {
        threads,
        batch_size,
        size,
    };
    let batches = SCALING_BATCHES.map(|batch_size| case(cores, batch_size, size));
    let threads = threads.iter().map(|&threads| case(threads, 1, size));
    let sizes = SCALING_SIDES.map(|side| {
        let square = Size {
            height: side,
            width: side,
        };
        case(cores, 1, square)
    });
    batches.into_iter().chain(threads).chain(sizes).collect()
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::args::{Cli, Command};

    const SIZE: Size = Size { height: 71, width: 72 };

    fn planned(arguments: &[&str], cores: usize, on_processor: bool) -> Vec<(usize, usize, usize)> {
        let cli = Cli::parse_from(["xception", "bench"].iter().chain(arguments));
        let Command::Bench(args) = cli.command else {
            unreachable!("another command");
        };
        let cases = cases(&args, cores, on_processor, SIZE);
        let numbers = cases
            .iter()
            .map(|case| (case.threads, case.batch_size, case.size.height));
        numbers.collect()
    }

    #[test]
    fn one_thread_and_all_by_default() {
        assert_eq!(planned(&[], 4, true), [(1, 1, 71), (1, 8, 71), (4, 1, 71), (4, 8, 71)]);
        assert_eq!(planned(&[], 1, true), [(1, 1, 71), (1, 8, 71)]);
        assert_eq!(planned(&[], 4, false), [(4, 1, 71), (4, 8, 71)]);
    }

    #[test]
    fn lists_are_measured_in_their_order() {
        let arguments = ["--threads", "3,2,3", "--batch-size", "5"];
        assert_eq!(planned(&arguments, 4, true), [(3, 5, 71), (2, 5, 71)]);
    }

    #[test]
    fn scaling_goes_three_ways() {
        let cases = planned(&["--scaling"], 24, true);
        let batches = SCALING_BATCHES.map(|batch| (24, batch, 71));
        assert_eq!(cases[..6], batches);
        let threads = [1, 2, 3, 4, 8, 16].map(|threads| (threads, 1, 71));
        assert_eq!(cases[6..12], threads);
        assert_eq!(cases[12..], SCALING_SIDES.map(|side| (24, 1, side)));
    }
}
