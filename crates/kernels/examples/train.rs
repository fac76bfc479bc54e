//! The products of a training step, layer by layer: the least time in milliseconds, and the share of the machine's
//! peak, by the clock and by the processor time of all threads, which other programs disturb less.
//!
//! ```sh
//! cargo run --release --example train -- [threads] [seconds] [part of a layer's name] [part of a product's name]
//! ```

use std::time::{Duration, Instant};

use kernels::train::{Convolution, Depthwise, Geometry, MapInput, MapPart, Reads, Transform};
use kernels::{Error, Isa, Padding, peak};
use rayon::ThreadPoolBuilder;

const BATCH: usize = 8;

/// Name, geometry, whether it is depthwise.
type Layer = (&'static str, Geometry, bool);

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let threads: usize = arguments.next().map_or(Ok(2), |text| text.parse())?;
    let seconds: f64 = arguments.next().map_or(Ok(0.3), |text| text.parse())?;
    let wanted = arguments.next().unwrap_or_default();
    let product = arguments.next().unwrap_or_default();
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;
    let isa = Isa::detect();
    let limit = peak(isa) * threads as f64;
    println!("{}, {threads} threads, peak {:.1} GFLOP/s", isa.name(), limit / 1e9);
    println!(
        "{:<26}{:>8}{:>28}{:>28}{:>28}",
        "layer", "GFLOP", "forward", "inputs", "weights"
    );
    for (name, size, inputs, outputs) in UNITS {
        if name.contains(&wanted) {
            pool.install(|| unit(name, [size, inputs, outputs], isa, seconds, limit))?;
        }
    }
    for (name, geometry, depthwise) in layers() {
        if !name.contains(&wanted) {
            continue;
        }
        let (work, times) = pool.install(|| measure(&geometry, depthwise, isa, seconds, &product))?;
        print!("{name:<26}{:>8.3}", work / 1e9);
        for [least, processor] in times {
            let [wall, own] = [least, processor].map(|seconds| 100.0 * work / seconds / limit);
            print!("{:>12.3}{wall:>7.1}%{own:>7.1}%", least * 1e3);
        }
        println!();
    }
    Ok(())
}

/// Floating-point operations of a product; for each product the least seconds, and the processor's seconds per thread.
fn measure(
    geometry: &Geometry,
    depthwise: bool,
    isa: Isa,
    seconds: f64,
    product: &str,
) -> Result<(f64, Vec<[f64; 2]>), Error> {
    let time = |name: &str, work: &mut dyn FnMut() -> Result<(), Error>| {
        if name.contains(product) {
            time(seconds, work)
        } else {
            Ok([f64::NAN; 2])
        }
    };
    let [height, width] = geometry.output_size()?;
    let pixels = BATCH * geometry.size[0] * geometry.size[1];
    let outputs = BATCH * height * width;
    let taps = geometry.kernel[0] * geometry.kernel[1];
    let inputs = if depthwise { 1 } else { geometry.inputs };
    let input = numbers(pixels * geometry.inputs);
    let weights = numbers(geometry.outputs * inputs * taps);
    let gradient = numbers(outputs * geometry.outputs);
    let [mut output, mut input_gradient, mut weight_gradient] =
        [&gradient, &input, &weights].map(|like| vec![0.0; like.len()]);
    let mut times = Vec::new();
    if depthwise {
        let op = Depthwise::new(geometry, isa)?;
        times.push(time("forward", &mut || op.forward(&input, &weights, &mut output))?);
        times.push(time("inputs", &mut || {
            op.input_gradient(&weights, &gradient, &mut input_gradient)
        })?);
        times.push(time("weights", &mut || {
            op.weight_gradient(&input, &gradient, &mut weight_gradient)
        })?);
    } else {
        let op = Convolution::new(geometry, isa)?;
        times.push(time("forward", &mut || op.forward(&input, &weights, &mut output))?);
        times.push(time("inputs", &mut || {
            op.input_gradient(&weights, &gradient, &mut input_gradient)
        })?);
        times.push(time("weights", &mut || {
            op.weight_gradient(&input, &gradient, &mut weight_gradient)
        })?);
    }
    Ok((2.0 * (outputs * geometry.outputs * inputs * taps) as f64, times))
}

