//! `xception train`.

use std::ffi::OsStr;
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail};
use burn::train::Interrupter;
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use clap::{Args, ValueEnum, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use trainer::augment::{Augmentation, Level};
use trainer::data::{DataOptions, Dataset};
use trainer::pipeline::Cache;
use trainer::{Event, FinderOptions, Observer, Outcome, Recipe, Run, RunOptions, RunSettings};
use xception_model::picture::Preset;

use crate::args::{ComputeArgs, SourceArgs, preset_parser};
use crate::device::DeviceName;
use crate::output::{self, Output};
use crate::weights;

/// Train a classifier on your own pictures
///
/// DATA is a folder with a folder of pictures a class, or a CSV file of path and label. Folders `train`, `val` and `test`
/// in it are taken as they are; otherwise the pictures are split.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception train flowers/                                    A classifier of your folders, and a report to look at
  xception train flowers/ --recipe linear-probe              The same in a minute or two
  xception train flowers/ --weights my_model.keras -o runs/2 From other weights, into this folder
  xception train --resume runs/flowers                       Go on after a stop
  xception classify new.jpg --weights runs/flowers/model.bpk Use what was trained")]
pub struct TrainArgs {
    /// A folder a class, or a CSV of path and label
    #[arg(value_name = "DATA", required_unless_present_any = ["resume", "show_recipe"], value_hint = ValueHint::AnyPath)]
    pub data: Option<PathBuf>,
    /// The run's folder [default: runs/ and the name of DATA]
    #[arg(short = 'o', long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Go on with a run that was stopped
    #[arg(long, value_name = "RUN", conflicts_with_all = ["data", "output"], value_hint = ValueHint::DirPath)]
    pub resume: Option<PathBuf>,
    /// What is done: fine-tune, linear-probe, scratch, paper-imagenet, paper-jft, or a TOML file
    #[arg(short, long, value_name = "NAME|FILE", default_value = "fine-tune")]
    pub recipe: String,
    /// Epochs of the recipe's last phase [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    #[command(flatten)]
    pub source: SourceArgs,
    #[command(flatten)]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub more: MoreArgs,
}

/// What is seldom needed.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(next_help_heading = "More options")]
pub struct MoreArgs {
    /// Height and width of the network's input [default: the weights' own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(71..=2048))]
    pub size: Option<u16>,
    /// How pictures are resized for evaluation and later use
    #[arg(long, default_value_t = Preset::PilBilinear, value_parser = preset_parser())]
    pub preset: Preset,
    /// How much pictures are changed: none, light, medium, strong, or a TOML file [default: the recipe's]
    #[arg(long, value_name = "NAME|FILE")]
    pub augmentation: Option<String>,
    /// Pictures a step, in every phase that trains on pictures [default: the recipe's]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..=4096))]
    pub batch_size: Option<u32>,
    /// Learning rate of the recipe's last phase [default: the recipe's]
    #[arg(long, value_name = "RATE")]
    pub learning_rate: Option<f64>,
    /// Stop, resumable, after so many minutes
    #[arg(long, value_name = "MINUTES")]
    pub time_budget: Option<f64>,
    /// Decides every random number: the split, the order, the augmentation, the new layers
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// Part of the pictures for validation, where the data is not split
    #[arg(long, value_name = "PART", default_value = "0.15")]
    pub val_fraction: f64,
    /// Part of the pictures for the last test, where the data is not split
    #[arg(long, value_name = "PART", default_value = "0.15")]
    pub test_fraction: f64,
    /// Refuse data with unreadable files instead of leaving them out
    #[arg(long)]
    pub strict: bool,
    /// Let rare classes weigh more in the loss
    #[arg(long)]
    pub class_weights: bool,
    /// Show every class equally often
    #[arg(long)]
    pub balanced: bool,
    /// Where decoded pictures are kept between epochs
    #[arg(long, value_enum, default_value_t = CacheKind::None)]
    pub picture_cache: CacheKind,
    /// The longest time without a checkpoint
    #[arg(long, value_name = "MINUTES", default_value = "10")]
    pub checkpoint_minutes: f64,
    /// Checkpoints that are kept
    #[arg(long, value_name = "N", default_value = "2", value_parser = clap::value_parser!(u16).range(1..))]
    pub keep: u16,
    /// Show Burn's dashboard instead of a bar
    #[arg(long)]
    pub dashboard: bool,
    /// Compute activations again for the backward pass instead of keeping them, where Burn can: less memory, more time
    #[arg(long)]
    pub gradient_checkpointing: bool,
    /// Several devices of one kind, which work on a batch each; their gradients are averaged
    #[arg(long, value_name = "NAME,...", value_delimiter = ',', conflicts_with = "device")]
    pub devices: Vec<DeviceName>,
    /// Only check the data: print its counts and troubles, and end
    #[arg(long)]
    pub check: bool,
    /// Only write a picture of augmented samples, and end
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub preview: Option<PathBuf>,
    /// Only look for a learning rate for the last phase: write its curve, print a suggestion, and end
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub find_rate: Option<PathBuf>,
    /// Print a recipe's file, to be copied and changed, and end
    #[arg(long, value_name = "NAME")]
    pub show_recipe: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheKind {
    /// Nowhere: each is decoded in every epoch
    None,
    /// In memory, up to 2 GB
    Memory,
    /// In the run's folder
    Disk,
}

/// An epoch shorter than this many seconds is shown one in ten times.
const BLINK: f64 = 0.5;

/// Decoded pictures that `--picture-cache memory` keeps.
const MEMORY_CACHE: u64 = 2 << 30;

pub fn train(args: &TrainArgs) -> anyhow::Result<output::Outcome> {
    if let Some(name) = &args.more.show_recipe {
        let Some(text) = Recipe::built_in(name) else {
            let names: Vec<_> = Recipe::names().collect();
            bail!("there is no recipe {name}: there are {}", names.join(", "));
        };
        let mut output = Output::stdout();
        output.write_all(text.as_bytes())?;
        return output.finish();
    }
    let threads = weights::start_threads(&args.compute)?;
    let interrupter = Interrupter::new();
    stop_on_signal(&interrupter)?;
    let display = Arc::new(Display::new(args.more.dashboard));
    let run = match (&args.resume, &args.data) {
        (Some(folder), _) => Run::resume(folder, settings(args, folder, threads, &interrupter, &display)?)?,
        (None, Some(data)) => match new_run(args, data, threads, &interrupter, &display)? {
            Some(run) => run,
            None => return Ok(output::Outcome::Complete),
        },
        (None, None) => unreachable!("clap asks for one of them"),
    };
    display.print(&run.report().to_string());
    if args.more.check {
        return Ok(output::Outcome::Complete);
    }
    if let Some(path) = &args.more.find_rate {
        let folder = run.folder().to_owned();
        let found = run.find_rate(FinderOptions::default(), path)?;
        std::fs::remove_dir_all(&folder).with_context(|| folder.display().to_string())?;
        display.clear();
        match found.suggestion {
            Some(rate) => println!("{rate:.1e}"),
            None => bail!(
                "the loss never fell: no rate can be suggested; {} shows the curve",
                path.display()
            ),
        }
        return Ok(output::Outcome::Complete);
    }
    let folder = run.folder().to_owned();
    let renderer: Option<Box<dyn MetricsRenderer>> = if args.more.dashboard && std::io::stdout().is_terminal() {
        Some(Box::new(TuiMetricsRendererWrapper::new(interrupter, None)))
    } else {
        None
    };
    let outcome = run.train(renderer)?;
    display.clear();
    conclude(&folder, &outcome)
}

/// Says what came of it.
fn conclude(folder: &Path, outcome: &Outcome) -> anyhow::Result<output::Outcome> {
    let mut output = Output::stdout();
    if !outcome.complete {
        output::complain(
            "stopped",
            &format!(
                "after step {}; go on with: xception train --resume {}",
                outcome.progress.step,
                folder.display()
            ),
        );
        return Ok(output::Outcome::Incomplete);
    }
    if let Some((split, evaluation)) = &outcome.evaluation {
        writeln!(
            output,
            "{split:<8} {:.1} % of {} pictures right",
            100.0 * evaluation.accuracy(),
            evaluation.pictures
        )?;
    }
    writeln!(output, "report   {}", folder.join("report.html").display())?;
    writeln!(output, "weights  {}", folder.join("model.bpk").display())?;
    writeln!(
        output,
        "use      xception classify PICTURE --weights {}",
        folder.join("model.bpk").display()
    )?;
    output.finish()
}

fn new_run(
    args: &TrainArgs,
    data: &Path,
    threads: usize,
    interrupter: &Interrupter,
    display: &Arc<Display>,
) -> anyhow::Result<Option<Run>> {
    let more = &args.more;
    let mut recipe = Recipe::load(&args.recipe)?;
    if let Some(last) = recipe.phases.last_mut() {
        if let Some(epochs) = args.epochs {
            last.epochs = epochs as usize;
        }
        if let Some(rate) = more.learning_rate {
            last.schedule.rate = rate;
        }
    }
    if let Some(batch_size) = more.batch_size {
        for phase in recipe.phases.iter_mut().filter(|phase| !phase.uses_features()) {
            phase.batch_size = batch_size as usize;
        }
    }
    let data_options = DataOptions {
        val_fraction: more.val_fraction,
        test_fraction: more.test_fraction,
        seed: more.seed,
        strict: more.strict,
        threads,
        ..DataOptions::default()
    };
    if more.check {
        let (_, report) = Dataset::open(data, &data_options)?;
        let mut output = Output::stdout();
        writeln!(output, "{report}")?;
        output.finish()?;
        return Ok(None);
    }
    let device = args.compute.device.open()?;
    let classifier = weights::find(&args.source.weights, &args.source.cache, &device)?;
    let size = more.size.map_or(classifier.spec.input.height, usize::from);
    let augmentation = match &more.augmentation {
        None => None,
        Some(name) => Some(match name.parse::<Level>() {
            Ok(level) => Augmentation::named(level, size, more.preset),
            Err(_) if Path::new(name).extension() == Some(OsStr::new("toml")) => Augmentation::load(name)?,
            Err(unknown) => bail!("{unknown}; or name a TOML file"),
        }),
    };
    if let Some(path) = &more.preview {
        let (dataset, _) = Dataset::open(data, &data_options)?;
        let augmentation = augmentation.unwrap_or_else(|| Augmentation::named(recipe.augmentation, size, more.preset));
        trainer::preview::contact_sheet(&dataset, &augmentation, more.seed, path, false)?;
        return Ok(None);
    }
    // The finder's run is nobody's.
    let folder = match &more.find_rate {
        Some(_) => std::env::temp_dir().join(format!("xception-find-rate-{}", std::process::id())),
        None => args.output.clone().unwrap_or_else(|| free_folder(data)),
    };
    let settings = settings(args, &folder, threads, interrupter, display)?;
    let options = RunOptions {
        data: data.to_owned(),
        data_options,
        folder,
        recipe,
        augmentation,
        size: Some(size),
        preset: more.preset,
        seed: more.seed,
        class_weights: more.class_weights,
        balanced: more.balanced,
    };
    Ok(Some(Run::new(&options, settings, (classifier.model, classifier.spec))?))
}

/// `runs/flowers`, or `runs/flowers-2` and so on where that is taken.
fn free_folder(data: &Path) -> PathBuf {
    let name = std::path::absolute(data).ok();
    let name = name.as_deref().and_then(Path::file_stem).unwrap_or(OsStr::new("run"));
    let numbered = |number: usize| {
        let mut name = name.to_owned();
        if number > 1 {
            name.push(format!("-{number}"));
        }
        Path::new("runs").join(name)
    };
    (1..=usize::from(u16::MAX))
        .map(numbered)
        .find(|folder| !folder.exists())
        .unwrap_or_else(|| numbered(1))
}

fn settings(
    args: &TrainArgs,
    folder: &Path,
    threads: usize,
    interrupter: &Interrupter,
    display: &Arc<Display>,
) -> anyhow::Result<RunSettings> {
    let minutes = |minutes: f64| {
        Duration::try_from_secs_f64(minutes * 60.0).with_context(|| format!("{minutes} minutes are no time"))
    };
    Ok(RunSettings {
        devices: match args.more.devices.as_slice() {
            [] => vec![args.compute.device.open()?],
            devices => devices.iter().map(DeviceName::open).collect::<Result<_, _>>()?,
        },
        gradient_checkpointing: args.more.gradient_checkpointing,
        workers: threads,
        cache: match args.more.picture_cache {
            CacheKind::None => Cache::None,
            CacheKind::Memory => Cache::Memory { bytes: MEMORY_CACHE },
            CacheKind::Disk => Cache::Disk {
                folder: folder.join("pictures"),
            },
        },
        checkpoint_every: minutes(args.more.checkpoint_minutes)?,
        keep: usize::from(args.more.keep),
        budget: args.more.time_budget.map(minutes).transpose()?,
        interrupter: interrupter.clone(),
        observer: observer(display),
    })
}

/// Ctrl-C finishes the step and saves; a second one ends at once.
fn stop_on_signal(interrupter: &Interrupter) -> anyhow::Result<()> {
    let interrupter = interrupter.clone();
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for Ctrl-C")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if interrupter.should_stop() {
                std::process::exit(128 + signal);
            }
            output::complain("stopping", "the step is finished and saved; press again to end at once");
            interrupter.stop(Some("interrupted"));
        }
    });
    Ok(())
}

