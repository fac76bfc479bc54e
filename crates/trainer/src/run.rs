//! A run: its folder, its start, and how it goes on after a stop.

use std::fs;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::store::ModuleSnapshot;
use burn::tensor::{Device, Tensor};
use burn::train::Interrupter;
use burn::train::renderer::MetricsRenderer;
use files::{Lock, Sha256};
use serde::{Deserialize, Serialize};
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{Classifier, InferenceNetwork, InputSpec, ModelSpec, Network, NewHead, Outputs};

use crate::augment::Augmentation;
use crate::card::{self, CARD};
use crate::checkpoint::{Checkpoints, Progress};
use crate::data::{DataOptions, DataReport, Dataset, Known, Split, class_weights};
use crate::ema::Ema;
use crate::engine::{self, End, Event, Observer, Shared, Weights, Work};
use crate::error::{TrainError, toml_problem};
use crate::explain;
use crate::feed::{Features, Feed, Order, Source, numbers};
use crate::finder::{self, FinderOptions, Found};
use crate::layers;
use crate::learner::{NetworkInput, Objective, Trainee};
use crate::metrics::{EpochRow, Evaluation, Predictions, Task, write_epochs};
use crate::pipeline::{Cache, Pipeline, PipelineOptions};
use crate::plots;
use crate::quiet::Quiet;
use crate::random::{Purpose, Random};
use crate::recipe::{Inputs, Phase, Recipe, Start, Trains};
use crate::report::{self, ReportData};
use crate::schedule::Length;
use crate::steps::StepLog;

/// All that decides what a run computes: `run.toml`.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RunFile {
    /// The version of this crate that began it.
    pub version: String,
    /// When it began, RFC 3339.
    pub started: String,
    /// The folder or table of pictures.
    pub data: PathBuf,
    /// What the pictures are and how they were split ([`Dataset::fingerprint`]).
    pub fingerprint: String,
    /// Decides every random number.
    pub seed: u64,
    /// Whether rare classes weigh more in the loss.
    pub class_weights: bool,
    /// Whether classes are drawn equally often.
    pub balanced: bool,
    /// SHA-256 over the names, shapes and values of the weights that it was given, or drew: the same for the same weights,
    /// whatever file they came from.
    pub weights_sha256: String,
    /// What computed.
    pub environment: Environment,
    /// How the data was opened.
    pub data_options: DataOptions,
    /// What happens to pictures.
    pub augmentation: Augmentation,
    /// The network, its input and its labels, with where its weights started.
    pub model: ModelSpec,
    /// What is done.
    pub recipe: Recipe,
}

/// What a run began to compute on. The numbers of others are as right, and differ in their last bits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Environment {
    /// Burn's version.
    pub burn: String,
    /// Threads that compute, on a processor.
    pub threads: usize,
    /// The devices; a batch each makes an update.
    pub devices: Vec<String>,
    /// Whether activations were computed again for the backward pass.
    pub gradient_checkpointing: bool,
}

impl Environment {
    fn of(settings: &RunSettings) -> Self {
        Self {
            burn: BURN.to_owned(),
            threads: rayon::current_num_threads(),
            devices: settings.names(),
            gradient_checkpointing: settings.gradient_checkpointing,
        }
    }

    /// Whether a run that began here can go on in `now`, and what to say about it.
    fn admits(&self, now: &Self) -> Result<Vec<String>, String> {
        let counted = |devices: &[String]| match devices.len() {
            1 => "one device".to_owned(),
            count => format!("{count} devices"),
        };
        if self.devices.len() != now.devices.len() {
            return Err(format!(
                "the run computes on {}, a batch each makes an update, and {} is given: name as many as it began with ({})",
                counted(&self.devices),
                counted(&now.devices),
                self.devices.join(", ")
            ));
        }
        let mut differences = Vec::new();
        let mut differs = |what: &str, began: String, goes_on: String| {
            if began != goes_on {
                differences.push(format!(
                    "the run began with {what} {began} and goes on with {goes_on}: the last bits of its numbers may differ \
                     from those of a run that was not stopped"
                ));
            }
        };
        differs("threads:", self.threads.to_string(), now.threads.to_string());
        differs("devices:", self.devices.join(", "), now.devices.join(", "));
        differs("Burn", self.burn.clone(), now.burn.clone());
        Ok(differences)
    }
}

/// What a person chooses for a new run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A folder a class, or a CSV.
    pub data: PathBuf,
    /// How it is opened.
    pub data_options: DataOptions,
    /// The run's folder; it must not exist, or be empty, and not lie in the data.
    pub folder: PathBuf,
    /// What is done.
    pub recipe: Recipe,
    /// What happens to pictures, instead of the recipe's.
    pub augmentation: Option<Augmentation>,
    /// Height and width of the network's input; `None` for the starting network's.
    pub size: Option<usize>,
    /// How pictures are brought to it.
    pub preset: Preset,
    /// Decides every random number.
    pub seed: u64,
    /// Whether rare classes weigh more in the loss.
    pub class_weights: bool,
    /// Whether classes are drawn equally often.
    pub balanced: bool,
}

