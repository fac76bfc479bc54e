//! The end of a training.

use std::io::{self, Write};
use std::path::Path;

use trainer::metrics::{Evaluation, Task, interval};
use trainer::report::duration;
use trainer::{ActivityTime, Outcome};
use unicode_width::UnicodeWidthStr;

use crate::commands::train::events::pictures;
use crate::exit::ExitStatus;
use crate::io::message::{self, printable};
use crate::io::output::Output;
use crate::io::wrap::wrapped;

/// The most classes in the table; the report has all of them.
const CLASSES: usize = 20;
/// The most confused pairs.
const PAIRS: usize = 5;
/// The longest name of a class, in columns.
const NAME: usize = 30;

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
    let mut output = Output::stdout();
    print_result(&mut output, outcome)?;
    print_files(&mut output, folder)?;
    if outcome
        .temperature
        .is_some_and(|(temperature, stored)| temperature.helps() && !stored)
    {
        writeln!(output, "  xception train --resume {} --calibrate", folder.display())?;
    }
    output.finish()?;
    Ok(ExitStatus::Complete)
}

/// Says that a run is finished, and where its results are.
pub fn already_finished(folder: &Path) -> anyhow::Result<ExitStatus> {
    message::print("finished", "this run is complete: there is nothing to continue");
    let mut output = Output::stdout();
    print_files(&mut output, folder)?;
    output.finish()?;
    Ok(ExitStatus::Complete)
}

fn print_result(output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    writeln!(output)?;
    match &outcome.evaluation {
        Some((split, evaluation)) => {
            let (low, high) = interval(evaluation.right(), evaluation.pictures);
            writeln!(
                output,
                "accuracy  {:.1} %: {} of {} {} pictures right (95 % interval {:.0} to {:.0} %)",
                100.0 * evaluation.accuracy(),
                evaluation.right(),
                evaluation.pictures,
                pictures(*split),
                100.0 * low,
                100.0 * high
            )?;
            print_best(output, outcome)?;
            print_classes(output, evaluation)?;
            if let Some(problem) = chance(evaluation) {
                // On a terminal the warning stands after the table.
                output.flush()?;
                message::print_wrapped("warning", &problem);
            }
        }
        None => message::print(
            "warning",
            "there are no validation and no test pictures: the accuracy is unknown",
        ),
    }
    if let Some((temperature, stored)) = &outcome.temperature {
        let [without, with] = [temperature.error_without, temperature.error_with].map(|error| 100.0 * error);
        let offer = match stored {
            true => "; the weights have it",
            false if temperature.helps() => "; see below how to store it in the weights",
            false => "; not worth storing",
        };
        let text = format!(
            "calibration error {without:.1} %; {with:.1} % with temperature {:.2}{offer}",
            temperature.value
        );
        writeln!(output, "{}", wrapped(&text, 10))?;
    }
    print_times(output, &outcome.times)
}

/// The best epoch and its accuracy on the validation pictures.
fn print_best(output: &mut impl Write, outcome: &Outcome) -> io::Result<()> {
    let rows = &outcome.progress.rows;
    let Some((best, row)) = outcome
        .progress
        .best
        .as_ref()
        .and_then(|best| Some((best, rows.get(best.row)?)))
    else {
        return writeln!(
            output,
            "weights   the last ones: no validation pictures choose the best"
        );
    };
    let first = rows.iter().position(|other| other.phase == row.phase).unwrap_or(0);
    let averaged = if best.ema { ", averaged weights" } else { "" };
    writeln!(
        output,
        "          {:.1} % of the validation pictures; best epoch: {} of {}{averaged}",
        100.0 * best.accuracy,
        best.row - first + 1,
        row.phase
    )
}

