//! `xception train`.

use std::ffi::{OsStr, OsString};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU8, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::{Context, bail, ensure};
use burn::train::Interrupter;
use burn::train::renderer::MetricsRenderer;
use burn::train::renderer::tui::TuiMetricsRendererWrapper;
use clap::{Args, ValueEnum, ValueHint};
use indicatif::{ProgressBar, ProgressStyle};
use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;
use tempfile::TempDir;
use trainer::augment::{Augmentation, Level};
use trainer::data::{DataOptions, Dataset};
use trainer::pipeline::Cache;
use trainer::{Event, FinderOptions, Observer, Outcome, Recipe, Run, RunOptions, RunSettings};
use xception_model::picture::Preset;

use crate::args::{CacheArgs, ComputeArgs, KnownArgs, Size, preset_parser};
use crate::device::{self, DeviceName};
use crate::inputs;
use crate::output::{self, Output, Target};
use crate::weights;

/// Train a classifier on your own pictures
///
/// DATA is a folder with a folder of pictures a class, or a CSV file with the columns path and label. Folders `train`, `val`
/// and `test` in it, or a column `split` with these words, are taken as they are; otherwise the pictures are split. A picture
/// with several labels has them in one cell, `cat;dog`, best in a column called `labels`. Other columns are ignored.
#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  xception train flowers/                                    A classifier of your folders, and a report to look at
  xception train flowers/ --recipe linear-probe              The same in a minute or two
  xception train flowers/ --weights my_model.keras -o runs/2 From other weights, into this folder
  xception train --resume runs/flowers                       Go on after a stop
  xception classify new.jpg --weights runs/flowers           Use what was trained

Ctrl-C finishes the step, saves and ends with exit status 130 (143 after SIGTERM); a second one ends at once.")]
pub struct TrainArgs {
    /// A folder a class, or a CSV of path, label or labels and, if wanted, split
    #[arg(value_name = "DATA", required_unless_present_any = ["resume", "show_recipe", "show_augmentation"], value_hint = ValueHint::AnyPath)]
    pub data: Option<PathBuf>,
    /// What is done: fine-tune, linear-probe, scratch, paper-imagenet, paper-jft, or a TOML file
    #[arg(short, long, value_name = "NAME|FILE", default_value = "fine-tune")]
    pub recipe: String,
    /// Epochs of the recipe's last phase [default: the recipe's]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
    pub epochs: Option<u32>,
    /// What to start from: a name that `xception models` lists, a Burn record (.bpk), a Keras file (.keras, .h5), a run's
    /// folder, or a card
    #[arg(short, long, value_name = "W", default_value = "xception-imagenet", value_hint = ValueHint::AnyPath)]
    pub weights: OsString,
    /// The run's folder [default: runs/ and the name of DATA]
    #[arg(short = 'o', long, value_name = "RUN", value_hint = ValueHint::DirPath)]
    pub output: Option<PathBuf>,
    /// Go on with a run that was stopped, as it was begun
    #[arg(long, value_name = "RUN", conflicts_with_all = SETTLED, value_hint = ValueHint::DirPath)]
    pub resume: Option<PathBuf>,
    #[command(flatten)]
    pub more: MoreArgs,
    #[command(flatten, next_help_heading = "More options")]
    pub compute: ComputeArgs,
    #[command(flatten)]
    pub known: KnownArgs,
    #[command(flatten, next_help_heading = "More options")]
    pub cache: CacheArgs,
}

/// What is seldom needed.
#[derive(Debug, Args)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of the command line")]
#[command(next_help_heading = "More options")]
pub struct MoreArgs {
    /// Height and width of the network's input [default: the weights' own]
    #[arg(long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=2048))]
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
    #[arg(long, value_name = "RATE", allow_negative_numbers = true, value_parser = rate)]
    pub learning_rate: Option<f64>,
    /// The run's whole time, without that in which it was stopped: when it is used up, the best weights are judged and the run
    /// ends. It can be resumed with more
    #[arg(long, value_name = "MINUTES", allow_negative_numbers = true)]
    pub time_budget: Option<f64>,
    /// Decides every random number: the split, the order, the augmentation, the new layers
    #[arg(long, value_name = "N", default_value = "42")]
    pub seed: u64,
    /// Part of the pictures for validation, where the data is not split
    #[arg(long, value_name = "PART", default_value = "0.15", allow_negative_numbers = true)]
    pub val_fraction: f64,
    /// Part of the pictures for the last test, where the data is not split
    #[arg(long, value_name = "PART", default_value = "0.15", allow_negative_numbers = true)]
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
    #[arg(long, value_name = "MINUTES", default_value = "10", allow_negative_numbers = true)]
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
    /// Only look for a learning rate for the last phase, after the phases before it: write its curve, print a suggestion, and
    /// end
    #[arg(long, value_name = "FILE.png", value_hint = ValueHint::FilePath)]
    pub find_rate: Option<PathBuf>,
    /// Print a recipe's file, to be copied and changed, and end
    #[arg(long, value_name = "NAME")]
    pub show_recipe: Option<String>,
    /// Print an augmentation's file, to be copied and changed, and end
    #[arg(long, value_name = "NAME", conflicts_with = "show_recipe")]
    pub show_augmentation: Option<Level>,
}