impl RunOptions {
    /// A run of `recipe` on `data` in `folder`, nothing special.
    pub fn new(data: impl Into<PathBuf>, folder: impl Into<PathBuf>, recipe: Recipe) -> Self {
        Self {
            data: data.into(),
            data_options: DataOptions::default(),
            folder: folder.into(),
            recipe,
            augmentation: None,
            size: None,
            preset: Preset::PilBilinear,
            seed: 42,
            class_weights: false,
            balanced: false,
        }
    }
}

impl RunSettings {
    /// All cores, no picture cache, a checkpoint at least every ten minutes of which two are kept, told to nobody.
    pub fn new(device: Device) -> Self {
        Self {
            devices: vec![device],
            device_names: Vec::new(),
            gradient_checkpointing: false,
            workers: std::thread::available_parallelism().map_or(1, usize::from),
            cache: Cache::None,
            checkpoint_every: Duration::from_mins(10),
            keep: 2,
            budget: None,
            interrupter: Interrupter::new(),
            observer: Arc::new(|_| {}),
        }
    }

    /// A device as steps use it.
    fn training(&self, device: &Device) -> Device {
        let device = if device.is_autodiff() {
            device.clone()
        } else {
            device.clone().autodiff()
        };
        if self.gradient_checkpointing {
            device.gradient_checkpointing()
        } else {
            device
        }
    }

    fn check(&self) -> Result<(), TrainError> {
        if self.devices.is_empty() {
            Err(TrainError::Engine("it was given no device".to_owned()))
        } else {
            Ok(())
        }
    }

    /// The device that holds the weights.
    ///
    /// # Panics
    ///
    /// Without any device.
    pub fn device(&self) -> &Device {
        &self.devices[0]
    }

    fn names(&self) -> Vec<String> {
        let described = |device: &Device| format!("{:?}", device.clone().inner());
        let named = self.device_names.iter().take(self.devices.len()).cloned();
        let unnamed = self.devices.iter().skip(self.device_names.len()).map(described);
        named.chain(unnamed).collect()
    }
}

/// What may differ between a run and its resumption without changing a number.
#[derive(Clone)]
pub struct RunSettings {
    /// Where it computes: several devices of one kind work on a batch each, and their gradients are averaged.
    pub devices: Vec<Device>,
    /// What `run.toml` calls them, in their order; in Burn's words those that have no name here.
    pub device_names: Vec<String>,
    /// Whether activations are computed again for the backward pass instead of kept, where Burn can: less memory, more time.
    pub gradient_checkpointing: bool,
    /// Threads that decode and augment.
    pub workers: usize,
    /// Where decoded pictures are kept.
    pub cache: Cache,
    /// The longest time without a checkpoint.
    pub checkpoint_every: Duration,
    /// Checkpoints that are kept.
    pub keep: usize,
    /// The run's whole time, without that in which it was stopped. When it is used up the run ends with its best weights and
    /// its report, and can be resumed with a larger one.
    pub budget: Option<Duration>,
    /// Stops the run.
    pub interrupter: Interrupter,
    /// Is told what happens.
    pub observer: Observer,
}

/// A run that is ready to train.
pub struct Run {
    folder: PathBuf,
    file: RunFile,
    settings: RunSettings,
    dataset: Arc<Dataset>,
    report: DataReport,
    weights: Weights,
    progress: Progress,
    /// Keeps a second process out for as long as the run is open.
    _lock: Lock,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where it stands.
    pub progress: Progress,
    /// Whether it ended, with its best weights judged and written; else it was stopped, and can be resumed.
    pub complete: bool,
    /// Whether it ended because its time was up: it can be resumed with more.
    pub time_up: bool,
    /// How good its best weights are, and on which split; of a complete run.
    pub evaluation: Option<(Split, Evaluation)>,
    /// What they said about each picture of that split.
    pub predictions: Option<Predictions>,
    /// The best weights' network.
    pub model: Network,
}

/// Burn's version: the workspace's `Cargo.toml` pins it, and a test compares.
pub const BURN: &str = "0.22.1";
/// The file that makes a folder a run's.
pub const RUN_FILE: &str = "run.toml";
const LOCK: &str = ".lock";
const CHECKPOINTS: &str = "checkpoints";
/// How many of the surest mistakes and of the surest right answers a report shows.
const EXAMPLES: [usize; 2] = [12, 8];
/// Pictures that go through the network at once where nothing is learnt.
const INFERENCE_BATCH: usize = 8;
/// Features that go through the head at once where nothing is learnt.
const HEAD_BATCH: usize = 256;
/// The pictures, their labels and their split, as a table that `xception train` reads.
const DATA: &str = "data.csv";
/// What the last check of the pictures found, so that a resumed run need not decode them all again.
const CHECKED: &str = "checked.csv";
const METRICS: &str = "metrics.csv";
const STEPS: &str = "steps.csv";
const FEATURES: &str = "features";
/// The best weights, with all that is needed to classify.
pub const MODEL: &str = "model.bpk";
/// The last weights.
pub const LAST_MODEL: &str = "last.bpk";
/// The last weights' moving average, where a recipe keeps one.
pub const EMA_MODEL: &str = "ema.bpk";

