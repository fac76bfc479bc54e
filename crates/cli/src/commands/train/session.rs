//! The process around a training.

use std::sync::Arc;

use burn::train::Interrupter;

use crate::args::TrainArgs;
use crate::commands::train::display::Display;
use crate::compute::threads;

/// Threads, the way to stop, and the terminal.
pub struct Session {
    pub threads: usize,
    pub interrupter: Interrupter,
    pub display: Arc<Display>,
}

impl Session {
    pub fn start(args: &TrainArgs) -> anyhow::Result<Self> {
        let threads = threads::start(args.compute.threads)?;
        Ok(Self {
            threads,
            interrupter: Interrupter::new(),
            display: Arc::new(Display::new(args.resources.dashboard)),
        })
    }
}
