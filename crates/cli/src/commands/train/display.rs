//! The terminal during a training: a bar for the work in progress, and lines above it for what is done, on standard
//! error. Where standard error is no terminal, a line per minute stands for the bar.

use std::io::{self, IsTerminal};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use indicatif::{ProgressBar, ProgressStyle};
use trainer::report::duration;
use unicode_width::UnicodeWidthStr;

use crate::io::wrap::COLUMNS;

/// The time between two lines where there is no terminal.
const LINE_EVERY: Duration = Duration::from_mins(1);
/// Bars are redrawn so often, also while a step takes long.
const TICK: Duration = Duration::from_millis(500);
/// Columns of a bar, as in its template.
const BAR: usize = 10;
/// Columns of the spinner, and of the blanks and signs between the parts of the template.
const FRAME: usize = 8;
/// The shortest time, in seconds, from which the remaining time is estimated.
const SHORTEST: f64 = 1.0;

/// Shows what a run does.
pub struct Display {
    state: Mutex<State>,
    /// Whether Burn's dashboard has the terminal.
    silent: bool,
    terminal: bool,
}

struct State {
    work: Option<Work>,
    /// The seconds of the run after the work in progress, where they can be known.
    after: Option<f64>,
    /// When the last line was written.
    last_line: Instant,
}

/// Work in progress.
struct Work {
    name: String,
    since: Instant,
    /// How much was done already when it started.
    from: usize,
    /// Its time in seconds, measured before it started.
    expected: Option<f64>,
    bar: ProgressBar,
}

impl Display {
    pub fn new(silent: bool) -> Self {
        Self {
            state: Mutex::new(State {
                work: None,
                after: None,
                last_line: Instant::now(),
            }),
            silent,
            terminal: io::stderr().is_terminal(),
        }
    }

    /// Removes the bar.
    pub fn clear(&self) {
        if let Some(work) = self.state().work.take() {
            work.bar.finish_and_clear();
        }
    }

    /// Writes a line above the bar.
    pub fn print(&self, text: &str) {
        if self.silent {
            return;
        }
        let mut state = self.state();
        state.last_line = Instant::now();
        match &state.work {
            Some(work) => work.bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    /// Removes the bar and writes a line.
    pub fn print_last(&self, text: &str) {
        self.clear();
        self.print(text);
    }

    /// Says how long the run takes after the work that is shown from now on.
    pub fn set_after(&self, seconds: Option<f64>) {
        self.state().after = seconds;
    }

    /// Shows that `done` of `total` pictures are checked. Draws every tenth picture only, because several threads check
    /// hundreds of pictures per second.
    pub fn check(&self, done: usize, total: usize) {
        if done.is_multiple_of(10) || done == total {
            self.advance("checking the pictures", None, (done, total), "");
        }
    }

    /// Shows `done` of `total` of a work by its name, and a detail. `expected` is its whole time in seconds, if that
    /// was measured before.
    pub fn advance(&self, name: &str, expected: Option<f64>, (done, total): (usize, usize), detail: &str) {
        if self.silent {
            return;
        }
        let mut state = self.state();
        if state.work.as_ref().is_none_or(|work| work.name != name) {
            if let Some(work) = state.work.take() {
                work.bar.finish_and_clear();
            }
            state.work = Some(Work::start(name, expected, (done, total)));
        }
        let Some(work) = &state.work else { return };
        work.bar.set_length(total as u64);
        work.bar.set_position(done as u64);
        let room = COLUMNS.saturating_sub(name.width() + BAR + 2 * total.to_string().len() + FRAME);
        let text = message(detail, work.left(done, total), state.after, room);
        work.bar.set_message(text.clone());
        if !self.terminal && state.last_line.elapsed() >= LINE_EVERY {
            eprintln!("{name}: {done} of {total}  {text}");
            state.last_line = Instant::now();
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The detail and the times, as far as they fit into so many columns: the whole run's time stays longest.
fn message(detail: &str, work: Option<f64>, after: Option<f64>, room: usize) -> String {
    let of_run = left(None, after.map(|after| after + work.unwrap_or(0.0)));
    let joined = |parts: [&str; 2]| {
        let parts: Vec<&str> = parts.into_iter().filter(|part| !part.is_empty()).collect();
        parts.join("  ")
    };
    let both = left(work, after);
    let shortest = if of_run.is_empty() { &both } else { &of_run };
    [joined([detail, &both]), joined([detail, shortest]), both.clone()]
        .into_iter()
        .find(|text| text.width() <= room)
        .unwrap_or_else(|| shortest.clone())
}

/// The seconds that are left of the work in progress, and of the whole run.
fn left(work: Option<f64>, after: Option<f64>) -> String {
    let run = after
        .map(|after| after + work.unwrap_or(0.0))
        .filter(|run| *run >= SHORTEST);
    match (work, run) {
        (Some(work), Some(run)) => format!("{} left, run {}", duration(work), duration(run)),
        (Some(work), None) => format!("{} left", duration(work)),
        (None, Some(run)) => format!("run {} left", duration(run)),
        (None, None) => String::new(),
    }
}

impl Work {
    fn start(name: &str, expected: Option<f64>, (done, total): (usize, usize)) -> Self {
        let style = ProgressStyle::with_template("{spinner} {prefix}  {bar:10} {pos}/{len}  {msg}")
            .unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::new(total as u64)
            .with_style(style)
            .with_prefix(name.to_owned());
        bar.enable_steady_tick(TICK);
        Self {
            name: name.to_owned(),
            since: Instant::now(),
            from: done,
            expected,
            bar,
        }
    }

    /// The seconds that are left; `None` before that can be known.
    fn left(&self, done: usize, total: usize) -> Option<f64> {
        let seconds = self.since.elapsed().as_secs_f64();
        let (worked, rest) = (done.saturating_sub(self.from) as f64, total.saturating_sub(done) as f64);
        let left = if worked > 0.0 && seconds >= SHORTEST {
            seconds / worked * rest
        } else {
            self.expected? * rest / total.max(1) as f64
        };
        (left >= SHORTEST).then_some(left)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rest_of_the_run_stands_behind_that_of_the_work() {
        for (work, after, text) in [
            (Some(5.0), Some(70.0), "5 s left, run 1 min 15 s"),
            (Some(5.0), None, "5 s left"),
            (None, Some(70.0), "run 1 min 10 s left"),
            (None, Some(0.2), ""),
            (None, None, ""),
        ] {
            assert_eq!(left(work, after), text);
        }
    }

    #[test]
    fn a_narrow_terminal_leaves_parts_out() {
        let shown = |room| message("loss 0.708", Some(5.0), Some(70.0), room);
        assert_eq!(shown(40), "loss 0.708  5 s left, run 1 min 15 s");
        assert_eq!(shown(32), "loss 0.708  run 1 min 15 s left");
        assert_eq!(shown(25), "5 s left, run 1 min 15 s");
        assert_eq!(shown(20), "run 1 min 15 s left");
        assert_eq!(message("", Some(5.0), None, 3), "5 s left");
        assert_eq!(message("loss 0.708", None, None, 40), "loss 0.708");
    }
}
