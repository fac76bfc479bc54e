//! The threads of the processor backends.

use std::num::NonZero;

use anyhow::Context;

use crate::io::message;

/// The number of threads that run at once on this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Starts the pool in which the processor backends compute, by default with a thread for each core, or as many as
/// `RAYON_NUM_THREADS` says. More threads than cores only get in each other's way, and are not started. Returns the
/// number of threads.
pub fn start(threads: Option<u16>) -> anyhow::Result<usize> {
    let cores = cores();
    let asked = match threads {
        Some(threads) => Some(("--threads ", usize::from(threads))),
        None => from_environment().map(|threads| ("RAYON_NUM_THREADS=", threads)),
    };
    let threads = match asked {
        None => cores,
        Some((place, asked)) => {
            let threads = asked.min(cores);
            if threads < asked {
                message::print(
                    "warning",
                    &format!("{place}{asked}: {threads} are used, since this machine runs no more at once"),
                );
            }
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()
                .with_context(|| format!("cannot start {threads} threads"))?;
            threads
        }
    };
    tracing::info!(threads = rayon::current_num_threads(), "threads of the network");
    Ok(threads)
}

/// The number that `rayon` would start by itself.
fn from_environment() -> Option<usize> {
    let threads = std::env::var("RAYON_NUM_THREADS").ok()?.parse().ok()?;
    (threads > 0).then_some(threads)
}