/// A bar and a line an epoch, on standard error.
struct Display {
    bar: Mutex<Option<ProgressBar>>,
    /// Burn's dashboard has the terminal.
    silent: bool,
}

impl Display {
    fn new(silent: bool) -> Self {
        Self {
            bar: Mutex::new(None),
            silent,
        }
    }

    fn clear(&self) {
        if let Ok(mut bar) = self.bar.lock()
            && let Some(bar) = bar.take()
        {
            bar.finish_and_clear();
        }
    }

    fn print(&self, text: &str) {
        if self.silent {
            return;
        }
        match self.bar.lock().ok().and_then(|bar| bar.clone()) {
            Some(bar) => bar.suspend(|| eprintln!("{text}")),
            None => eprintln!("{text}"),
        }
    }

    fn advance(&self, done: usize, total: usize, message: String) {
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

fn observer(display: &Arc<Display>) -> Observer {
    let display = Arc::clone(display);
    let percent = |share: Option<f64>| share.map_or_else(|| "-".to_owned(), |share| format!("{:.1} %", 100.0 * share));
    Arc::new(move |event| match event {
        Event::Features { done, total } => display.advance(done, total, "through the frozen backbone".to_owned()),
        Event::Phase { name, epochs, done } => {
            display.clear();
            let from = match done {
                0 => String::new(),
                done => format!(", {done} done"),
            };
            display.print(&format!("phase {name}: {epochs} epochs{from}"));
        }
        Event::Step { done, total, loss, .. } => display.advance(done, total, format!("loss {loss:.4}")),
        // Epochs of kept features are over in a blink, and there are many.
        Event::Epoch(row) if row.seconds < BLINK && row.epoch % 10 != 0 => {}
        Event::Epoch(row) => {
            let ema = row.ema_val_accuracy.map_or_else(String::new, |accuracy| {
                format!("  averaged weights {:.1} %", 100.0 * accuracy)
            });
            display.print(&format!(
                "{:>4}  {}  loss {:.4}  accuracy {:>7}  validation loss {}  accuracy {:>7}{ema}  {:.1} s, {:.1} % of it waiting for pictures",
                row.epoch,
                row.phase,
                row.train_loss,
                percent(row.train_accuracy),
                row.val_loss.map_or_else(|| "-".to_owned(), |loss| format!("{loss:.4}")),
                percent(row.val_accuracy),
                row.seconds,
                100.0 * row.wait_share,
            ));
        }
        Event::Warning(text) => {
            display.print(&format!("warning: {text}"));
        }
        _ => {}
    })
}
