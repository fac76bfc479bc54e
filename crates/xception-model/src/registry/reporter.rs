//! Who is told what happens during a fetch.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressFinish, ProgressStyle};

/// Who is told what happens during a fetch: waiting for another process, retries, a file fetched anew, and the bytes as
/// they come.
#[derive(Clone)]
pub struct Reporter(Target);

#[derive(Clone)]
enum Target {
    Terminal,
    Silent,
    Function(Arc<dyn Fn(&str) + Send + Sync>),
}

impl Reporter {
    /// Sentences to standard error; there also a bar with bytes, speed and remaining time, when it is a terminal.
    pub fn terminal() -> Self {
        Self(Target::Terminal)
    }

    /// Nobody.
    pub fn silent() -> Self {
        Self(Target::Silent)
    }

    /// Sentences to a function, for programs with a log or a window of their own.
    pub fn to(function: impl Fn(&str) + Send + Sync + 'static) -> Self {
        Self(Target::Function(Arc::new(function)))
    }

    pub(super) fn say(&self, sentence: &str) {
        match &self.0 {
            // A closed standard error is no reason to lose the download.
            Target::Terminal => drop(writeln!(io::stderr(), "{sentence}")),
            Target::Silent => {}
            Target::Function(function) => function(sentence),
        }
    }

    /// A bar for one answer. `indicatif` draws nothing when standard error is not a terminal.
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
        // The bytes of an earlier attempt must not count as this one's speed.
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