impl Run {
    /// Begins a run: reads the data, makes the network, writes the folder.
    ///
    /// `start` is the trained network to begin with; a recipe that starts at random takes only its shape.
    ///
    /// # Errors
    ///
    /// [`TrainError`] for unfit data, a folder in use, or a recipe that the network cannot follow.
    pub fn new(options: &RunOptions, settings: RunSettings, start: (Network, ModelSpec)) -> Result<Self, TrainError> {
        settings.check()?;
        let RunOptions { folder, recipe, .. } = options;
        recipe.validate().map_err(|problem| TrainError::Recipe {
            recipe: recipe.name.clone(),
            problem,
        })?;
        Self::check_folder(folder, &options.data)?;
        let (dataset, report, known) = Dataset::open_known(
            &options.data,
            &options.data_options,
            &Known::default(),
            &|done, total| {
                (settings.observer)(Event::Check { done, total });
            },
        )?;
        let mut augmentation = options.augmentation.clone().unwrap_or_else(|| {
            let size = options.size.unwrap_or(start.1.input.height);
            Augmentation::named(recipe.augmentation, size, options.preset)
        });
        augmentation.scaling = start.1.input.scaling;
        fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
        let lock = lock(folder)?;

        let (network, spec, weights_sha256) = network(options, start, &dataset, &augmentation, settings.device())?;
        let file = RunFile {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: now(),
            data: fs::canonicalize(&options.data).map_err(TrainError::file(&options.data))?,
            fingerprint: dataset.fingerprint(),
            seed: options.seed,
            class_weights: options.class_weights,
            balanced: options.balanced,
            weights_sha256,
            environment: Environment::of(&settings),
            data_options: options.data_options.clone(),
            augmentation,
            model: spec,
            recipe: recipe.clone(),
        };
        let trainee = layers::trained_on(
            Trainee::new(network, objective(&file, &dataset)),
            &settings.training(settings.device()),
        );
        let weights = Weights {
            trainee,
            ema: None,
            best: None,
            published: None,
            optimizer: None,
        };
        let run = Self {
            folder: folder.clone(),
            settings,
            dataset: Arc::new(dataset),
            report,
            weights,
            progress: Progress::default(),
            file,
            _lock: lock,
        };
        // From here on the starting weights are not needed any more.
        run.checkpoints().save(
            &run.progress,
            run.weights.trainee.network.clone().into_record(),
            None,
            None,
            None,
        )?;
        files::write(
            &folder.join(DATA),
            true,
            &table(&run.dataset).map_err(TrainError::file(&folder.join(DATA)))?,
        )?;
        known.write(&folder.join(CHECKED))?;
        let text = toml::to_string(&run.file).map_err(|error| TrainError::run(folder, error.to_string()))?;
        files::write(&folder.join(RUN_FILE), true, text.as_bytes())?;
        Ok(run)
    }

    /// Whether a run on `data` can begin in `folder`: [`new`](Self::new) asks this first.
    ///
    /// # Errors
    ///
    /// [`TrainError::Run`] for a folder in which something is, which is no folder, or which lies in the data.
    pub fn check_folder(folder: &Path, data: &Path) -> Result<(), TrainError> {
        let wrong = |problem: &str| Err(TrainError::run(folder, problem));
        if folder.join(RUN_FILE).exists() {
            return wrong("there is a run in this folder already: go on with --resume, or name another with --output");
        }
        if folder.exists() && !folder.is_dir() {
            return wrong("this is no folder: name another with --output");
        }
        // What is trained on would grow by what is written.
        if data.is_dir() && resolved(folder).starts_with(resolved(data)) {
            return wrong("the folder lies in the data: name another with --output");
        }
        if folder.is_dir() {
            for entry in fs::read_dir(folder).map_err(TrainError::file(folder))? {
                let name = entry.map_err(TrainError::file(folder))?.file_name();
                if name != LOCK {
                    return wrong("the folder is not empty: empty it, or name another with --output");
                }
            }
        }
        Ok(())
    }