fn print_classes(output: &mut impl Write, evaluation: &Evaluation) -> io::Result<()> {
    let mut classes: Vec<_> = evaluation.classes.iter().filter(|class| class.support > 0).collect();
    let count = classes.len();
    if count > CLASSES {
        classes.sort_by(|a, b| a.score.recall.total_cmp(&b.score.recall));
        classes.truncate(CLASSES);
    }
    let names: Vec<String> = classes.iter().map(|class| name(&class.class)).collect();
    let wide = names
        .iter()
        .map(|name| name.width())
        .max()
        .unwrap_or(0)
        .max("class".len());
    let padded = |name: &str| format!("{name}{}", " ".repeat(wide.saturating_sub(name.width())));
    writeln!(output, "\n  {}  pictures  found %  precision %", padded("class"))?;
    for (name, class) in names.iter().zip(classes) {
        writeln!(
            output,
            "  {}  {:>8}  {:>7.1}  {:>11.1}",
            padded(name),
            class.support,
            100.0 * class.score.recall,
            100.0 * class.score.precision
        )?;
    }
    if count > CLASSES {
        writeln!(output, "  and {} classes that are found more often", count - CLASSES)?;
    }
    writeln!(output)?;
    let pairs = evaluation.confused_pairs();
    if !pairs.is_empty() {
        let class = |class: usize| name(&evaluation.classes[class].class);
        let listed = pairs.iter().take(PAIRS);
        let listed: Vec<String> = listed
            .map(|pair| {
                format!(
                    "{} taken for {}: {}",
                    class(pair.truth),
                    class(pair.predicted),
                    pair.count
                )
            })
            .collect();
        writeln!(output, "confused  {}", listed.join("\n          "))?;
    }
    if let Some(class) = evaluation.hardest_class() {
        let found = (class.score.recall * class.support as f64).round();
        writeln!(
            output,
            "hardest   {}: {found} of {} pictures found",
            name(&class.class),
            class.support
        )?;
    }
    Ok(())
}

/// A class's name, printable and shortened in the middle.
fn name(class: &str) -> String {
    trainer::report::shortened(&printable(class), NAME)
}

/// A warning where the network is no better than one answer for all pictures, or where the pictures cannot tell.
fn chance(evaluation: &Evaluation) -> Option<String> {
    if !matches!(evaluation.task, Task::Single { .. }) {
        return None;
    }
    let (commonest, share) = evaluation.commonest_class()?;
    if share >= 1.0 {
        let class = name(&commonest.class);
        return Some(format!(
            "all of these pictures are of one class, {class}: they do not show whether the network tells classes apart"
        ));
    }
    let always = format!("always answering {} ({:.1} %)", name(&commonest.class), 100.0 * share);
    let (low, _) = interval(evaluation.right(), evaluation.pictures);
    if evaluation.accuracy() <= share {
        Some(format!(
            "the network is no better than {always}: look at the pictures and labels with --check and --preview"
        ))
    } else if low <= share {
        Some(format!(
            "{} pictures are too few to tell the network from {always}",
            evaluation.pictures
        ))
    } else {
        None
    }
}

fn print_times(output: &mut impl Write, times: &[ActivityTime]) -> io::Result<()> {
    let total: f64 = times.iter().map(|time| time.seconds).sum();
    let listed: Vec<String> = times
        .iter()
        .map(|time| format!("{} {}", time.name, duration(time.seconds)))
        .collect();
    let text = format!("time      {}: {}", duration(total), listed.join(", "));
    writeln!(output, "{}", wrapped(&text, 10))
}

/// The files of the run, and the next commands.
fn print_files(output: &mut impl Write, folder: &Path) -> io::Result<()> {
    let shown = folder.display();
    let report = folder.join("report.html");
    if report.exists() {
        writeln!(output, "report    {}", report.display())?;
    }
    writeln!(output, "weights   {}", folder.join("model.bpk").display())?;
    writeln!(output, "\nnext\n  xception classify PICTURE --weights {shown}")?;
    writeln!(output, "  xception explain PICTURE --weights {shown}")?;
    writeln!(output, "  xception evaluate MORE --weights {shown}")?;
    if !report.exists() {
        return Ok(());
    }
    let open = if cfg!(target_os = "macos") {
        "open"
    } else if cfg!(windows) {
        "start"
    } else {
        "xdg-open"
    };
    writeln!(output, "  {open} {}", report.display())
}
