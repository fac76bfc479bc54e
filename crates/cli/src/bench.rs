//! `xception bench`: what this machine can do.

mod memory;
mod report;

use std::num::NonZero;
use std::time::{Duration, Instant};

use anyhow::Context;
use burn::tensor::{Device, Tensor, TensorData};
use kernels::Isa;
use rayon::{ThreadPool, ThreadPoolBuilder};
use xception_model::{Classifier, Known, ModelSpec, Outputs};

use self::report::{Limit, Network, Report, Row, Start, milliseconds};
use crate::args::{self, BenchArgs, Size};
use crate::output::{Outcome, Output};
use crate::progress::Progress;
use crate::weights;

/// Runs before the ones that count: the first takes memory, and processors take a moment to speed up.
const WARM_UP: usize = 2;

/// Makes the random weights the same in every call.
const SEED: u64 = 299;

/// What `--scaling` measures: batch sizes, and sides of a picture from Keras's smallest usual one to four times Xception's.
const SCALING_BATCHES: [usize; 6] = [1, 2, 4, 8, 16, 32];
const SCALING_SIDES: [usize; 6] = [150, 224, 299, 400, 500, 600];

/// Something to measure.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Case {
    threads: usize,
    batch_size: usize,
    size: Size,
}

pub fn bench(args: &BenchArgs) -> anyhow::Result<Outcome> {
    let on_processor = args.device.uses_rayon();
    if !on_processor && !args.threads.is_empty() {
        args::wrong_usage(format_args!("--threads means nothing on device {}", args.device));
    }
    let device = args.device.open()?;
    let cores = std::thread::available_parallelism().map_or(1, NonZero::get);

    let started = Instant::now();
    let (network, spec) = load(args, &device)?;
    let loading = started.elapsed();
    let size = args.size.unwrap_or(Size {
        height: spec.input.height,
        width: spec.input.width,
    });
    let mut report = Report {
        version: env!("CARGO_PKG_VERSION"),
        burn: trainer::BURN,
        processor: processor(),
        cores,
        device: args.device.to_string(),
        instructions: Isa::detect().name(),
        weights: spec.source.clone(),
        input: [network.graph().in_channels(), size.height, size.width],
        multiply_adds: network.summary(size.height, size.width)?.multiply_adds(),
        networks: Vec::new(),
        limits: Vec::new(),
        rows: Vec::new(),
        peak_memory_bytes: None,
    };
    let cases = cases(args, cores, on_processor, size);
    let networks = if args.plain { 2 } else { 1 };
    let pictures =
        cases.iter().map(|case| case.batch_size).sum::<usize>() * (usize::from(args.runs) + WARM_UP) * networks;
    let mut bench = Bench {
        cases,
        runs: args.runs.into(),
        on_processor,
        device,
        progress: Progress::new(pictures),
        report: &mut report,
    };
    let started = Instant::now();
    let fused = Classifier::new(&network, spec);
    // The weights that the network shares with nothing else must not stay in memory.
    drop(network);
    bench.measure(Network::Fused, &fused, loading + started.elapsed())?;
    if args.plain {
        bench.measure(Network::Plain, &fused.plain(), loading)?;
    }
    drop(bench);

    let mut output = Output::stdout();
    report.write(args.format, &mut output)?;
    output.finish()
}

/// The weights that were asked for, or random ones: how long a convolution takes does not depend on them.
fn load(args: &BenchArgs, device: &Device) -> anyhow::Result<(xception_model::Network, ModelSpec)> {
    if let Some(weights) = &args.weights {
        let known = Known {
            size: args.size.map(|size| [size.height, size.width]),
            ..Known::default()
        };
        let (network, spec) = weights::find(weights, &known, &args.cache, device)?;
        weights::need_classifier(weights, &network)?;
        return Ok((network, spec));
    }
    device.seed(SEED);
    let architecture = args.architecture.architecture();
    let network = architecture.init(device)?;
    let spec = ModelSpec {
        source: format!("Keras's {} with random weights", network.graph().title),
        outputs: Outputs::Softmax,
        input: args.architecture.input(),
        labels: Vec::new(),
        network: architecture,
    };
    Ok((network, spec))
}

/// One call's measurements on their way into its report.
struct Bench<'a> {
    cases: Vec<Case>,
    runs: usize,
    on_processor: bool,
    device: Device,
    progress: Progress,
    report: &'a mut Report,
}