/// Separable convolutions: name, height and width, channels of the input and of the output.
const UNITS: [(&str, usize, usize, usize); 13] = [
    ("unit 147 64>128", 147, 64, 128),
    ("unit 147 128>128", 147, 128, 128),
    ("unit 74 256>256", 74, 256, 256),
    ("unit 19 728>728", 19, 728, 728),
    ("unit 10 1536>2048", 10, 1536, 2048),
    ("@150 unit 72 64>128", 72, 64, 128),
    ("@150 unit 72 128>128", 72, 128, 128),
    ("@150 unit 36 256>256", 36, 256, 256),
    ("@150 unit 18 728>728", 18, 728, 728),
    ("@150 unit 9 728>728", 9, 728, 728),
    ("@150 unit 9 728>1024", 9, 728, 1024),
    ("@150 unit 5 1024>1536", 5, 1024, 1536),
    ("@150 unit 5 1536>2048", 5, 1536, 2048),
];

/// A separable convolution with a whole map between its halves, and with a fleeting one: forward, and the pointwise
/// half's weight gradient with the map computed again.
fn unit(name: &str, [size, inputs, outputs]: [usize; 3], isa: Isa, seconds: f64, limit: f64) -> Result<(), Error> {
    let depthwise = same(size, inputs, inputs, 3, 1);
    let pointwise = same(size, inputs, outputs, 1, 1);
    let pixels = BATCH * size * size;
    let (first, second) = (Depthwise::new(&depthwise, isa)?, Convolution::new(&pointwise, isa)?);
    let (input, taps, weights) = (numbers(pixels * inputs), numbers(inputs * 9), numbers(inputs * outputs));
    let (mut between, mut output) = (vec![0.0; pixels * inputs], numbers(pixels * outputs));
    let mut gradient = vec![0.0; weights.len()];
    let transform = Transform { norm: None, relu: true };
    let make = |part: MapPart<'_>| {
        if let Err(error) = first.forward_part(&transform, &input, &taps, part) {
            unreachable!("{error}");
        }
    };
    let reads = Reads {
        values: &input,
        beyond: size * inputs,
    };
    let times = [
        time(seconds, &mut || {
            first.forward_of(&transform, &input, &taps, &mut between)?;
            second.forward(&between, &weights, &mut output)
        })?,
        time(seconds, &mut || {
            second.forward_of(MapInput::Fleeting(&make, reads), &weights, &mut output, None)
        })?,
        time(seconds, &mut || {
            first.forward_of(&transform, &input, &taps, &mut between)?;
            second.weight_gradient(&between, &output, &mut gradient)
        })?,
        time(seconds, &mut || {
            second.weight_gradient_of(MapInput::Fleeting(&make, reads), &output, &mut gradient)
        })?,
    ];
    let work = 2.0 * (pixels * inputs * (outputs + 9)) as f64;
    print!("{name:<26}{:>8.3}  whole, fleeting:", work / 1e9);
    for [least, processor] in times {
        let [wall, own] = [least, processor].map(|seconds| 100.0 * work / seconds / limit);
        print!("{:>12.3}{wall:>7.1}%{own:>7.1}%", least * 1e3);
    }
    println!();
    Ok(())
}

fn time(seconds: f64, work: &mut dyn FnMut() -> Result<(), Error>) -> Result<[f64; 2], Error> {
    work()?;
    let (begin, used) = (Instant::now(), processor_seconds());
    let (mut least, mut count) = (f64::INFINITY, 0);
    while count == 0 || begin.elapsed() < Duration::from_secs_f64(seconds) {
        let start = Instant::now();
        work()?;
        least = least.min(start.elapsed().as_secs_f64());
        count += 1;
    }
    let used = (processor_seconds() - used) / (count * rayon::current_num_threads()) as f64;
    Ok([least, used])
}

/// Processor time of this process's threads; not a number where the system does not tell.
fn processor_seconds() -> f64 {
    // The first number of `schedstat`: nanoseconds on a processor, up to the last tick.
    let threads = std::fs::read_dir("/proc/self/task").ok();
    let times = threads.map(|threads| {
        let files = threads.flatten().map(|thread| thread.path().join("schedstat"));
        let texts = files.filter_map(|file| std::fs::read_to_string(file).ok());
        texts
            .filter_map(|text| text.split_whitespace().next()?.parse::<f64>().ok())
            .sum::<f64>()
    });
    times.map_or(f64::NAN, |nanoseconds| nanoseconds / 1e9)
}

