//! The time of every layer of a network, and its share of the machine's peak.
//!
//! ```sh
//! cargo run --release --example layers -- [threads] [runs] [xception | resnet50 | mobilenet | vgg16 | inception_v3]
//! ```

#[path = "common/head.rs"]
mod head;
#[path = "common/inception_v3.rs"]
mod inception_v3;
#[path = "common/mobilenet.rs"]
mod mobilenet;
#[path = "common/resnet50.rs"]
mod resnet50;
#[path = "common/vgg16.rs"]
mod vgg16;
#[path = "common/xception.rs"]
mod xception;

use std::time::{Duration, Instant};

use kernels::{Error, Isa, Network, Value, peak};
use rayon::ThreadPoolBuilder;

/// Adds the layers to an empty network; gives their names and the logits.
type Builder = fn(Network, &[f32]) -> Result<(Network, Vec<String>, Value), Error>;

fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let mut number = |default: usize| arguments.next().map_or(Ok(default), |text| text.parse());
    let threads = number(std::thread::available_parallelism()?.get())?;
    let runs = number(20)?.max(1);
    let (build, size): (Builder, usize) = match arguments.next().as_deref() {
        None | Some("xception") => (xception::xception, 299),
        Some("resnet50") => (resnet50::resnet50, 224),
        Some("mobilenet") => (mobilenet::mobilenet, 224),
        Some("vgg16") => (vgg16::vgg16, 224),
        Some("inception_v3") => (inception_v3::inception_v3, 299),
        Some(name) => {
            return Err(format!("no network {name}: xception, resnet50, mobilenet, vgg16 or inception_v3").into());
        }
    };
    let pool = ThreadPoolBuilder::new().num_threads(threads).build()?;

    let isa = Isa::detect();
    let start = Instant::now();
    let (network, names, logits) = pool.install(|| {
        let numbers: Vec<f32> = weights(2048 * 1536).collect();
        build(Network::new(3, isa)?, &numbers)
    })?;
    println!(
        "{}, {threads} threads, built and packed in {:.0?}",
        isa.name(),
        start.elapsed()
    );

    let limit = peak(isa) * threads as f64;
    let picture: Vec<f32> = weights(3 * size * size).collect();
    let mut output = [0.0; 1000];
    let mut best = vec![Duration::MAX; names.len()];
    let mut totals = Vec::new();
    for _ in 0..runs {
        let start = Instant::now();
        pool.install(|| network.run(&picture, [1, size, size], &mut [(logits, &mut output)]))?;
        totals.push(start.elapsed());
        let shares = pool.install(|| network.profile(&picture, [1, size, size], &mut [(logits, &mut output)]))?;
        for (best, share) in best.iter_mut().zip(shares) {
            *best = share.min(*best);
        }
    }
    totals.sort_unstable();

    println!(
        "{:<22}{:>10}{:>10}{:>10}{:>10}",
        "layer", "GFLOP", "ms", "GFLOP/s", "of peak"
    );
    let multiplications = network.multiplications([size; 2])?;
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
        "whole picture: median {:.1} ms, least {:.1} ms; in registers alone it would be {:.1} ms at {:.1} GFLOP/s: \
         {:.3} and {:.3} times",
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