    /// Goes on with a run that was stopped, from its last whole checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainError`] when the folder holds no run, its data has changed, or no checkpoint is whole.
    pub fn resume(folder: &Path, settings: RunSettings) -> Result<Self, TrainError> {
        settings.check()?;
        let path = folder.join(RUN_FILE);
        if folder.is_file() {
            let problem = format!("this is a file, and no run's folder; a run's folder holds {RUN_FILE}");
            return Err(TrainError::run(folder, problem));
        }
        let text = fs::read_to_string(&path)
            .map_err(|error| TrainError::run(folder, format!("{RUN_FILE} cannot be read: {error}")))?;
        let file: RunFile = toml::from_str(&text)
            .map_err(|error| TrainError::run(folder, format!("{RUN_FILE}, {}", toml_problem(&text, &error))))?;
        file.recipe
            .validate()
            .map_err(|problem| TrainError::run(folder, format!("{RUN_FILE}: {problem}")))?;
        let differences = file
            .environment
            .admits(&Environment::of(&settings))
            .map_err(|problem| TrainError::run(folder, problem))?;
        for difference in differences {
            (settings.observer)(Event::Warning(difference));
        }
        let lock = lock(folder)?;
        let known = Known::read(&folder.join(CHECKED));
        let (dataset, report, checked) =
            Dataset::open_known(&file.data, &file.data_options, &known, &|done, total| {
                (settings.observer)(Event::Check { done, total });
            })?;
        if dataset.fingerprint() != file.fingerprint {
            return Err(TrainError::run(
                folder,
                format!(
                    "the pictures of {} are not those the run began with: restore them, or begin a new run",
                    file.data.display()
                ),
            ));
        }
        // They only save time.
        if checked != known
            && let Err(error) = checked.write(&folder.join(CHECKED))
        {
            (settings.observer)(Event::Warning(error.to_string()));
        }
        let checkpoints = Checkpoints::new(folder.join(CHECKPOINTS), settings.keep);
        let (loaded, warnings) = checkpoints.load()?;
        for warning in warnings {
            (settings.observer)(Event::Warning(warning));
        }
        let loaded = loaded.ok_or_else(|| TrainError::run(folder, "no checkpoint is whole: begin a new run"))?;
        let network = || file.model.network.init(settings.device());
        let trainee = layers::trained_on(
            Trainee::new(network()?.load_record(loaded.model), objective(&file, &dataset)),
            &settings.training(settings.device()),
        );
        let optimizer = match (loaded.optimizer, file.recipe.phases.get(loaded.progress.phase)) {
            (Some(record), Some(phase)) => Some(layers::optimizer(&trainee, phase).load_record(record)),
            _ => None,
        };
        let ema = match (
            loaded.ema,
            file.recipe
                .phases
                .get(loaded.progress.phase)
                .and_then(|phase| phase.ema),
        ) {
            (Some(record), Some(decay)) => Some(Ema::resume(
                network()?.load_record(record).valid(),
                decay,
                loaded.progress.ema_updates,
            )),
            _ => None,
        };
        let best = match loaded.best {
            Some(record) => Some(network()?.load_record(record).valid()),
            None => None,
        };
        Ok(Self {
            folder: folder.to_owned(),
            settings,
            dataset: Arc::new(dataset),
            report,
            weights: Weights {
                trainee,
                ema,
                best,
                published: None,
                optimizer,
            },
            progress: loaded.progress,
            file,
            _lock: lock,
        })
    }

    /// Its folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// What it computes.
    pub fn file(&self) -> &RunFile {
        &self.file
    }

    /// The data's counts and troubles.
    pub fn report(&self) -> &DataReport {
        &self.report
    }

    /// The data.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// Where it stands.
    pub fn progress(&self) -> &Progress {
        &self.progress
    }

    /// Trains to the end, or until it is stopped. `renderer` is Burn's dashboard, if one is wanted.
    ///
    /// # Errors
    ///
    /// [`TrainError`]; the last checkpoint is whole whatever happens.
    pub fn train(mut self, renderer: Option<Box<dyn MetricsRenderer>>) -> Result<Outcome, TrainError> {
        let mut renderer = renderer.unwrap_or_else(|| Box::new(Quiet));
        let mut steps = StepLog::open(&self.folder.join(STEPS), self.progress.step)?;
        // It is of the weights that there were, and written anew at the end.
        files::remove(&self.folder.join(CARD))?;
        let shared = self.shared();
        let recipe = self.file.recipe.clone();
        while let Some(phase) = recipe.phases.get(self.progress.phase) {
            let work = match self.work(phase, &shared, steps)? {
                ControlFlow::Continue(work) => work,
                ControlFlow::Break(end) => return self.end(end),
            };
            let end;
            (steps, renderer, end) = self.work_through(work, renderer)?;
            if end != End::Complete {
                return self.end(end);
            }
        }
        self.end(End::Complete)
    }

    /// Trains a phase, and where it is complete gets ready for the next.
    fn work_through(
        &mut self,
        work: Work,
        renderer: Box<dyn MetricsRenderer>,
    ) -> Result<(StepLog, Box<dyn MetricsRenderer>, End), TrainError> {
        let (work, end, renderer) = engine::run(work, renderer)?;
        let Work {
            weights,
            progress,
            steps,
            ..
        } = work;
        (self.weights, self.progress) = (weights, progress);
        if end == End::Complete {
            self.next_phase()?;
        }
        Ok((steps, renderer, end))
    }

    /// Looks for a learning rate for the last phase: trains while the rate rises, and plots the loss. The phases before it
    /// are trained first, since a head that knows nothing would ask for the rate of a head. The run is of no use afterwards:
    /// let it have a folder of its own.
    ///
    /// # Errors
    ///
    /// [`TrainError`] as for training, or for a plot that cannot be written.
    pub fn find_rate(mut self, options: FinderOptions, plot: &Path) -> Result<Found, TrainError> {
        let shared = self.shared();
        let stopped = || TrainError::Engine("it was stopped".to_owned());
        let mut steps = StepLog::open(&self.folder.join(STEPS), self.progress.step)?;
        let phases = self.file.recipe.phases.clone();
        let mut renderer: Box<dyn MetricsRenderer> = Box::new(Quiet);
        loop {
            let (number, last) = (self.progress.phase, self.progress.phase + 1 >= phases.len());
            let phase = phases.get(number).ok_or_else(stopped)?;
            let ControlFlow::Continue(work) = self.work(phase, &shared, steps)? else {
                return Err(stopped());
            };
            if last {
                let found = finder::find(work, &shared, options)?;
                plots::lr_finder(&found.curve, found.suggestion, plot)?;
                return Ok(found);
            }
            let end;
            (steps, renderer, end) = self.work_through(work, renderer)?;
            if end != End::Complete {
                return Err(stopped());
            }
        }
    }