impl Bench<'_> {
    /// `loading` is how long the network took to be there.
    fn measure(&mut self, network: Network, classifier: &Classifier, loading: Duration) -> anyhow::Result<()> {
        let [_, height, width] = self.report.input;
        let most = self.cases.iter().map(|case| case.threads).max().unwrap_or(1);
        let images = pictures(classifier, 1, Size { height, width }, &self.device);
        let workers = pool(most)?;
        let started = Instant::now();
        workers.install(|| predict(classifier, images))?;
        self.report.networks.push(Start {
            network,
            load_ms: milliseconds(loading),
            first_prediction_ms: milliseconds(started.elapsed()),
        });

        for case in &self.cases {
            let workers = pool(case.threads)?;
            self.report.remember_peak(memory::peak());
            memory::forget();
            let times = self.time(classifier, *case, &workers)?;
            let peak = memory::peak();
            let threads = self.on_processor.then_some(case.threads);
            let mut row = Row::new(network, threads, case.batch_size, case.size, &times, peak);
            if self.on_processor {
                let work = classifier.network().summary(case.size.height, case.size.width)?;
                let limit = limit(&mut self.report.limits, case.threads, &workers);
                row = row.with_limit(work.multiply_adds(), limit);
            }
            self.report.rows.push(row);
            self.report.remember_peak(peak);
        }
        Ok(())
    }

    fn time(&self, classifier: &Classifier, case: Case, workers: &ThreadPool) -> anyhow::Result<Vec<Duration>> {
        let images = pictures(classifier, case.batch_size, case.size, &self.device);
        let mut times = Vec::with_capacity(self.runs);
        for run in 0..WARM_UP + self.runs {
            let images = images.clone();
            let started = Instant::now();
            workers.install(|| predict(classifier, images))?;
            let time = started.elapsed();
            if run >= WARM_UP {
                times.push(time);
            }
            self.progress.advance(case.batch_size);
        }
        Ok(times)
    }
}

/// What the arguments ask for, in the order of the report.
fn cases(args: &BenchArgs, cores: usize, on_processor: bool, size: Size) -> Vec<Case> {
    let case = |threads, batch_size, size| Case {
        threads,
        batch_size,
        size,
    };
    let some_threads = match (on_processor, args.scaling, args.threads.as_slice()) {
        (false, ..) => vec![cores],
        // Every number up to four, doubled from there on, and all.
        (true, true, _) => (1..cores)
            .filter(|&threads| threads <= 4 || threads.is_power_of_two())
            .chain([cores])
            .collect(),
        (true, false, []) => vec![1, cores],
        (true, false, threads) => threads.iter().map(|&threads| threads.into()).collect(),
    };
    let mut cases: Vec<Case> = if args.scaling {
        let batches = SCALING_BATCHES.map(|batch_size| case(cores, batch_size, size));
        let threads = some_threads.iter().map(|&threads| case(threads, 1, size));
        let sizes = SCALING_SIDES.map(|side| {
            let square = Size {
                height: side,
                width: side,
            };
            case(cores, 1, square)
        });
        batches.into_iter().chain(threads).chain(sizes).collect()
    } else {
        let batches = |threads| args.batch_size.iter().map(move |&batch| case(threads, batch, size));
        some_threads.into_iter().flat_map(batches).collect()
    };
    let mut seen = Vec::with_capacity(cases.len());
    cases.retain(|case| {
        let new = !seen.contains(case);
        seen.push(*case);
        new
    });
    cases
}

fn pool(threads: usize) -> anyhow::Result<ThreadPool> {
    ThreadPoolBuilder::new()
        .num_threads(threads)
        .build()
        .with_context(|| format!("cannot start {threads} threads"))
}

/// A batch of made-up pictures, -1 to 1.
fn pictures(classifier: &Classifier, batch_size: usize, size: Size, device: &Device) -> Tensor<4> {
    let shape = [
        batch_size,
        classifier.network().graph().in_channels(),
        size.height,
        size.width,
    ];
    let values: Vec<f32> = (0..shape.iter().product::<usize>())
        .map(|index| (index * 37 % 255) as f32 / 127.5 - 1.0)
        .collect();
    Tensor::from_data(TensorData::new(values, shape), device)
}

/// Logits, or the features of a network without classifier, in the processor's memory.
fn predict(classifier: &Classifier, images: Tensor<4>) -> anyhow::Result<TensorData> {
    let output = if classifier.network().has_top() {
        classifier.logits(images)?
    } else {
        classifier.embed(images)?
    };
    Ok(output.into_data())
}

/// What the pool's threads reach at once; measured once for every number of them.
fn limit<'a>(limits: &'a mut Vec<Limit>, threads: usize, workers: &ThreadPool) -> &'a Limit {
    let index = limits
        .iter()
        .position(|limit| limit.threads == threads)
        .unwrap_or_else(|| {
            let isa = Isa::detect();
            limits.push(Limit {
                threads,
                flops_per_second: workers.broadcast(|_| kernels::peak(isa)).iter().sum(),
            });
            limits.len() - 1
        });
    &limits[index]
}

/// The processor's name, where Linux says.
fn processor() -> Option<String> {
    let text = std::fs::read_to_string("/proc/cpuinfo").ok()?;
    let line = text.lines().find(|line| line.starts_with("model name"))?;
    Some(line.split_once(':')?.1.trim().to_owned())
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

    #[test]
    fn a_limit_is_measured_once() {
        let mut limits = Vec::new();
        let pool = pool(2).unwrap();
        let first = limit(&mut limits, 2, &pool).flops_per_second;
        assert!(first > 0.0);
        assert_eq!(limit(&mut limits, 2, &pool).flops_per_second.to_bits(), first.to_bits());
        assert_eq!(limits.len(), 1);
    }
}
