//! Receivers of a download's messages.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Receives the messages of a download (waiting for another process, retries, a file that is downloaded again) and the
/// progress in bytes.
#[derive(Clone)]
pub struct Reporter(Target);

#[derive(Clone)]
enum Target {
    Terminal,
    Silent,
    Function(Arc<dyn Fn(&str) + Send + Sync>),
}

impl Reporter {
    /// Messages go to standard error; if it is a terminal, also a bar with bytes, speed and remaining time.
    pub fn terminal() -> Self {
        Self(Target::Terminal)
    }

    /// No messages.
    pub fn silent() -> Self {
        Self(Target::Silent)
    }

    /// Messages go to a function, for programs with their own log or window.
    pub fn to(function: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Target::Function(Arc::new(function)))
    }

    pub(super) fn say(&self, sentence: &str) {
        match &self.0 {
            // A closed standard error must not stop the download.
            Target::Terminal => drop(writeln!(io::stderr(), "{sentence}")),
            Target::Silent => {}
            Target::Function(function) => function(sentence),
        }
    }

    /// A bar for one answer. `indicatif` draws nothing if standard error is not a terminal.
    pub(super) fn bar(&self, file: &str, start: u64, total: Option<u64>) -> ProgressBar {
        let target = match self.0 {
            Target::Terminal => ProgressDrawTarget::stderr(),
            Target::Silent | Target::Function(_) => ProgressDrawTarget::hidden(),
        };
        let template = match total {
            Some(_) => "{msg} {bar:30} {bytes}/{total_bytes} {bytes_per_sec} {eta} left",
            None => "{msg} {spinner} {bytes} {bytes_per_sec}",
        };
        let style = ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar());
        let bar = ProgressBar::with_draw_target(total, target)
            .with_style(style)
            .with_finish(ProgressFinish::AndClear);
        bar.set_message(file.to_owned());
        bar.set_position(start);
        // The bytes of an earlier attempt must not count for this one's speed.
        bar.reset_eta();
        bar
    }
}

impl fmt::Debug for Reporter {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Target::Terminal => "Reporter::terminal()",
            Target::Silent => "Reporter::silent()",
            Target::Function(_) => "Reporter::to(..)",
        })
    }
}