fn rate(text: &str) -> Result<f64, String> {
    match text.parse() {
        Ok(rate) if rate > 0.0 && f64::is_finite(rate) => Ok(rate),
        _ => Err("expected a number above 0, such as 1e-4".to_owned()),
    }
}

/// What a run that is resumed has in its folder, or is not about.
const SETTLED: [&str; 26] = [
    "data",
    "output",
    "recipe",
    "epochs",
    "weights",
    "head",
    "scaling",
    "pooling",
    "variant",
    "offline",
    "cache",
    "size",
    "preset",
    "augmentation",
    "batch_size",
    "learning_rate",
    "seed",
    "val_fraction",
    "test_fraction",
    "strict",
    "class_weights",
    "balanced",
    "preview",
    "find_rate",
    "show_recipe",
    "show_augmentation",
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum CacheKind {
    /// Nowhere: each is decoded in every epoch
    None,
    /// In memory, up to 2 GB
    Memory,
    /// In the run's folder
    Disk,
}

/// Height and width that a printed augmentation has without `--size`: Keras's Xception's.
const DEFAULT_INPUT: usize = 299;

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
    if let Some(level) = args.more.show_augmentation {
        let size = args.more.size.map_or(DEFAULT_INPUT, usize::from);
        let mut output = Output::stdout();
        output.write_all(Augmentation::named(level, size, args.more.preset).to_toml().as_bytes())?;
        return output.finish();
    }
    let threads = weights::start_threads(&args.compute)?;
    let interrupter = Interrupter::new();
    let signal = stop_on_signal(&interrupter)?;
    let display = Arc::new(Display::new(args.more.dashboard));
    // The finder's run is nobody's.
    let scratch = args.more.find_rate.as_ref().map(|_| TempDir::new()).transpose()?;
    let run = match (&args.resume, &args.data) {
        (Some(folder), _) => Run::resume(folder, settings(args, folder, threads, &interrupter, &display)?)?,
        (None, Some(data)) => match new_run(args, data, scratch.as_ref(), threads, &interrupter, &display)? {
            Some(run) => run,
            None => return Ok(output::Outcome::Complete),
        },
        (None, None) => unreachable!("clap asks for one of them"),
    };
    display.clear();
    display.print(&run.report().to_string());
    if args.more.check {
        return Ok(output::Outcome::Complete);
    }
    if let Some(path) = &args.more.find_rate {
        let found = run.find_rate(FinderOptions::default(), path)?;
        display.clear();
        display.print(&format!("curve    {}", path.display()));
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
    let devices = args.devices();
    // Burn's servers keep connections among each other, and don't make new ones to one that was started anew.
    let first = if devices.iter().any(|device| device.is_elsewhere()) {
        "start `xception serve` anew on all of these machines and"
    } else {
        "when it works again,"
    };
    let way_out = format!(
        "the run's last checkpoint is whole: {first} go on with: xception train --resume {}",
        folder.display()
    );
    let outcome = device::on(&devices, &way_out, || Ok(run.train(renderer)?))?;
    display.clear();
    conclude(&folder, &outcome, signal.load(Ordering::Relaxed))
}

/// Says what came of it. `signal` is the one that stopped it, or 0.
fn conclude(folder: &Path, outcome: &Outcome, signal: u8) -> anyhow::Result<output::Outcome> {
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
        return Ok(match signal {
            0 => output::Outcome::Incomplete,
            signal => output::Outcome::Interrupted { signal },
        });
    }
    if outcome.time_up {
        output::complain(
            "time is up",
            &format!(
                "after step {}: these are the best weights so far; with more time it goes on: xception train --resume {}",
                outcome.progress.step,
                folder.display()
            ),
        );
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
        folder.display()
    )?;
    output.finish()
}

