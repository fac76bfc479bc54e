//! `xception bench`: how fast this machine is.

mod cases;
mod limit;
mod load;
pub mod machine;
mod measure;
mod memory;
mod report;
mod row;
mod table;
mod train;

use std::time::Instant;

use burn::tensor::Device;
use xception_model::{Classifier, Known, ModelSpec, Network, Outputs};

use self::cases::cases;
use self::load::Load;
use self::machine::Machine;
use self::measure::{Bench, WARM_UP};
use self::report::Report;
use self::row::Implementation;
use crate::args::{self, BenchArgs, ListFormat, Size};
use crate::exit::ExitStatus;
use crate::io::output::Output;
use crate::io::progress::Progress;
use crate::io::{json, message};
use crate::weights::{check, network};

/// The seed of the random weights, which are the same in every run.
const SEED: u64 = 299;

pub fn bench(args: &BenchArgs) -> anyhow::Result<ExitStatus> {
    let on_processor = args.device.uses_rayon();
    if !on_processor && !args.threads.is_empty() {
        args::wrong_usage(format_args!("--threads means nothing on device {}", args.device));
    }
    let device = args.device.open()?;

    let started = Instant::now();
    let (network, spec) = load(args, &device)?;
    let loading = started.elapsed();
    if args.train {
        train::bench(args, &network, &spec, &device)?;
        return Ok(ExitStatus::Complete);
    }
    let mut report = report(args, &network, &spec)?;
    let [_, height, width] = report.input;
    let cases = cases(args, report.machine.cores, on_processor, Size { height, width });
    let mut bench = Bench {
        progress: progress(args, cases.iter().map(|case| case.batch_size).sum()),
        cases,
        runs: args.runs().into(),
        on_processor,
        device,
        report: &mut report,
    };
    let started = Instant::now();
    let fused = Classifier::new(&network, spec);
    // The peak memory must not include the tensors that only the plain network needs.
    drop(network);
    let load = Load::start();
    bench.measure(Implementation::Fused, &fused, loading + started.elapsed())?;
    if args.plain {
        bench.measure(Implementation::Plain, &fused.plain(), loading)?;
    }
    drop(bench);
    report.others = load.others(report.machine.cores);

    let mut output = Output::stdout();
    match args.format {
        ListFormat::Text => table::write(&mut output, &report)?,
        ListFormat::Json => json::write(&mut output, &report)?,
    }
    output.finish()?;
    for problem in report.warnings() {
        message::print("warning", &problem);
    }
    Ok(ExitStatus::Complete)
}

/// The network of `--weights`, or one with random weights: the time of a convolution does not depend on the weights.
fn load(args: &BenchArgs, device: &Device) -> anyhow::Result<(Network, ModelSpec)> {
    if let Some(weights) = &args.weights {
        let known = Known {
            size: args.size.map(|size| [size.height, size.width]),
            ..Known::default()
        };
        let (network, spec) = network::load_for_tensors(weights, &known, &args.cache, device)?;
        check::has_classifier(weights, &network)?;
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

/// The report before anything is measured.
fn report(args: &BenchArgs, network: &Network, spec: &ModelSpec) -> anyhow::Result<Report> {
    let size = args.size.unwrap_or(Size {
        height: spec.input.height,
        width: spec.input.width,
    });
    Ok(Report {
        machine: Machine::with_device(args.device.to_string()),
        weights: spec.source.clone(),
        input: [network.graph().in_channels(), size.height, size.width],
        multiply_adds: network.summary(size.height, size.width)?.multiply_adds(),
        networks: Vec::new(),
        limits: Vec::new(),
        rows: Vec::new(),
        peak_memory_bytes: None,
        others: None,
    })
}

/// A bar for all pictures, of which each run of all cases takes `pictures`.
fn progress(args: &BenchArgs, pictures: usize) -> Progress {
    let implementations = if args.plain { 2 } else { 1 };
    Progress::new(pictures * (usize::from(args.runs()) + WARM_UP) * implementations)
}
