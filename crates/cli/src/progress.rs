//! The bar on standard error.

use indicatif::{ProgressBar, ProgressStyle};

use crate::output;

/// How many pictures are done. Drawn on a terminal, nowhere else, and not for one picture.
pub struct Progress(ProgressBar);

impl Progress {
    pub fn new(pictures: usize) -> Self {
        if pictures < 2 {
            return Self(ProgressBar::hidden());
        }
        let style = ProgressStyle::with_template("{bar:30} {pos}/{len} pictures  {per_sec:>10}  {eta} left");
        let bar = ProgressBar::new(pictures as u64);
        Self(bar.with_style(style.unwrap_or_else(|_| ProgressStyle::default_bar())))
    }

    pub fn advance(&self, pictures: usize) {
        self.0.inc(pictures as u64);
    }

    /// Lifts the bar while something else is written to the terminal.
    pub fn aside<T>(&self, write: impl FnOnce() -> T) -> T {
        self.0.suspend(write)
    }

    pub fn complain(&self, kind: &str, sentence: &str) {
        self.aside(|| output::complain(kind, sentence));
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
