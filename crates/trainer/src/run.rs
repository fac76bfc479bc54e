//! A run: its folder, its start, and how it goes on after a stop.

use std::fs::{self, File, TryLockError};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use burn::module::Module;
use burn::tensor::{Device, Tensor, activation};
use burn::train::Interrupter;
use burn::train::renderer::MetricsRenderer;
use serde::{Deserialize, Serialize};
use xception_model::labels::Label;
use xception_model::picture::Preset;
use xception_model::{Classifier, InferenceXception, InputSpec, ModelSpec, Pooling, Xception, XceptionConfig};

use crate::augment::Augmentation;
use crate::checkpoint::{Checkpoints, Progress};
use crate::data::{DataOptions, DataReport, Dataset, Split, class_weights};
use crate::ema::Ema;
use crate::engine::{self, End, Event, Observer, Shared, Weights, Work};
use crate::error::TrainError;
use crate::explain;
use crate::feed::{Features, Feed, Order, Source, numbers};
use crate::files;
use crate::finder::{self, FinderOptions, Found};
use crate::layers;
use crate::learner::{Objective, Trainee};
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
    /// How the data was opened.
    pub data_options: DataOptions,
    /// What happens to pictures.
    pub augmentation: Augmentation,
    /// The network, its input and its labels, with where its weights started.
    pub model: ModelSpec,
    /// What is done.
    pub recipe: Recipe,
}

/// What a person chooses for a new run.
#[derive(Clone, Debug)]
pub struct RunOptions {
    /// A folder a class, or a CSV.
    pub data: PathBuf,
    /// How it is opened.
    pub data_options: DataOptions,
    /// The run's folder; it must not exist, or be empty.
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
}

/// What may differ between a run and its resumption without changing a number.
#[derive(Clone)]
pub struct RunSettings {
    /// Where it computes: several devices of one kind work on a batch each, and their gradients are averaged.
    pub devices: Vec<Device>,
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
    /// The time after which the run stops as if it had been interrupted.
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
    _lock: File,
}

/// What a run came to.
#[derive(Clone, Debug)]
pub struct Outcome {
    /// Where it stands.
    pub progress: Progress,
    /// Whether it is done; else it can be resumed.
    pub complete: bool,
    /// How good its best weights are, and on which split; of a complete run.
    pub evaluation: Option<(Split, Evaluation)>,
    /// What they said about each picture of that split.
    pub predictions: Option<Predictions>,
    /// The best weights' network.
    pub model: Xception,
}