    fn shared(&self) -> Arc<Shared> {
        Arc::new(Shared {
            folder: self.folder.clone(),
            devices: self
                .settings
                .devices
                .iter()
                .map(|device| self.settings.training(device))
                .collect(),
            seed: self.file.seed,
            checkpoints: self.checkpoints(),
            checkpoint_every: self.settings.checkpoint_every,
            budget: self.settings.budget,
            interrupter: self.settings.interrupter.clone(),
            observer: self.metrics_writer(),
            spec: self.file.model.clone(),
        })
    }

    fn end(self, end: End) -> Result<Outcome, TrainError> {
        match end {
            End::Complete => self.finish(false),
            End::TimeUp => {
                self.save_last()?;
                self.finish(true)
            }
            End::Stopped => Ok(self.stopped()),
        }
    }

    fn stopped(self) -> Outcome {
        Outcome {
            complete: false,
            time_up: false,
            evaluation: None,
            predictions: None,
            model: self
                .weights
                .best
                .unwrap_or_else(|| self.weights.trainee.network.valid()),
            progress: self.progress,
        }
    }

    fn checkpoints(&self) -> Checkpoints {
        Checkpoints::new(self.folder.join(CHECKPOINTS), self.settings.keep)
    }

    /// Tells the observer, and keeps `metrics.csv` up to date.
    fn metrics_writer(&self) -> Observer {
        let observer = Arc::clone(&self.settings.observer);
        let path = self.folder.join(METRICS);
        let rows = std::sync::Mutex::new(self.progress.rows.clone());
        Arc::new(move |event| {
            if let Event::Epoch(row) = &event
                && let Ok(mut rows) = rows.lock()
            {
                rows.push(row.clone());
                if let Err(error) = write_metrics(&path, &rows) {
                    observer(Event::Warning(error.to_string()));
                }
            }
            observer(event);
        })
    }

    /// Writes the last weights and their average.
    fn save_last(&self) -> Result<(), TrainError> {
        let save = |network: &Network, name: &str| {
            xception_model::save(network, &self.file.model, &self.folder.join(name), true)
        };
        save(&self.weights.trainee.network.valid(), LAST_MODEL)?;
        if let Some(ema) = &self.weights.ema {
            save(ema.network(), EMA_MODEL)?;
        }
        Ok(())
    }

    /// The next phase starts from the best weights so far.
    fn next_phase(&mut self) -> Result<(), TrainError> {
        if self.progress.phase + 1 == self.file.recipe.phases.len() {
            self.save_last()?;
        }
        if let Some(best) = self.weights.best.clone() {
            let objective = self.weights.trainee.objective().clone();
            let device = self.settings.training(self.settings.device());
            self.weights.trainee = layers::trained_on(Trainee::new(best, objective), &device);
        }
        self.weights.optimizer = None;
        self.weights.ema = None;
        self.progress = Progress {
            phase: self.progress.phase + 1,
            step: self.progress.step,
            seconds: self.progress.seconds,
            best: self.progress.best.take(),
            rows: std::mem::take(&mut self.progress.rows),
            ..Progress::default()
        };
        self.checkpoints().save(
            &self.progress,
            self.weights.trainee.network.clone().into_record(),
            None,
            self.weights.best.as_ref().map(|best| best.clone().into_record()),
            None,
        )
    }

