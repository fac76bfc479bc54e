//! The terminal during a training: a bar, and lines above it, on standard error.

use std::sync::Mutex;

use indicatif::{ProgressBar, ProgressStyle};

/// A bar for the work in progress, and lines for what is done.
pub struct Display {
    bar: Mutex<Option<ProgressBar>>,
    /// Whether Burn's dashboard has the terminal.
    silent: bool,
}

impl Display {
    pub fn new(silent: bool) -> Self {
        Self {
            bar: Mutex::new(None),
            silent,
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    /// Writes a line above the bar.
    pub fn print(&self, text: &str) {
        if self.silent {
            return;
        }
        match self.bar.lock().ok().and_then(|bar| bar.clone()) {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Removes the bar and writes a line.
    pub fn print_last(&self, text: &str) {
        self.clear();
        self.print(text);
    }

    /// Shows that `done` of `total` pictures are checked. Draws every tenth picture only, because several threads check
    /// hundreds of pictures per second.
    pub fn check(&self, done: usize, total: usize) {
        if done.is_multiple_of(10) {
            self.advance(done, total, "checking the pictures".to_owned());
        }
    }

    /// Moves the bar to `done` of `total`.
    pub fn advance(&self, done: usize, total: usize, message: String) {
        if self.silent {
            return;
        }
        let Ok(mut bar) = self.bar.lock() else { return };
        let bar = bar.get_or_insert_with(|| {
            let style = ProgressStyle::with_template("{bar:30} {pos}/{len}  {msg}  {eta} left")
                .unwrap_or_else(|_| ProgressStyle::default_bar());
            ProgressBar::new(total as u64).with_style(style)
        });
        if bar.length() != Some(total as u64) || bar.position() > done as u64 {
            bar.reset();
            bar.set_length(total as u64);
        }
        bar.set_position(done as u64);
        bar.set_message(message);
    }
}
