//! The threads of the processor backends.

use std::num::NonZero;

use anyhow::Context;

use crate::io::message;

/// The number of threads that run at once on this machine.
pub fn cores() -> usize {
    std::thread::available_parallelism().map_or(1, NonZero::get)
}

/// As many threads as were asked for, or as run at once: more only get in each other's way, and a warning says so.
pub fn limited(asked: u16) -> usize {
    let (asked, cores) = (usize::from(asked), cores());
    if asked > cores {
        message::print(
            "warning",
            &format!("--threads {asked}: {cores} are used, since this machine runs no more at once"),
        );
    }
    asked.min(cores)
}

/// Starts the pool in which the processor backends compute, by default with a thread for each core. Returns the number
/// of threads.
pub fn start(threads: Option<u16>) -> anyhow::Result<usize> {
    let threads = match threads {
        None => cores(),
        Some(asked) => {
            let threads = limited(asked);
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