    /// A phase, ready to be worked on; or why the run ends on the way to it.
    fn work(
        &mut self,
        phase: &Phase,
        shared: &Arc<Shared>,
        steps: StepLog,
    ) -> Result<ControlFlow<End, Work>, TrainError> {
        let wrong = |problem: String| TrainError::Recipe {
            recipe: self.file.recipe.name.clone(),
            problem: format!("phase `{}`: {problem}", phase.name),
        };
        let start = Instant::now();
        let trainee = layers::prepare(self.weights.trainee.clone(), phase).map_err(wrong)?;
        let classes = self.dataset.classes.len();
        let device = &shared.devices[0];
        let inner = device.clone().inner();
        let (train, valid) = match (&phase.trains, phase.inputs) {
            (Trains::Head, inputs) => {
                let backbone = backbone(&trainee.network, &inner);
                let valid = match self.features(Split::Val, &backbone, shared, start)? {
                    ControlFlow::Continue(features) => features,
                    ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
                };
                let valid_order = Order {
                    batch_size: HEAD_BATCH,
                    shuffle: None,
                };
                let train = match inputs {
                    Inputs::Pictures => Source::Frozen(self.training(phase)?, Box::new(backbone)),
                    Inputs::Features => {
                        let features = match self.features(Split::Train, &backbone, shared, start)? {
                            ControlFlow::Continue(features) => features,
                            ControlFlow::Break(end) => return Ok(ControlFlow::Break(end)),
                        };
                        Source::Features(
                            features,
                            Order {
                                batch_size: phase.batch_size,
                                shuffle: Some(self.file.seed),
                            },
                        )
                    }
                };
                (train, (valid.len() > 0).then_some(Source::Features(valid, valid_order)))
            }
            _ => (
                Source::Pictures(self.training(phase)?),
                self.evaluation(Split::Val)?.map(Source::Pictures),
            ),
        };
        let valid = valid.map(|source| Feed::new(source, classes, &inner));
        let average = || phase.ema.map(|decay| Ema::new(&trainee.network, decay));
        let ema = self.weights.ema.take().or_else(average);
        self.progress.seconds += start.elapsed().as_secs_f64();
        let train = Feed::new(train, classes, device);
        let samples = burn::data::dataloader::DataLoader::num_items(&train);
        Ok(ControlFlow::Continue(Work {
            shared: Arc::clone(shared),
            length: Length {
                updates_per_epoch: samples
                    .div_ceil(phase.batch_size)
                    .div_ceil(phase.accumulate * shared.devices.len()),
                samples_per_epoch: samples,
                epochs: phase.epochs,
            },
            epochs_before: self.file.recipe.phases[..self.progress.phase]
                .iter()
                .map(|phase| phase.epochs)
                .sum(),
            train,
            valid,
            weights: Weights {
                trainee,
                ema,
                best: self.weights.best.take(),
                published: self.weights.published,
                optimizer: self.weights.optimizer.take(),
            },
            progress: std::mem::take(&mut self.progress),
            phase: phase.clone(),
            steps,
        }))
    }

    /// The training split, augmented.
    fn training(&self, phase: &Phase) -> Result<Pipeline, TrainError> {
        self.pipeline(Split::Train, phase.batch_size, true)
    }

    /// A split as for evaluation; `None` without pictures.
    fn evaluation(&self, split: Split) -> Result<Option<Pipeline>, TrainError> {
        let pipeline = self.pipeline(split, INFERENCE_BATCH, false)?;
        Ok((!pipeline.is_empty()).then_some(pipeline))
    }

    fn pipeline(&self, split: Split, batch_size: usize, training: bool) -> Result<Pipeline, TrainError> {
        let options = PipelineOptions {
            augmentation: self.file.augmentation.clone(),
            training,
            batch_size,
            seed: self.file.seed,
            balanced: self.file.balanced,
            workers: self.settings.workers,
            cache: self.settings.cache.clone(),
        };
        Ok(Pipeline::new(Arc::clone(&self.dataset), split, options)?)
    }

    /// A split's features: kept ones, or computed once and kept; or why the run ends meanwhile. What is done by then is kept.
    /// The run has worked on the phase since `start`.
    fn features(
        &self,
        split: Split,
        backbone: &InferenceNetwork,
        shared: &Shared,
        start: Instant,
    ) -> Result<ControlFlow<End, Features>, TrainError> {
        let total = self.dataset.count(split);
        let none = Features::none(backbone.network().embedding_len()?, self.dataset.classes.len());
        let Some(pipeline) = self.evaluation(split)? else {
            return Ok(ControlFlow::Continue(none));
        };
        let folder = self.folder.join(FEATURES);
        fs::create_dir_all(&folder).map_err(TrainError::file(&folder))?;
        let keeps = self.backbone_is_untouched(self.progress.phase);
        let kept = if keeps { self.kept_features(split) } else { None };
        let kept = kept.filter(|kept| (kept.width, kept.classes) == (none.width, none.classes));
        let known = kept.as_ref().map_or(0, Features::len);
        let keep = |features: &Features| {
            if keeps
                && features.len() > known
                && let Err(error) = features.save(&self.features_file(split), &self.features_of(split))
            {
                // They only save time.
                (self.settings.observer)(Event::Warning(error.to_string()));
            }
        };
        let device = shared.devices[0].clone().inner();
        let mut saved = Instant::now();
        let mut end = None;
        let features = kept
            .unwrap_or(none)
            .complete(&pipeline, backbone, &device, |features| {
                let done = features.len();
                (self.settings.observer)(Event::Features { done, total });
                end = shared.must_stop(self.progress.seconds + start.elapsed().as_secs_f64());
                if saved.elapsed() >= shared.checkpoint_every {
                    keep(features);
                    saved = Instant::now();
                }
                end.is_none()
            })?;
        keep(&features);
        Ok(match end {
            // It was about to end anyway.
            Some(end) if features.len() < total => ControlFlow::Break(end),
            _ => ControlFlow::Continue(features),
        })
    }

    /// Whether phases up to this one leave the backbone as it was at the run's start.
    fn backbone_is_untouched(&self, phase: usize) -> bool {
        let mut phases = self.file.recipe.phases.iter().take(phase + 1);
        phases.all(|phase| phase.trains == Trains::Head)
    }

    fn features_file(&self, split: Split) -> PathBuf {
        self.folder.join(FEATURES).join(format!("{}.bpk", split.name()))
    }

