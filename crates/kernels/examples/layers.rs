//! Where the time of an Xception of 299 x 299 goes: every layer's share, and how far it is from what the machine can do.
//!
//! ```sh
//! cargo run --release --example layers -- [threads] [runs]
//! ```

use std::time::{Duration, Instant};

use kernels::{
    Activation, Convolution, Dense, Error, GlobalPool, GlobalPoolKind, Isa, MaxPool, Network, Padding, Projection,
    Separable, Value, peak,
};
use rayon::ThreadPoolBuilder;

/// Height and width of the picture.
const SIZE: usize = 299;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let threads = number(std::thread::available_parallelism()?.get())?;
    let runs = number(20)?.max(1);
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;

    let isa = Isa::detect();
    let start = Instant::now();
    let (network, names, logits) = pool.install(|| xception(isa))?;
    println!(
        "{}, {threads} threads, built and packed in {:.0?}",
        isa.name(),
        start.elapsed()
    );

    let limit = peak(isa) * threads as f64;
    let picture: Vec<f32> = weights(3 * SIZE * SIZE).collect();
    let mut output = [0.0; 1000];
    let mut best = vec![Duration::MAX; names.len()];
    let mut totals = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        pool.install(|| network.run(&picture, [1, SIZE, SIZE], &mut [(logits, &mut output)]))?;
        totals.push(start.elapsed());
        let shares = pool.install(|| network.profile(&picture, [1, SIZE, SIZE], &mut [(logits, &mut output)]))?;
        for (best, share) in best.iter_mut().zip(shares) {
            *best = share.min(*best);
        }
    }
    totals.sort_unstable();

    println!(
        "{:<22}{:>10}{:>10}{:>10}{:>10}",
        "layer", "GFLOP", "ms", "GFLOP/s", "of peak"
    );
    let multiplications = network.multiplications([SIZE; 2])?;
    for ((name, time), count) in names.iter().zip(&best).zip(&multiplications) {
        let (operations, seconds) = (2.0 * *count as f64, time.as_secs_f64());
        let rate = operations / seconds;
        println!(
            "{name:<22}{:>10.3}{:>10.3}{:>10.1}{:>9.1}%",
            operations / 1e9,
            seconds * 1e3,
            rate / 1e9,
            100.0 * rate / limit
        );
    }
    let ideal = 2.0 * multiplications.iter().sum::<usize>() as f64 / limit;
    let [least, median] = [totals[0], totals[runs / 2]].map(|time| time.as_secs_f64());
    println!(
        "whole picture: median {:.1} ms, least {:.1} ms; in registers alone it would be {:.1} ms at {:.1} GFLOP/s: {:.3} and {:.3} times",
        median * 1e3,
        least * 1e3,
        ideal * 1e3,
        limit / 1e9,
        median / ideal,
        least / ideal
    );
    Ok(())
}

/// Small numbers of both signs, the same on every machine.
fn weights(count: usize) -> impl Iterator<Item = f32> {
    (0..count).map(|index| ((index * 37 + index / 11 * 13) % 101) as f32 / 1010.0 - 0.05)
}

/// The network with made-up weights, the names of its layers, and its logits.
fn xception(isa: Isa) -> Result<(Network, Vec<String>, Value), Error> {
    let numbers: Vec<f32> = weights(2048 * 1536).collect();
    let some = |count: usize| &numbers[..count];
    let relu = |yes| if yes { Activation::Relu } else { Activation::None };
    let mut network = Network::new(3, isa)?;
    let mut names = vec!["channels last".to_owned()];

    let mut x = network.input();
    let mut channels = 3;
    for (name, outputs, stride) in [("block1_conv1", 32, 2), ("block1_conv2", 64, 1)] {
        x = network.convolution(Convolution {
            bias: Some(some(outputs)),
            stride: [stride; 2],
            activation: Activation::Relu,
            ..Convolution::new(x, some(outputs * channels * 9), outputs, [3; 2])
        })?;
        names.push(name.to_owned());
        channels = outputs;
    }

    let blocks: [&[usize]; 13] = [
        &[128, 128],
        &[256, 256],
        &[728, 728],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728; 3],
        &[728, 1024],
        &[1536, 2048],
    ];
    for (index, widths) in blocks.into_iter().enumerate() {
        let number = index + 2;
        let (input, inputs) = (x, channels);
        let pooled = matches!(number, 2..=4 | 13);
        for (layer, &width) in widths.iter().enumerate() {
            x = network.separable(Separable {
                bias: Some(some(width)),
                residual: (layer == 2).then_some(input),
                before: relu(layer == 0 && (3..14).contains(&number)),
                after: relu(number == 14 || layer + 1 < widths.len()),
                ..Separable::new(x, some(9 * channels), some(channels * width), width)
            })?;
            names.push(format!("block{number}_sepconv{}", layer + 1));
            channels = width;
        }
        if pooled {
            x = network.max_pool(MaxPool {
                stride: [2; 2],
                padding: Padding::Same,
                projection: Some(Projection {
                    input,
                    weights: some(inputs * channels),
                    bias: Some(some(channels)),
                }),
                ..MaxPool::new(x, [3; 2])
            })?;
            names.push(format!("block{number}_pool"));
        }
    }
    let mean = network.global_pool(GlobalPool {
        input: x,
        kind: GlobalPoolKind::Average,
    })?;
    let logits = network.dense(Dense {
        bias: Some(some(1000)),
        ..Dense::new(mean, some(2048 * 1000), 1000)
    })?;
    names.extend(["avg_pool", "predictions"].map(str::to_owned));
    Ok((network, names, logits))
}