/// Small numbers of both signs, the same on every machine.
fn numbers(count: usize) -> Vec<f32> {
    (0..count)
        .map(|index| ((index * 37 + index / 11 * 13) % 101) as f32 / 1010.0 - 0.05)
        .collect()
}

fn same(size: usize, inputs: usize, outputs: usize, kernel: usize, stride: usize) -> Geometry {
    Geometry {
        batch: BATCH,
        size: [size; 2],
        inputs,
        outputs,
        kernel: [kernel; 2],
        stride: [stride; 2],
        dilation: [1; 2],
        padding: Padding::Same,
    }
}

fn layers() -> Vec<Layer> {
    let layer = same;
    let valid = |geometry| Geometry {
        padding: Padding::VALID,
        ..geometry
    };
    vec![
        ("conv1 299 3>32 /2", valid(layer(299, 3, 32, 3, 2)), false),
        ("conv2 149 32>64", valid(layer(149, 32, 64, 3, 1)), false),
        ("pw 147 64>128", layer(147, 64, 128, 1, 1), false),
        ("pw 147 128>128", layer(147, 128, 128, 1, 1), false),
        ("short 147 64>128 /2", layer(147, 64, 128, 1, 2), false),
        ("pw 74 128>256", layer(74, 128, 256, 1, 1), false),
        ("pw 74 256>256", layer(74, 256, 256, 1, 1), false),
        ("short 74 128>256 /2", layer(74, 128, 256, 1, 2), false),
        ("pw 37 256>728", layer(37, 256, 728, 1, 1), false),
        ("pw 37 728>728", layer(37, 728, 728, 1, 1), false),
        ("short 37 256>728 /2", layer(37, 256, 728, 1, 2), false),
        ("pw 19 728>728", layer(19, 728, 728, 1, 1), false),
        ("pw 19 728>1024", layer(19, 728, 1024, 1, 1), false),
        ("short 19 728>1024 /2", layer(19, 728, 1024, 1, 2), false),
        ("pw 10 728>728", layer(10, 728, 728, 1, 1), false),
        ("pw 10 1024>1536", layer(10, 1024, 1536, 1, 1), false),
        ("pw 10 1536>2048", layer(10, 1536, 2048, 1, 1), false),
        ("pw 5 1024>1536", layer(5, 1024, 1536, 1, 1), false),
        ("pw 5 1536>2048", layer(5, 1536, 2048, 1, 1), false),
        ("dw 147 64", layer(147, 64, 64, 3, 1), true),
        ("dw 147 128", layer(147, 128, 128, 3, 1), true),
        ("dw 74 256", layer(74, 256, 256, 3, 1), true),
        ("dw 37 728", layer(37, 728, 728, 3, 1), true),
        ("dw 19 728", layer(19, 728, 728, 3, 1), true),
        ("dw 10 1536", layer(10, 1536, 1536, 3, 1), true),
        ("@150 conv1 150 3>32 /2", valid(layer(150, 3, 32, 3, 2)), false),
        ("@150 conv2 74 32>64", valid(layer(74, 32, 64, 3, 1)), false),
        ("@150 pw 72 64>128", layer(72, 64, 128, 1, 1), false),
        ("@150 pw 72 128>128", layer(72, 128, 128, 1, 1), false),
        ("@150 pw 36 128>256", layer(36, 128, 256, 1, 1), false),
        ("@150 pw 36 256>256", layer(36, 256, 256, 1, 1), false),
        ("@150 pw 18 256>728", layer(18, 256, 728, 1, 1), false),
        ("@150 pw 18 728>728", layer(18, 728, 728, 1, 1), false),
        ("@150 pw 9 728>728", layer(9, 728, 728, 1, 1), false),
        ("@150 pw 9 728>1024", layer(9, 728, 1024, 1, 1), false),
        ("@150 pw 5 1024>1536", layer(5, 1024, 1536, 1, 1), false),
        ("@150 pw 5 1536>2048", layer(5, 1536, 2048, 1, 1), false),
        ("resnet 56 64 3x3", layer(56, 64, 64, 3, 1), false),
        ("resnet 14 256 3x3", layer(14, 256, 256, 3, 1), false),
        ("resnet 28>14 256 3x3 /2", layer(28, 256, 256, 3, 2), false),
    ]
}