    /// All that a split's features follow from.
    fn features_of(&self, split: Split) -> String {
        let file = &self.file;
        let eval = file.augmentation.eval;
        format!(
            "{} {split} pictures of {}, {} at {}, by {}",
            self.dataset.count(split),
            file.fingerprint,
            eval.preset,
            eval.size,
            file.weights_sha256
        )
    }

    /// What there is of a split's features.
    fn kept_features(&self, split: Split) -> Option<Features> {
        let path = self.features_file(split);
        match Features::load(&path, &self.features_of(split)) {
            Ok(kept) => kept.filter(|kept| kept.len() <= self.dataset.count(split)),
            Err(problem) => {
                let warning = format!("{}: {problem}; the features are computed again", path.display());
                (self.settings.observer)(Event::Warning(warning));
                None
            }
        }
    }

    /// Writes the best weights and judges them.
    fn finish(self, time_up: bool) -> Result<Outcome, TrainError> {
        let model = self
            .weights
            .best
            .clone()
            .unwrap_or_else(|| self.weights.trainee.network.valid());
        let split = match self.dataset.count(Split::Test) {
            0 => Split::Val,
            _ => Split::Test,
        };
        xception_model::save(&model, &self.file.model, &self.folder.join(MODEL), true)?;
        let (mut evaluation, mut predictions) = (None, None);
        if self.dataset.count(split) > 0 {
            let found = self.predict(&model, split)?;
            let judged = Evaluation::new(&found).map_err(|error| TrainError::run(&self.folder, error.to_string()))?;
            self.report_on(&model, split, &judged, &found)?;
            evaluation = Some((split, judged));
            predictions = Some(found);
        }
        let figures = evaluation.as_ref().map(|(split, judged)| (*split, judged));
        card::write(&self.folder, &self.file, &model, figures, now())?;
        Ok(Outcome {
            complete: true,
            time_up,
            evaluation,
            predictions,
            model,
            progress: self.progress,
        })
    }

    /// What a person looks at: `report.html` and the plots.
    fn report_on(
        &self,
        model: &Network,
        split: Split,
        evaluation: &Evaluation,
        predictions: &Predictions,
    ) -> Result<(), TrainError> {
        let plot = |name: &str| self.folder.join(name);
        let rows = &self.progress.rows;
        if !rows.is_empty() {
            plots::curves(rows, &plot("curves.png"))?;
        }
        // Several labels a picture have no such matrix.
        if matches!(&evaluation.task, Task::Single { confusion: Some(_), .. }) {
            plots::confusion_matrix(evaluation, &plot("confusion_matrix.png"))?;
        }
        let file = &self.file;
        let classifier = Classifier::new(model, file.model.clone());
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let best = self.progress.best.as_ref().map_or_else(
            || "the last weights".to_owned(),
            |best| {
                let which = if best.ema { "averaged weights" } else { "weights" };
                format!("{which} of epoch {}, by validation loss", best.row + 1)
            },
        );
        let data = ReportData {
            root: self.dataset.root.clone(),
            title: file
                .data
                .file_stem()
                .map_or_else(String::new, |name| name.to_string_lossy().into_owned()),
            facts: vec![
                fact("recipe", file.recipe.name.clone()),
                fact("weights", best),
                fact(
                    "pictures",
                    Split::ALL
                        .map(|split| format!("{} {split}", self.dataset.count(split)))
                        .join(", "),
                ),
                fact("time", format!("{:.0} s", self.progress.seconds)),
            ],
            details: vec![
                fact("run", toml::to_string(file).unwrap_or_default()),
                fact("data", self.report.to_string()),
            ],
            epochs: rows.clone(),
            judged: format!("{} pictures of the {split} split", predictions.len()),
            evaluation: evaluation.clone(),
            examples: explain::examples(&classifier, predictions, evaluation, EXAMPLES)?,
        };
        Ok(report::write(&plot("report.html"), &data)?)
    }

    fn predict(&self, model: &Network, split: Split) -> Result<Predictions, TrainError> {
        let device = self.settings.device();
        let probability = |logits: Tensor<2>| numbers(self.file.model.outputs.probabilities(logits));
        let mut probabilities = Vec::new();
        let kept = if self.backbone_is_untouched(self.progress.phase) {
            self.kept_features(split)
        } else {
            None
        };
        let whole = kept.filter(|kept| kept.len() == self.dataset.count(split));
        if let Some(features) = whole {
            // The backbone has seen these pictures.
            let rows: Vec<usize> = (0..features.len()).collect();
            for rows in rows.chunks(HEAD_BATCH) {
                if let NetworkInput::Features(features) = features.rows(rows, device).input {
                    probabilities.extend(probability(model.forward_head(features)?));
                }
            }
        } else {
            let fused = model.fuse();
            let pipeline = self.evaluation(split)?;
            for batch in pipeline.iter().flat_map(|pipeline| pipeline.epoch(0, 0)) {
                let batch = batch?;
                let shape = [batch.indices.len(), 3, batch.height, batch.width];
                let pictures = Tensor::from_data(burn::tensor::TensorData::new(batch.pixels, shape), device);
                probabilities.extend(probability(fused.forward(pictures)?));
            }
        }
        let samples = self.dataset.indices(split);
        let samples = samples.iter().map(|&index| &self.dataset.samples[index]);
        Ok(Predictions {
            classes: self.dataset.classes.clone(),
            multi_label: self.dataset.multi_label,
            paths: samples.clone().map(|sample| sample.path.clone()).collect(),
            truths: samples.map(|sample| sample.labels.clone()).collect(),
            probabilities,
        })
    }
}

