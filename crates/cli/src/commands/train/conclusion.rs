//! The end of a training.

use std::io::Write;
use std::path::Path;

use trainer::Outcome;

use crate::exit::ExitStatus;
use crate::io::message;
use crate::io::output::Output;

/// Reports how the training ended; `signal` is the one that stopped it.
pub fn conclude(folder: &Path, outcome: &Outcome, signal: Option<u8>) -> anyhow::Result<ExitStatus> {
    let step = outcome.progress.step;
    if !outcome.complete {
        message::print(
            "stopped",
            &format!(
                "after step {step}; continue with: xception train --resume {}",
                folder.display()
            ),
        );
        return Ok(match signal {
            None => ExitStatus::Incomplete,
            Some(signal) => ExitStatus::Interrupted { signal },
        });
    }
    if outcome.time_up {
        message::print(
            "time is up",
            &format!(
                "after step {step}: these are the best weights so far; to continue with more time: xception train \
                 --resume {}",
                folder.display()
            ),
        );
    }
    print_result(folder, outcome)?;
    Ok(ExitStatus::Complete)
}

fn print_result(folder: &Path, outcome: &Outcome) -> anyhow::Result<()> {
    let mut output = Output::stdout();
    if let Some((split, evaluation)) = &outcome.evaluation {
        let percent = 100.0 * evaluation.accuracy();
        writeln!(
            output,
            "{split:<8} {percent:.1} % of {} pictures right",
            evaluation.pictures
        )?;
    }
    let report = folder.join("report.html");
    if report.exists() {
        writeln!(output, "report   {}", report.display())?;
    }
    writeln!(output, "weights  {}", folder.join("model.bpk").display())?;
    writeln!(
        output,
        "use      xception classify PICTURE --weights {}",
        folder.display()
    )?;
    output.finish()
}
