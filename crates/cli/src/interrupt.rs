//! Ctrl-C and SIGTERM.

use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicU8, Ordering};
use std::sync::{Mutex, PoisonError};

use anyhow::Context;
use burn::train::Interrupter;
use signal_hook::consts::{SIGINT, SIGTERM, SIGXFSZ};
use signal_hook::iterator::Signals;
use signal_hook::low_level;

use crate::io::message;

/// The training that a signal stops, if one runs.
static TRAINING: Mutex<Option<Training>> = Mutex::new(None);

/// Whether the training has work that is in no file yet.
static UNSAVED: AtomicBool = AtomicBool::new(false);

/// A training in progress.
struct Training {
    interrupter: Interrupter,
    folder: PathBuf,
}

/// The signal that stopped the training; 0 if none did.
static RECEIVED: AtomicU8 = AtomicU8::new(0);

/// Listens for Ctrl-C and SIGTERM, which end the program at once: its temporary files are removed, and the exit status
/// is that of shells, 130 and 143. Unsaved work of a training is saved first; a second signal ends it at once.
///
/// A file larger than the limit of `ulimit -f` sends a signal as well, which would end the program without a word. The
/// signal is ignored, so that writing the file fails with an error.
pub fn listen() -> anyhow::Result<()> {
    let mut signals = Signals::new([SIGINT, SIGTERM, SIGXFSZ]).context("cannot listen for Ctrl-C")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if signal != SIGXFSZ && !stop_training(signal) {
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

/// From now on the first signal asks this training to save its work, where it has [unsaved](set_unsaved) work.
pub fn save_first(interrupter: &Interrupter, folder: &Path) {
    *training() = Some(Training {
        interrupter: interrupter.clone(),
        folder: folder.to_owned(),
    });
}

/// Says whether the training has work that would be lost if the program ended.
pub fn set_unsaved(unsaved: bool) {
    UNSAVED.store(unsaved, Ordering::Relaxed);
}

/// The signal that stopped the training, if one did.
pub fn received() -> Option<u8> {
    match RECEIVED.load(Ordering::Relaxed) {
        0 => None,
        signal => Some(signal),
    }
}

/// Asks the training to stop, if there is one that has something to save and has not been asked yet.
fn stop_training(signal: i32) -> bool {
    let training = training();
    let Some(Training { interrupter, folder }) =
        training.as_ref().filter(|training| !training.interrupter.should_stop())
    else {
        return false;
    };
    if !UNSAVED.load(Ordering::Relaxed) {
        let advice = format!("continue with: xception train --resume {}", folder.display());
        message::print("stopped", &advice);
        return false;
    }
    message::print("stopping", "the step is finished and saved; press again to end at once");
    RECEIVED.store(u8::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
    interrupter.stop(Some("interrupted"));
    true
}

fn training() -> std::sync::MutexGuard<'static, Option<Training>> {
    TRAINING.lock().unwrap_or_else(PoisonError::into_inner)
}
