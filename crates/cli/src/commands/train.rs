//! `xception train`.

mod augmentation;
mod conclusion;
mod display;
mod events;
mod folder;
mod new_run;
mod session;
mod settings;
mod shown;
mod summary;
mod table;

use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};

use anyhow::bail;
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use trainer::{FinderOptions, MODEL, Run};

use self::new_run::NewRun;
use self::session::Session;
use self::settings::settings;
use crate::args::TrainArgs;
use crate::compute::device::DeviceName;
use crate::compute::failure;
use crate::exit::ExitStatus;
use crate::interrupt;
use crate::io::message;
use crate::io::output::Output;

pub fn train(args: &TrainArgs) -> anyhow::Result<ExitStatus> {
    if let Some(name) = &args.instead.show_recipe {
        return shown::recipe(name);
    }
    if let Some(level) = args.instead.show_augmentation {
        return shown::augmentation(level, &args.recipe);
    }
    let session = Session::start(args)?;
    match (&args.resume, &args.new.data) {
        (Some(folder), _) => resume(args, folder, session),
        (None, Some(data)) => begin(args, data, session),
        (None, None) => unreachable!("clap requires one of them"),
    }
}

fn resume(args: &TrainArgs, folder: &Path, session: Session) -> anyhow::Result<ExitStatus> {
    if Run::is_finished(folder) {
        return finished(args, folder);
    }
    let run = Run::resume_with(folder, settings(args, folder, &session)?, args.moved_data.as_deref())?;
    session.display.print_last(&run.report().to_string());
    if args.check {
        return Ok(ExitStatus::Complete);
    }
    session.display.print(&summary::of_run(&run, None));
    session.display.print(&summary::position(&run));
    train_to_end(args, run, session)
}

/// A run that has nothing to continue: stores its temperature if that is asked for, or says that it is finished.
fn finished(args: &TrainArgs, folder: &Path) -> anyhow::Result<ExitStatus> {
    Run::remove_leftovers(folder)?;
    if !args.resources.calibrate {
        return conclusion::already_finished(folder);
    }
    let scaling = Run::calibrate(folder, &args.compute.device.open()?)?;
    let mut output = Output::stdout();
    writeln!(
        output,
        "weights   {}, with temperature {:.2}: calibration error {:.1} %",
        folder.join(MODEL).display(),
        scaling.value,
        100.0 * scaling.calibration_error
    )?;
    output.finish()?;
    message::print(
        "note",
        "the report and predictions.csv have the confidences from before",
    );
    Ok(ExitStatus::Complete)
}

/// Trains a new run, or does what a flag asks for instead of training.
fn begin(args: &TrainArgs, data: &Path, session: Session) -> anyhow::Result<ExitStatus> {
    let new = NewRun::new(args, data, session.threads)?;
    if args.check {
        new.check(&session.display)?;
        return Ok(ExitStatus::Complete);
    }
    if let Some(path) = &args.instead.preview {
        new.preview(path, &session.display)?;
        return Ok(ExitStatus::Complete);
    }
    if let Some(path) = &args.instead.find_rate {
        folder::check_png(path)?;
        // The finder's run is not kept.
        let scratch = files::ScratchFolder::new()?;
        return find_rate(new.begin(scratch.path(), &session)?, path, &session);
    }
    let folder = args.new.output.clone().unwrap_or_else(|| next_folder(data));
    folder::check(&folder, data)?;
    let run = new.begin(&folder, &session)?;
    let weights = args.new.weights.display().to_string();
    session.display.print(&summary::of_run(&run, Some(&weights)));
    train_to_end(args, run, session)
}

/// The next free folder for runs on this data. Reports an earlier run that was stopped.
fn next_folder(data: &Path) -> PathBuf {
    let (folder, stopped) = folder::free(data);
    if let Some(stopped) = stopped {
        let note = format!(
            "{0} is not finished: xception train --resume {0} continues it; this is a new run",
            stopped.display()
        );
        message::print("note", &note);
    }
    folder
}

/// Writes the finder's curve, and prints the rate that it suggests.
fn find_rate(run: Run, path: &Path, session: &Session) -> anyhow::Result<ExitStatus> {
    let found = run.find_rate(FinderOptions::default(), path)?;
    session.display.print_last(&format!("curve    {}", path.display()));
    match found.suggestion {
        Some(rate) => println!("suggested: --learning-rate {rate:.1e}"),
        None => bail!(
            "the loss never fell: no rate can be suggested; {} shows the curve",
            path.display()
        ),
    }
    Ok(ExitStatus::Complete)
}

fn train_to_end(args: &TrainArgs, run: Run, session: Session) -> anyhow::Result<ExitStatus> {
    let folder = run.folder().to_owned();
    interrupt::save_first(&session.interrupter, &folder);
    let renderer: Option<Box<dyn MetricsRenderer>> = if args.resources.dashboard && std::io::stdout().is_terminal() {
        Some(Box::new(TuiMetricsRendererWrapper::new(session.interrupter, None)))
    } else {
        None
    };
    let devices = args.devices();
    let advice = advice(&devices, &folder);
    let outcome = failure::as_error(&devices, &advice, || Ok(run.train(renderer)?))?;
    session.display.clear();
    conclusion::conclude(&folder, &outcome, interrupt::received())
}

/// What to do when a device fails.
fn advice(devices: &[&DeviceName], folder: &Path) -> String {
    // Burn's servers keep connections among each other, and do not reconnect to a server that was restarted.
    let first = if devices.iter().any(|device| device.is_elsewhere()) {
        "restart `xception serve` on all of these machines and"
    } else {
        "when it works again,"
    };
    format!(
        "the run's last checkpoint is complete: {first} continue with: xception train --resume {}",
        folder.display()
    )
}
