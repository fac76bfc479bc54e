//! The process around a training.

use std::sync::Arc;

use burn::train::Interrupter;

use crate::args::TrainArgs;
use crate::commands::train::display::Display;
use crate::commands::train::signal::StopSignal;
use crate::compute::threads;

/// Threads, signals and the terminal.
pub struct Session {
    pub threads: usize,
    pub interrupter: Interrupter,
    pub signal: StopSignal,
    pub display: Arc<Display>,
}

impl Session {
    pub fn start(args: &TrainArgs) -> anyhow::Result<Self> {
        let threads = threads::start(args.compute.threads)?;
        let interrupter = Interrupter::new();
        Ok(Self {
            threads,
            signal: StopSignal::listen(&interrupter)?,
            interrupter,
            display: Arc::new(Display::new(args.resources.dashboard)),
        })
    }
}