const RUN_FILE: &str = "run.toml";
const LOCK: &str = ".lock";
const CHECKPOINTS: &str = "checkpoints";
/// How many of the surest mistakes and of the surest right answers a report shows.
const EXAMPLES: [usize; 2] = [12, 8];
/// Pictures that go through the network at once where nothing is learnt.
const INFERENCE_BATCH: usize = 8;
/// The pictures, their labels and their split, as a table that `xception train` reads.
const DATA: &str = "data.csv";
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
    pub fn new(options: &RunOptions, settings: RunSettings, start: (Xception, ModelSpec)) -> Result<Self, TrainError> {
        settings.check()?;
        let RunOptions { folder, recipe, .. } = options;
        recipe.validate().map_err(|problem| TrainError::Recipe {
            recipe: recipe.name.clone(),
            problem,
        })?;
        if folder.join(RUN_FILE).exists() {
            return Err(TrainError::run(
                folder,
                "there is a run in this folder already: go on with --resume, or name another with --output",
            ));
        }
        let (dataset, report) = Dataset::open(&options.data, &options.data_options)?;
        let augmentation = options.augmentation.clone().unwrap_or_else(|| {
            let size = options.size.unwrap_or(start.1.input.height);
            Augmentation::named(recipe.augmentation, size, options.preset)
        });
        fs::create_dir_all(folder).map_err(TrainError::file(folder))?;
        let lock = lock(folder)?;

        let (network, spec) = network(options, start, &dataset, &augmentation, settings.device())?;
        let file = RunFile {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            started: now(),
            data: fs::canonicalize(&options.data).map_err(TrainError::file(&options.data))?,
            fingerprint: dataset.fingerprint(),
            seed: options.seed,
            class_weights: options.class_weights,
            balanced: options.balanced,
            data_options: options.data_options.clone(),
            augmentation,
            model: spec,
            recipe: recipe.clone(),
        };
        let trainee = Trainee::new(network, objective(&file, &dataset))
            .train()
            .fork(&settings.training(settings.device()));
        let weights = Weights {
            trainee,
            ema: None,
            best: None,
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
            &table(&run.dataset).map_err(TrainError::file(&folder.join(DATA)))?,
        )?;
        let text = toml::to_string(&run.file).map_err(|error| TrainError::run(folder, error.to_string()))?;
        files::write(&folder.join(RUN_FILE), text.as_bytes())?;
        Ok(run)
    }

    /// Goes on with a run that was stopped, from its last whole checkpoint.
    ///
    /// # Errors
    ///
    /// [`TrainError`] when the folder holds no run, its data has changed, or no checkpoint is whole.
    pub fn resume(folder: &Path, settings: RunSettings) -> Result<Self, TrainError> {
        settings.check()?;
        let path = folder.join(RUN_FILE);
        let text = fs::read_to_string(&path)
            .map_err(|error| TrainError::run(folder, format!("{RUN_FILE} cannot be read: {error}")))?;
        let file: RunFile = toml::from_str(&text)
            .map_err(|error| TrainError::run(folder, format!("{RUN_FILE}: {}", error.message())))?;
        file.recipe
            .validate()
            .map_err(|problem| TrainError::run(folder, format!("{RUN_FILE}: {problem}")))?;
        let lock = lock(folder)?;
        let (dataset, report) = Dataset::open(&file.data, &file.data_options)?;
        if dataset.fingerprint() != file.fingerprint {
            return Err(TrainError::run(
                folder,
                format!(
                    "the pictures of {} are not those the run began with: restore them, or begin a new run",
                    file.data.display()
                ),
            ));
        }
        let checkpoints = Checkpoints::new(folder.join(CHECKPOINTS), settings.keep);
        let (loaded, warnings) = checkpoints.load()?;
        for warning in warnings {
            (settings.observer)(Event::Warning(warning));
        }
        let loaded = loaded.ok_or_else(|| TrainError::run(folder, "no checkpoint is whole: begin a new run"))?;
        let network = || file.model.network.init(settings.device());
        let trainee = Trainee::new(network()?.load_record(loaded.model), objective(&file, &dataset))
            .train()
            .fork(&settings.training(settings.device()));
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
        let shared = self.shared();
        let recipe = self.file.recipe.clone();
        while let Some(phase) = recipe.phases.get(self.progress.phase) {
            let Some(mut work) = self.work(phase, &shared, steps)? else {
                return Ok(self.stopped());
            };
            if work.weights.ema.is_none() {
                work.weights.ema = phase.ema.map(|decay| Ema::new(&work.weights.trainee.network, decay));
            }
            let end;
            (work, end, renderer) = engine::run(work, renderer)?;
            Work {
                weights: self.weights,
                progress: self.progress,
                steps,
                ..
            } = work;
            if end == End::Stopped {
                return Ok(self.stopped());
            }
            self.next_phase()?;
        }
        self.finish()
    }

    /// Looks for a learning rate for the last phase: trains while the rate rises, and plots the loss. Nothing of it is kept.
    ///
    /// # Errors
    ///
    /// [`TrainError`] as for training, or for a plot that cannot be written.
    pub fn find_rate(mut self, options: FinderOptions, plot: &Path) -> Result<Found, TrainError> {
        let last = self.file.recipe.phases.len() - 1;
        let phase = self.file.recipe.phases[last].clone();
        self.progress.phase = last;
        let shared = self.shared();
        let steps = StepLog::open(&self.folder.join(STEPS), self.progress.step)?;
        let work = self
            .work(&phase, &shared, steps)?
            .ok_or_else(|| TrainError::Engine("it was stopped".to_owned()))?;
        let found = finder::find(work, &shared, options)?;
        plots::lr_finder(&found.curve, found.suggestion, plot)?;
        Ok(found)
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
        })
    }

    fn stopped(self) -> Outcome {
        Outcome {
            complete: false,
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

    /// The next phase starts from the best weights so far.
    fn next_phase(&mut self) -> Result<(), TrainError> {
        if self.progress.phase + 1 == self.file.recipe.phases.len() {
            let save = |network: &Xception, name: &str| {
                xception_model::save(network, &self.file.model, &self.folder.join(name), true)
            };
            save(&self.weights.trainee.network.valid(), LAST_MODEL)?;
            if let Some(ema) = &self.weights.ema {
                save(ema.network(), EMA_MODEL)?;
            }
        }
        if let Some(best) = self.weights.best.clone() {
            let objective = self.weights.trainee.objective().clone();
            self.weights.trainee = Trainee::new(best, objective)
                .train()
                .fork(&self.settings.training(self.settings.device()));
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

    /// A phase, ready to be worked on; `None` if it was stopped on the way.
    fn work(&mut self, phase: &Phase, shared: &Arc<Shared>, steps: StepLog) -> Result<Option<Work>, TrainError> {
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
                let Some(valid) = self.features(Split::Val, &backbone, &inner)? else {
                    return Ok(None);
                };
                let valid_order = Order {
                    batch_size: 256,
                    shuffle: None,
                };
                let train = match inputs {
                    Inputs::Pictures => Source::Frozen(self.training(phase)?, Box::new(backbone)),
                    Inputs::Features => {
                        let Some(features) = self.features(Split::Train, &backbone, &inner)? else {
                            return Ok(None);
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
        self.progress.seconds += start.elapsed().as_secs_f64();
        let train = Feed::new(train, classes, device);
        let samples = burn::data::dataloader::DataLoader::num_items(&train);
        Ok(Some(Work {
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
                ema: self.weights.ema.take(),
                best: self.weights.best.take(),
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

    /// A split's features: kept ones, or computed once and kept. `None` if the run was stopped meanwhile.
    fn features(
        &self,
        split: Split,
        backbone: &InferenceXception,
        device: &Device,
    ) -> Result<Option<Features>, TrainError> {
        let classes = self.dataset.classes.len();
        let total = self.dataset.count(split);
        let folder = self.folder.join(FEATURES);
        fs::create_dir_all(&folder).map_err(TrainError::file(&folder))?;
        let path = folder.join(format!("{}.bpk", split.name()));
        // The backbone is the one the run began with for as long as only heads were trained.
        let about = format!("{} {} pictures", self.file.fingerprint, total);
        let untouched = self.file.recipe.phases[..self.progress.phase]
            .iter()
            .all(|phase| phase.trains == Trains::Head);
        if untouched && let Some(features) = Features::load(&path, &about) {
            return Ok(Some(features));
        }
        let Some(pipeline) = self.evaluation(split)? else {
            return Ok(Some(Features::default()));
        };
        let computed = Features::compute(&pipeline, backbone, classes, device, |done| {
            (self.settings.observer)(Event::Features { done, total });
            !self.settings.interrupter.should_stop()
        })?;
        if let Some(features) = &computed
            && untouched
        {
            // They only save time.
            if let Err(error) = features.save(&path, &about) {
                (self.settings.observer)(Event::Warning(error.to_string()));
            }
        }
        Ok(computed)
    }

    /// Writes the best weights and judges them.
    fn finish(self) -> Result<Outcome, TrainError> {
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
        Ok(Outcome {
            complete: true,
            evaluation,
            predictions,
            model,
            progress: self.progress,
        })
    }

    /// What a person looks at: `report.html` and the plots.
    fn report_on(
        &self,
        model: &Xception,
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
        let classifier = Classifier::new(model.clone(), file.model.clone());
        let fact = |name: &str, value: String| (name.to_owned(), value);
        let best = self.progress.best.as_ref().map_or_else(
            || "the last weights".to_owned(),
            |best| {
                let which = if best.ema { "averaged weights" } else { "weights" };
                format!("{which} of epoch {}, by validation loss", best.row + 1)
            },
        );
        let data = ReportData {
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

    fn predict(&self, model: &Xception, split: Split) -> Result<Predictions, TrainError> {
        let device = self.settings.device();
        let fused = model.fuse();
        let pipeline = self.evaluation(split)?;
        let mut probabilities = Vec::new();
        for batch in pipeline.iter().flat_map(|pipeline| pipeline.epoch(0, 0)) {
            let batch = batch?;
            let shape = [batch.indices.len(), 3, batch.height, batch.width];
            let pictures = Tensor::from_data(burn::tensor::TensorData::new(batch.pixels, shape), device);
            let logits = fused.forward(pictures)?;
            probabilities.extend(numbers(if self.dataset.multi_label {
                activation::sigmoid(logits)
            } else {
                activation::softmax(logits, 1)
            }));
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
fn backbone(network: &Xception, device: &Device) -> InferenceXception {
    network.valid().to_device(device).fuse()
}

fn objective(file: &RunFile, dataset: &Dataset) -> Objective {
    Objective {
        multi_label: dataset.multi_label,
        label_smoothing: file.recipe.label_smoothing,
        class_weights: file.class_weights.then(|| class_weights(dataset)),
    }
}

/// The network to train: the starting one's backbone with a new classifier, or a new one of its shape.
fn network(
    options: &RunOptions,
    (start, start_spec): (Xception, ModelSpec),
    dataset: &Dataset,
    augmentation: &Augmentation,
    device: &Device,
) -> Result<(Xception, ModelSpec), TrainError> {
    let recipe = &options.recipe;
    let old = start.config().clone();
    let pooling = match old.pooling {
        Pooling::None => Pooling::Average,
        pooling => pooling,
    };
    if old.in_channels != 3 {
        return Err(TrainError::Recipe {
            recipe: recipe.name.clone(),
            problem: format!(
                "training takes RGB pictures, and this network takes {} channels",
                old.in_channels
            ),
        });
    }
    let config = XceptionConfig {
        num_classes: dataset.classes.len(),
        include_top: true,
        hidden_layers: recipe.hidden_layers.clone(),
        dropout: recipe.dropout,
        pooling,
        ..old
    };
    device.seed(Random::new(options.seed, Purpose::Weights, 0, 0).seed());
    let mut network = config.init(device)?;
    if recipe.start == Start::Weights {
        (network.block1, network.entry, network.middle, network.exit) =
            (start.block1, start.entry, start.middle, start.exit);
    }
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
        multi_label: dataset.multi_label,
        input: InputSpec {
            height: size,
            width: size,
            preset: Some(augmentation.eval.preset),
        },
        labels: dataset.classes.iter().map(Label::new).collect(),
        network: config,
    };
    Ok((network, spec))
}

fn lock(folder: &Path) -> Result<File, TrainError> {
    let path = folder.join(LOCK);
    let file = File::create(&path).map_err(TrainError::file(&path))?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(TrainError::run(folder, "another process is training in this folder")),
        Err(TryLockError::Error(error)) => Err(TrainError::file(&path)(error)),
    }
}

fn table(dataset: &Dataset) -> std::io::Result<Vec<u8>> {
    let mut rows = csv::Writer::from_writer(Vec::new());
    rows.write_record(["path", "label", "split"])?;
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
    files::write(path, &text)
}

fn now() -> String {
    use time::format_description::well_known::Rfc3339;
    time::OffsetDateTime::now_utc().format(&Rfc3339).unwrap_or_default()
}
