//! The threads of the processor backends.

use std::num::NonZero;

use anyhow::Context;

use crate::io::message;

/// The number of threads that run at once on this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Starts the pool in which the processor backends compute, by default with a thread for each core. More threads than
/// that only get in each other's way, and are not started. Returns the number of threads.
pub fn start(threads: Option<u16>) -> anyhow::Result<usize> {
    let cores = cores();
    let threads = match threads.map(usize::from) {
        None => cores,
        Some(asked) => {
            let threads = asked.min(cores);
            if threads < asked {
                message::print(
                    "warning",
                    &format!("--threads {asked}: {threads} are used, since this machine runs no more at once"),
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