fn new_run(
    args: &TrainArgs,
    data: &Path,
    scratch: Option<&TempDir>,
    threads: usize,
    interrupter: &Interrupter,
    display: &Arc<Display>,
) -> anyhow::Result<Option<Run>> {
    let more = &args.more;
    // What is cheap to find wrong comes before what may have to be fetched.
    if let Some(problem) = inputs::missing(data) {
        bail!(problem);
    }
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
        let (_, report) = Dataset::open_watched(data, &data_options, &|done, total| display.check(done, total))?;
        display.clear();
        let mut output = Output::stdout();
        writeln!(output, "{report}")?;
        output.finish()?;
        return Ok(None);
    }
    let augmentation = more.augmentation.as_deref().map(Changes::parse).transpose()?;
    let folder = match scratch {
        Some(scratch) => scratch.path().to_owned(),
        None => args.output.clone().unwrap_or_else(|| free_folder(data)),
    };
    match more.preview.as_ref().or(more.find_rate.as_ref()) {
        Some(path) if path.exists() => bail!("{} exists already: name another file", path.display()),
        Some(path) => {
            Target::new(path, false)?;
            ensure!(
                trainer::plots::is_png(path),
                "{}: give it a name that ends in .png: that is what is written",
                path.display()
            );
        }
        None => check_folder(&folder, data)?,
    }
    let device = args.compute.device.open()?;
    let known = args.known.known(more.size.map(|side| Size {
        height: side.into(),
        width: side.into(),
    }));
    let (network, spec) = weights::find(&args.weights, &known, &args.cache, &device)?;
    let size = spec.input.height;
    let augmentation = augmentation.map(|changes| match changes {
        Changes::Named(level) => Augmentation::named(level, size, more.preset),
        Changes::Written(augmentation) => *augmentation,
    });
    if let Some(path) = &more.preview {
        let (dataset, _) = Dataset::open_watched(data, &data_options, &|done, total| display.check(done, total))?;
        display.clear();
        let augmentation = augmentation.unwrap_or_else(|| Augmentation::named(recipe.augmentation, size, more.preset));
        trainer::preview::contact_sheet(&dataset, &augmentation, more.seed, path, false)?;
        let mut output = Output::stdout();
        writeln!(output, "preview  {}", path.display())?;
        output.finish()?;
        return Ok(None);
    }
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
    Ok(Some(Run::new(&options, settings, (network, spec))?))
}

impl TrainArgs {
    /// Where steps are computed.
    pub fn devices(&self) -> Vec<&DeviceName> {
        match self.more.devices.as_slice() {
            [] => vec![&self.compute.device],
            devices => devices.iter().collect(),
        }
    }
}

/// What `--augmentation` names.
enum Changes {
    Named(Level),
    Written(Box<Augmentation>),
}

impl Changes {
    fn parse(name: &str) -> anyhow::Result<Self> {
        Ok(match name.parse::<Level>() {
            Ok(level) => Self::Named(level),
            Err(_) if Path::new(name).extension() == Some(OsStr::new("toml")) => {
                Self::Written(Box::new(Augmentation::load(name)?))
            }
            Err(unknown) => bail!("{unknown}; or name a TOML file"),
        })
    }
}

/// Whether a run can begin in this folder.
fn check_folder(folder: &Path, data: &Path) -> anyhow::Result<()> {
    Run::check_folder(folder, data)?;
    output::folder_can_be_made(folder)
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
    let devices = args.devices();
    Ok(RunSettings {
        device_names: devices.iter().map(ToString::to_string).collect(),
        devices: devices.into_iter().map(DeviceName::open).collect::<Result<_, _>>()?,
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

/// Ctrl-C finishes the step and saves; a second one ends at once. Returns where the signal's number will be, 0 until then.
fn stop_on_signal(interrupter: &Interrupter) -> anyhow::Result<Arc<AtomicU8>> {
    let interrupter = interrupter.clone();
    let number = Arc::new(AtomicU8::new(0));
    let told = Arc::clone(&number);
    let mut signals = Signals::new([SIGINT, SIGTERM]).context("cannot listen for Ctrl-C")?;
    std::thread::spawn(move || {
        for signal in signals.forever() {
            if interrupter.should_stop() {
                std::process::exit(128 + signal);
            }
            output::complain("stopping", "the step is finished and saved; press again to end at once");
            told.store(u8::try_from(signal).unwrap_or_default(), Ordering::Relaxed);
            interrupter.stop(Some("interrupted"));
        }
    });
    Ok(number)
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

    /// Now and then: pictures are checked by the hundred, on several threads.
    fn check(&self, done: usize, total: usize) {
        if done.is_multiple_of(10) {
            self.advance(done, total, "checking the pictures".to_owned());
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
        Event::Check { done, total } => display.check(done, total),
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
