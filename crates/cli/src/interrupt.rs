//! Ctrl-C and SIGTERM.

use std::io::{self, IsTerminal};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use burn::train::Interrupter;
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::io::message;

/// The training that a signal asks to save, if one runs.
static TRAINING: Mutex<Option<Interrupter>> = Mutex::new(None);

/// The signal that stopped the training; 0 if none did.
static RECEIVED: AtomicU8 = AtomicU8::new(0);

/// Listens for Ctrl-C and SIGTERM, which end the program at once: its temporary files are removed, and the exit status
/// is that of shells, 130 and 143. A training is saved first; a second signal ends it at once.
pub fn listen() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for Ctrl-C")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if !stop_training(signal) {
                files::remove_scratch();
                if io::stderr().is_terminal() {
                    // Behind a bar.
                    eprintln!();
                }
                low_level::exit(128 + signal);
            }
        }
    });
    Ok(())
}

/// From now on the first signal asks this training to stop, instead of ending the program.
pub fn save_first(interrupter: &Interrupter) {
    *training() = Some(interrupter.clone());
}

/// The signal that stopped the training, if one did.
pub fn received() -> Option<u8> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

/// Asks the training to stop, if there is one that has not been asked yet.
fn stop_training(signal: i32) -> bool {
    let training = training();
    let Some(interrupter) = training.as_ref().filter(|interrupter| !interrupter.should_stop()) else {
        return false;
    };
    message::print("stopping", "the step is finished and saved; press again to end at once");
    RECEIVED.store(u8::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
    interrupter.stop(Some("interrupted"));
    true
}

fn training() -> std::sync::MutexGuard<'static, Option<Interrupter>> {
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}
