//! Where the time of an Xception of 299 x 299 goes: every layer's share, and how far it is from what the machine can do.
//!
//! ```sh
//! cargo run --release --example layers -- [threads] [runs]
//! ```

#[path = "common/xception.rs"]
mod xception;

use std::time::{Duration, Instant};

use kernels::{Isa, Network, peak};
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
    let (network, names, logits) = pool.install(|| {
        let numbers: Vec<f32> = weights(2048 * 1536).collect();
        xception::xception(Network::new(3, isa)?, &numbers)
    })?;
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