/// The backbone alone, for inference.
fn backbone(network: &Network, device: &Device) -> InferenceNetwork {
    network.valid().to_device(device).fuse()
}

fn objective(file: &RunFile, dataset: &Dataset) -> Objective {
    Objective {
        multi_label: dataset.multi_label,
        label_smoothing: file.recipe.label_smoothing,
        class_weights: file.class_weights.then(|| class_weights(dataset)),
    }
}

/// The network to train, what it is, and the hash of what it starts with: the given one's backbone with a new classifier, or
/// a new one of its shape.
fn network(
    options: &RunOptions,
    (start, start_spec): (Network, ModelSpec),
    dataset: &Dataset,
    augmentation: &Augmentation,
    device: &Device,
) -> Result<(Network, ModelSpec, String), TrainError> {
    let recipe = &options.recipe;
    let channels = start.graph().in_channels();
    if channels != 3 {
        return Err(TrainError::Recipe {
            recipe: recipe.name.clone(),
            problem: format!("training takes RGB pictures, and this network takes {channels} channels"),
        });
    }
    let architecture = start.architecture().clone().with_classifier(&NewHead {
        num_classes: dataset.classes.len(),
        hidden_layers: recipe.hidden_layers.clone(),
        dropout: recipe.dropout,
    })?;
    device.seed(Random::new(options.seed, Purpose::Weights, 0, 0).seed());
    let fresh = architecture.init(device)?;
    let hash = match recipe.start {
        Start::Weights => weights_hash(&start)?,
        Start::Random => weights_hash(&fresh)?,
    };
    let network = match recipe.start {
        Start::Weights => fresh.with_backbone(start),
        Start::Random => fresh,
    };
    // A first forward pass finds out now what a size or a network would otherwise refuse in the first step.
    let size = augmentation.eval.size;
    for size in [augmentation.train.size, size] {
        network.summary(size, size)?;
    }
    let from = match recipe.start {
        Start::Weights => format!("from {}", start_spec.source),
        Start::Random => "from random weights".to_owned(),
    };
    let spec = ModelSpec {
        source: format!("trained on {} ({}) {from}", options.data.display(), recipe.name),
        outputs: if dataset.multi_label {
            Outputs::Sigmoid
        } else {
            Outputs::Softmax
        },
        input: InputSpec {
            height: size,
            width: size,
            preset: Some(augmentation.eval.preset),
            scaling: augmentation.scaling,
        },
        labels: dataset.classes.iter().map(Label::new).collect(),
        network: architecture,
    };
    Ok((network, spec, hash))
}

/// [`RunFile::weights_sha256`].
fn weights_hash(network: &Network) -> Result<String, TrainError> {
    let mut hash = Sha256::new();
    let mut tensors = network.collect(None, None, false);
    tensors.sort_by(|a, b| a.name.cmp(&b.name));
    for tensor in tensors {
        let (name, _, shape, _, bytes) = tensor
            .into_parts()
            .map_err(|error| TrainError::Engine(format!("the starting weights cannot be read: {error}")))?;
        hash.update(format!("{name} {:?}\n", shape.as_slice()));
        hash.update(&bytes[..]);
    }
    Ok(hash.finish().to_string())
}

/// Where a path leads, as far as it exists.
fn resolved(path: &Path) -> PathBuf {
    let path = std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    path.ancestors()
        .find_map(|ancestor| {
            let rest = path.strip_prefix(ancestor).ok()?;
            Some(fs::canonicalize(ancestor).ok()?.join(rest))
        })
        .unwrap_or_else(|| path.clone())
}

fn lock(folder: &Path) -> Result<Lock, TrainError> {
    Lock::try_take(&folder.join(LOCK))?
        .ok_or_else(|| TrainError::run(folder, "another process is training in this folder"))
}

fn table(dataset: &Dataset) -> std::io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    let label = if dataset.multi_label { "labels" } else { "label" };
    rows.write_record(["path", label, "split"])?;
    for sample in &dataset.samples {
        let labels: Vec<&str> = sample
            .labels
            .iter()
            .map(|&label| dataset.classes[label].as_str())
            .collect();
        let path = std::path::absolute(&sample.path)?;
        rows.write_record([&path.to_string_lossy(), labels.join(";").as_str(), sample.split.name()])?;
    }
    rows.into_inner().map_err(csv::IntoInnerError::into_error)
}

fn write_metrics(path: &Path, rows: &[EpochRow]) -> Result<(), TrainError> {
    let mut text = Vec::new();
    write_epochs(&mut text, rows).map_err(TrainError::file(path))?;
    Ok(files::write(path, true, &text)?)
}

fn now() -> String {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn burns_version_is_the_one_in_the_workspace() {
        let workspace = include_str!("../../../Cargo.toml");
        assert!(workspace.contains(&format!("burn = {{ version = \"={BURN}\"")));
    }
}
