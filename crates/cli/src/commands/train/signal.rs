//! Ctrl-C.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};

use anyhow::Context;
use burn::train::Interrupter;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use crate::io::message;

/// The signal that stopped the training, if one did.
pub struct StopSignal(Arc<AtomicU8>);

impl StopSignal {
    /// Listens for Ctrl-C and SIGTERM: the first finishes the step and saves, the second ends the program at once.
    pub fn listen(interrupter: &Interrupter) -> anyhow::Result<Self> {
        let interrupter = interrupter.clone();
        let received = Arc::new(AtomicU8::new(0));
        let number = Arc::clone(&received);
        let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for Ctrl-C")?;
        std::thread::spawn(move || {
            for signal in signals.forever() {
                if interrupter.should_stop() {
                    std::process::exit(128 + signal);
                }
                message::print("stopping", "the step is finished and saved; press again to end at once");
                number.store(u8::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
                interrupter.stop(Some("interrupted"));
            }
        });
        Ok(Self(received))
    }

    pub fn number(&self) -> Option<u8> {
        match self.0.load(Ordering::Relaxed) {
            0 => None,
            number => Some(number),
        }
    }
}
