//! A progress bar on standard error.

use std::fmt::Write;

use indicatif::{ProgressBar, ProgressState, ProgressStyle};

use crate::io::message;

/// How many pictures are done. Drawn on a terminal only, and only for two pictures or more.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(pictures: usize) -> Self {
        if pictures < 2 {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures  {rate}  {eta} left")
            .unwrap_or_else(|_| ProgressStyle::default_bar())
            // indicatif's own rate has ten decimals.
            .with_key("rate", |state: &ProgressState, text: &mut dyn Write| {
                let _ = write!(text, "{:.1}/s", state.per_sec());
            });
        Self(ProgressBar::new(pictures as u64).with_style(style))
    }

    /// For the check of a data set, which counts its pictures as it goes.
    pub fn checking() -> Self {
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures checked")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        Self(ProgressBar::new(0).with_style(style))
    }

    /// Shows that `done` of `total` pictures are done.
    pub fn set(&self, done: usize, total: usize) {
        self.0.set_length(total as u64);
        self.0.set_position(done as u64);
    }

    /// Counts `pictures` more.
    pub fn advance(&self, pictures: usize) {
        self.0.inc(pictures as u64);
    }

    /// Hides the bar while `write` writes to the terminal.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    /// Writes a sentence to standard error.
    pub fn message(&self, kind: &str, sentence: &str) {
        self.aside(|| message::print(kind, sentence));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
