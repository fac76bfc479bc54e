//! The threads of the processor backends.

use std::num::NonZero;

use anyhow::Context;

/// The number of threads that run at once on this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// Starts the pool in which the processor backends compute, by default with a thread for each core. Returns the number
/// of threads.
pub fn start(threads: Option<u16>) -> anyhow::Result<usize> {
    let threads = match threads.map(usize::from) {
        None => cores(),
        Some(threads) => {
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
