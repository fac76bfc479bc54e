//! A phase, step by step: Burn's training with a loop that can stop and go on anywhere.
//!
//! Burn's own loop checkpoints between epochs, averages no weights and goes on when the loss is no number; so this is a
//! [`SupervisedLearningStrategy`] of our own, and the learner's events, metrics, dashboard and interrupter are Burn's.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use burn::data::dataloader::DataLoader;
use burn::module::Module;
use burn::optim::lr_scheduler::module_lr_scheduler::{ModuleLearningRate, ModuleLrScheduler};
use burn::optim::{GradientsAccumulator, GradientsParams, ModuleOptimizer};
use burn::tensor::Device;
use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, HammingScore, LossMetric};
use burn::train::renderer::MetricsRenderer;
use burn::train::{
    EventProcessorTraining, Interrupter, Learner, LearnerEvent, SupervisedLearningStrategy, SupervisedTraining,
    SupervisedTrainingEventProcessor, TrainLoader, TrainStep, TrainingComponents, TrainingItem, TrainingStrategy,
    ValidLoader,
};
use xception_model::{ModelSpec, Network};

use crate::checkpoint::{Best, Checkpoints, Progress};
use crate::ema::Ema;
use crate::error::TrainError;
use crate::feed::{Feed, numbers};
use crate::layers;
use crate::learner::{NetworkInput, Objective, StepInput, StepOutput, Trainee};
use crate::metrics::EpochRow;
use crate::random::{Purpose, Random};
use crate::recipe::{Phase, Trains};
use crate::run::MODEL;
use crate::schedule::Length;
use crate::steps::StepLog;
use crate::workers::Workers;

/// How often Burn's metrics are told of steps. That wakes their thread, which takes a tenth of a step on kept features; any other step
/// is longer than this.
const TOLD_EVERY: Duration = Duration::from_millis(10);

/// What a run tells while it works.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// The data is checked: told often, and from several threads.
    Check {
        /// Pictures so far.
        done: usize,
        /// Of so many.
        total: usize,
    },
    /// The frozen backbone is shown every picture once.
    Features {
        /// Pictures so far.
        done: usize,
        /// Of so many.
        total: usize,
    },
    /// A phase begins, or goes on.
    Phase {
        /// Its name.
        name: String,
        /// Its epochs.
        epochs: usize,
        /// Epochs that are done already.
        done: usize,
    },
    /// A step is done.
    Step {
        /// Pictures of the epoch so far.
        done: usize,
        /// Of so many.
        total: usize,
        /// The mean loss of the epoch so far.
        loss: f64,
        /// The learning rate of the last layer.
        rate: f64,
    },
    /// An epoch is done.
    Epoch(EpochRow),
    /// A checkpoint is on the disk.
    Checkpoint {
        /// The step it is of.
        step: u64,
    },
    /// Something a person should know.
    Warning(String),
}

/// Who is told.
pub type Observer = Arc<dyn Fn(Event) + Send + Sync>;

/// Why a phase ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// It is done.
    Complete,
    /// Somebody asked it to stop: it can go on.
    Stopped,
    /// Its time is up: it is judged as it is, and can go on with more.
    TimeUp,
}

/// What a run's phases share.
pub(crate) struct Shared {
    pub folder: PathBuf,
    /// Where steps are computed, several batches at a time on several; the weights live on the first.
    pub devices: Vec<Device>,
    pub seed: u64,
    pub checkpoints: Checkpoints,
    /// The longest time without a checkpoint.
    pub checkpoint_every: Duration,
    /// The run's time, without the time it was stopped.
    pub budget: Option<Duration>,
    pub interrupter: Interrupter,
    pub observer: Observer,
    /// What is written beside the best weights.
    pub spec: ModelSpec,
}

impl Shared {
    /// Whether a run of so many seconds ends here, and why.
    pub fn must_stop(&self, seconds: f64) -> Option<End> {
        if self.interrupter.should_stop() {
            return Some(End::Stopped);
        }
        let late = self.budget.is_some_and(|budget| seconds >= budget.as_secs_f64());
        late.then_some(End::TimeUp)
    }
}

/// The weights of a run, as they change.
pub(crate) struct Weights {
    pub trainee: Trainee,
    pub ema: Option<Ema>,
    pub best: Option<Network>,
    /// Row of the metrics table of the best weights that are in the run's folder as a network to be used.
    pub published: Option<usize>,
    /// `None` at a phase's start.
    pub optimizer: Option<ModuleOptimizer>,
}

/// A phase that is being worked on.
pub(crate) struct Work {
    pub shared: Arc<Shared>,
    pub phase: Phase,
    pub length: Length,
    /// Epochs of the phases before.
    pub epochs_before: usize,
    pub train: Feed,
    pub valid: Option<Feed>,
    pub weights: Weights,
    pub progress: Progress,
    pub steps: StepLog,
}

/// Runs a phase from where `work` is.
pub(crate) fn run(
    work: Work,
    renderer: Box<dyn MetricsRenderer>,
) -> Result<(Work, End, Box<dyn MetricsRenderer>), TrainError> {
    let shared = Arc::clone(&work.shared);
    let multi_label = work.weights.trainee.objective().multi_label;
    let valid = work.valid.clone().unwrap_or_else(|| work.train.clone());
    let learner = Learner::new(
        work.weights.trainee.clone(),
        layers::optimizer(&work.weights.trainee, &work.phase),
        layers::rates(&work.weights.trainee, &work.phase, work.length, work.progress.update),
    );
    let mut training = SupervisedTraining::new(&shared.folder, Arc::new(work.train.clone()), Arc::new(valid))
        .num_epochs(work.phase.epochs)
        .label(&work.phase.name)
        .with_interrupter(shared.interrupter.clone())
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new())
        .renderer(renderer)
        .metrics((LossMetric::new(),));
    training = if multi_label {
        training.metrics((HammingScore::new(),))
    } else {
        training.metrics((AccuracyMetric::new(),))
    };
    if work.progress.epoch > 0 {
        training = training.checkpoint(work.progress.epoch);
    }
    let strategy = Arc::new(Strategy {
        work: Mutex::new(Some(work)),
        end: Mutex::new(None),
    });
    let result = training
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()))
        .launch(learner);
    let end = strategy.end.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (work, end) = end.unwrap_or_else(|| Err(TrainError::Engine("the loop never ran".to_owned())))?;
    if let Some(error) = result.error {
        return Err(TrainError::Engine(error.to_string()));
    }
    Ok((work, end, result.renderer))
}

struct Strategy {
    work: Mutex<Option<Work>>,
    end: Mutex<Option<Result<(Work, End), TrainError>>>,
}

impl SupervisedLearningStrategy<Trainee> for Strategy {
    fn fit(
        &self,
        components: TrainingComponents<Trainee>,
        learner: Learner<Trainee>,
        _: TrainLoader<Trainee>,
        _: ValidLoader<Trainee>,
        _: usize,
    ) -> (Trainee, SupervisedTrainingEventProcessor<Trainee>) {
        let mut processor = components.event_processor;
        let mut trainee = learner.model();
        if let Some(mut work) = self.work.lock().unwrap_or_else(PoisonError::into_inner).take() {
            let end = work.fit(&mut processor);
            trainee = work.weights.trainee.clone();
            *self.end.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.map(|end| (work, end)));
        }
        (trainee, processor)
    }
}

type Processor = SupervisedTrainingEventProcessor<Trainee>;

impl Work {
    fn fit(&mut self, processor: &mut Processor) -> Result<End, TrainError> {
        let mut optimizer = match self.weights.optimizer.take() {
            Some(optimizer) => optimizer,
            None => layers::optimizer(&self.weights.trainee, &self.phase),
        };
        let mut rates = layers::rates(&self.weights.trainee, &self.phase, self.length, self.progress.update);
        (self.shared.observer)(Event::Phase {
            name: self.phase.name.clone(),
            epochs: self.phase.epochs,
            done: self.progress.epoch,
        });
        let mut saved = Saved::now();
        let mut end = End::Complete;
        while self.progress.epoch < self.phase.epochs && end == End::Complete {
            end = self.epoch(&mut optimizer, &mut rates, &mut saved, processor)?;
            if end == End::Complete && self.out_of_patience() {
                break;
            }
        }
        if end != End::Complete {
            self.save(&optimizer, &mut saved)?;
        }
        self.weights.optimizer = Some(optimizer);
        Ok(end)
    }

    /// Burn's early stopping begins anew in every process, so that a resumed run would stop later, and does not know the
    /// averaged weights.
    fn out_of_patience(&self) -> bool {
        self.phase.patience.is_some_and(|epochs| self.progress.stale >= epochs)
    }

    /// One epoch, from the batch where it was left.
    fn epoch(
        &mut self,
        optimizer: &mut ModuleOptimizer,
        rates: &mut ModuleLrScheduler,
        saved: &mut Saved,
        processor: &mut Processor,
    ) -> Result<End, TrainError> {
        let number = self.progress.epoch + 1;
        let interrupter = self.shared.interrupter.clone();
        let feed = self.train.clone();
        feed.begin(self.epochs_before + self.progress.epoch, self.progress.batch);
        let total = feed.num_items();
        interrupter.fail_on_error(processor.process_train(LearnerEvent::StartSplit {
            epoch_number: number,
            total_items: total,
        }));

        let mut rate: ModuleLearningRate = 0.0.into();
        let mut gradients = GradientsAccumulator::new();
        let mut pending = 0;
        let mut untold = Untold::default();
        let mut batches = feed.iter();
        let workers = Workers::new(&self.shared.devices);
        let batches_an_update = self.phase.accumulate * self.shared.devices.len();
        let mut clock = Instant::now();
        loop {
            let round: Vec<StepInput> = batches
                .by_ref()
                .take(self.shared.devices.len())
                .collect::<Result<_, _>>()
                .map_err(|error| TrainError::Engine(error.to_string()))?;
            if round.is_empty() {
                break;
            }
            // Another machine draws from a generator of its own.
            for (place, device) in self.shared.devices.iter().enumerate().rev() {
                let step = self.progress.step as usize;
                device.seed(Random::new(self.shared.seed, Purpose::Step, place, step).seed());
            }
            let start = Instant::now();
            let outputs = workers.step(round, &self.weights.trainee)?;
            self.spend(start);
            for output in outputs {
                if pending == 0 {
                    rate = rates.step();
                }
                self.count(&output.item, number, rate.base())?;
                let start = Instant::now();
                gradients.accumulate(&self.weights.trainee, output.grads);
                self.spend(start);
                pending += 1;

                let seen = self.progress.seen;
                let mut output = output.item;
                if untold.since.elapsed() >= TOLD_EVERY || self.progress.batch == self.length_in_batches() {
                    let progress = burn::data::dataloader::Progress::new(seen, total, Some("pictures".to_owned()));
                    output.earlier = std::mem::take(&mut untold).outputs;
                    let item = TrainingItem::new(output, progress, Some(self.progress.batch), Some(rate.clone()));
                    interrupter.fail_on_error(processor.process_train(LearnerEvent::ProcessedItem(item)));
                } else {
                    untold.outputs.push(output);
                }
                (self.shared.observer)(Event::Step {
                    done: seen,
                    total,
                    loss: self.progress.loss_sum / seen as f64,
                    rate: rate.base(),
                });
            }
            let last = self.progress.batch == self.length_in_batches();
            if pending >= batches_an_update || last {
                let start = Instant::now();
                self.update(gradients.grads(), pending, optimizer, rate.clone());
                self.spend(start);
                pending = 0;
            }
            self.lap(&mut clock);
            // Between updates there is nothing half done to save.
            if pending == 0 && !last {
                if let Some(end) = self.must_stop() {
                    return Ok(end);
                }
                if saved.at.elapsed() >= self.shared.checkpoint_every {
                    self.save(optimizer, saved)?;
                    clock = Instant::now();
                }
            }
        }
        drop(batches);
        self.lap(&mut clock);
        interrupter.fail_on_error(processor.process_train(LearnerEvent::EndSplit(number)));

        self.end_of_epoch(rate.base(), &mut clock, processor)?;
        interrupter.fail_on_error(processor.process_train(LearnerEvent::EndEpoch(number)));
        if self.progress.epoch < self.phase.epochs
            && let Some(end) = self.must_stop()
        {
            return Ok(end);
        }
        // Epochs of kept features are over in a blink; their checkpoints may not take longer than a twentieth of the time.
        let done = self.progress.epoch == self.phase.epochs || self.out_of_patience();
        if done || saved.at.elapsed() >= saved.took * 20 {
            self.save(optimizer, saved)?;
        }
        Ok(End::Complete)
    }

    fn length_in_batches(&self) -> usize {
        self.train.num_items().div_ceil(self.phase.batch_size)
    }

    fn must_stop(&self) -> Option<End> {
        self.shared.must_stop(self.progress.seconds)
    }

    /// Takes the time since the last lap into the run's.
    fn lap(&mut self, clock: &mut Instant) {
        let seconds = clock.elapsed().as_secs_f64();
        *clock = Instant::now();
        self.progress.seconds += seconds;
        self.progress.epoch_seconds += seconds;
        self.progress.wait_seconds += self.train.waited().as_secs_f64();
        self.progress.step_seconds += self.train.embedded().as_secs_f64();
    }

    /// Takes the time since `start` for a step's.
    fn spend(&mut self, start: Instant) {
        self.progress.step_seconds += start.elapsed().as_secs_f64();
    }

    /// Takes a batch into the counts and `steps.csv`.
    fn count(&mut self, output: &StepOutput, epoch: usize, rate: f64) -> Result<(), TrainError> {
        // A graphics card has been told what to do; only now it has to be done.
        let start = Instant::now();
        let loss = numbers(output.loss.clone())[0];
        self.spend(start);
        let pictures = output.targets.dims()[0];
        let progress = &mut self.progress;
        progress.batch += 1;
        progress.step += 1;
        progress.seen += pictures;
        progress.loss_sum += f64::from(loss) * pictures as f64;
        progress.correct += correct(output, self.weights.trainee.objective());
        self.steps.write(progress.step, &self.phase.name, epoch, rate, loss)?;
        if loss.is_finite() {
            Ok(())
        } else {
            Err(TrainError::NotFinite {
                loss,
                step: progress.step,
                phase: self.phase.name.clone(),
                epoch,
                rate,
            })
        }
    }

    /// Changes the weights by the mean gradient of `batches` batches.
    fn update(
        &mut self,
        mut gradients: GradientsParams,
        batches: usize,
        optimizer: &mut ModuleOptimizer,
        rate: ModuleLearningRate,
    ) {
        let trainee = self.weights.trainee.clone();
        if batches > 1 {
            layers::scale(&trainee, &mut gradients, 1.0 / batches as f64);
        }
        if let Some(longest) = self.phase.clip_norm {
            layers::clip(&trainee, &mut gradients, longest);
        }
        self.weights.trainee = trainee.optimize(optimizer, rate, gradients);
        if let Some(ema) = &mut self.weights.ema {
            ema.update(&self.weights.trainee.network);
            self.progress.ema_updates = ema.updates();
        }
        self.progress.update += 1;
    }

    /// Validation, the epoch's row, the best weights.
    fn end_of_epoch(&mut self, rate: f64, clock: &mut Instant, processor: &mut Processor) -> Result<(), TrainError> {
        let raw = self.validate(&self.weights.trainee.network.valid(), Some(processor))?;
        let averaged = match &self.weights.ema {
            Some(ema) => self.validate(ema.network(), None)?,
            None => None,
        };
        let training = self.progress.epoch_seconds;
        self.lap(clock);
        let progress = &mut self.progress;
        let share = |seconds: f64| (seconds / training.max(f64::MIN_POSITIVE)).max(0.0);
        let row = EpochRow {
            epoch: progress.rows.len() + 1,
            phase: self.phase.name.clone(),
            step: progress.step as usize,
            learning_rate: rate,
            train_loss: progress.loss_sum / progress.seen as f64,
            train_accuracy: Some(progress.correct / progress.seen as f64),
            val_loss: raw.map(|score| score.loss),
            val_accuracy: raw.map(|score| score.accuracy),
            ema_val_loss: averaged.map(|score| score.loss),
            ema_val_accuracy: averaged.map(|score| score.accuracy),
            seconds: progress.epoch_seconds,
            wait_share: share(progress.wait_seconds),
            overhead_share: share(training - progress.wait_seconds - progress.step_seconds),
        };
        progress.rows.push(row.clone());
        progress.epoch += 1;
        progress.batch = 0;
        (progress.loss_sum, progress.correct, progress.seen) = (0.0, 0.0, 0);
        (progress.epoch_seconds, progress.wait_seconds, progress.step_seconds) = (0.0, 0.0, 0.0);

        progress.stale += 1;
        for (score, ema) in [(raw, false), (averaged, true)] {
            let Some(score) = score else { continue };
            if progress.phase_best.is_none_or(|best| score.loss < best) {
                progress.phase_best = Some(score.loss);
                progress.stale = 0;
            }
            if progress.best.as_ref().is_none_or(|best| score.loss < best.loss) {
                progress.best = Some(Best {
                    row: progress.rows.len() - 1,
                    ema,
                    loss: score.loss,
                    accuracy: score.accuracy,
                });
                self.weights.best = Some(match &self.weights.ema {
                    Some(average) if ema => average.network().clone(),
                    _ => self.weights.trainee.network.valid(),
                });
            }
        }
        (self.shared.observer)(Event::Epoch(row));
        Ok(())
    }

    /// The mean loss, without label smoothing and weights, and the accuracy on the validation split.
    fn validate(&self, network: &Network, mut processor: Option<&mut Processor>) -> Result<Option<Score>, TrainError> {
        let Some(feed) = &self.valid else { return Ok(None) };
        let interrupter = &self.shared.interrupter;
        let number = self.progress.epoch + 1;
        let total = feed.num_items();
        if let Some(processor) = &mut processor {
            interrupter.fail_on_error(processor.process_valid(LearnerEvent::StartSplit {
                epoch_number: number,
                total_items: total,
            }));
        }
        let objective = Objective {
            multi_label: self.weights.trainee.objective().multi_label,
            label_smoothing: 0.0,
            class_weights: None,
        };
        let fused = (self.phase.trains != Trains::Head).then(|| network.fuse());
        feed.begin(0, 0);
        let (mut loss, mut right, mut seen) = (0.0, 0.0, 0);
        let mut batches = feed.iter();
        while let Some(batch) = batches.next() {
            let StepInput { input, targets, place } = batch.map_err(|error| TrainError::Engine(error.to_string()))?;
            let logits = match (input, &fused) {
                (NetworkInput::Features(features), _) => network.forward_head(features)?,
                (NetworkInput::Pictures(pictures), Some(fused)) => fused.forward(pictures)?,
                (NetworkInput::Pictures(pictures), None) => network.forward(pictures)?,
            };
            let output = StepOutput {
                loss: objective.loss(logits.clone(), targets.clone()),
                logits,
                targets,
                place,
                earlier: Vec::new(),
            };
            let pictures = output.targets.dims()[0];
            loss += f64::from(numbers(output.loss.clone())[0]) * pictures as f64;
            right += correct(&output, &objective);
            seen += pictures;
            if let Some(processor) = &mut processor {
                let item = TrainingItem::new(output, batches.progress(), None, None);
                interrupter.fail_on_error(processor.process_valid(LearnerEvent::ProcessedItem(item)));
            }
        }
        if let Some(processor) = processor {
            interrupter.fail_on_error(processor.process_valid(LearnerEvent::EndSplit(number)));
        }
        Ok(Some(Score {
            loss: loss / seen as f64,
            accuracy: right / seen as f64,
        }))
    }

    fn save(&mut self, optimizer: &ModuleOptimizer, saved: &mut Saved) -> Result<(), TrainError> {
        let start = Instant::now();
        self.steps.sync()?;
        self.shared.checkpoints.save(
            &self.progress,
            self.weights.trainee.network.clone().into_record(),
            self.weights.ema.as_ref().map(|ema| ema.network().clone().into_record()),
            self.weights.best.as_ref().map(|best| best.clone().into_record()),
            Some(optimizer.to_record()),
        )?;
        self.publish()?;
        self.progress.seconds += start.elapsed().as_secs_f64();
        *saved = Saved {
            at: Instant::now(),
            took: start.elapsed(),
        };
        (self.shared.observer)(Event::Checkpoint {
            step: self.progress.step,
        });
        Ok(())
    }

    /// Puts the best weights so far, where they are new, into the run's folder as a network to be used: whatever becomes of
    /// the run, it has come to something. Without validation the last ones are the best.
    fn publish(&mut self) -> Result<(), TrainError> {
        let row = match (&self.progress.best, &self.valid) {
            (Some(best), _) => best.row,
            (None, Some(_)) => return Ok(()),
            (None, None) => self.progress.rows.len(),
        };
        if self.weights.published == Some(row) {
            return Ok(());
        }
        let network = match &self.weights.best {
            Some(best) => best.clone(),
            None => self.weights.trainee.network.valid(),
        };
        xception_model::save(&network, &self.shared.spec, &self.shared.folder.join(MODEL), true)?;
        self.weights.published = Some(row);
        Ok(())
    }
}

/// Steps that Burn's metrics have not been told of.
struct Untold {
    outputs: Vec<StepOutput>,
    since: Instant,
}

impl Default for Untold {
    fn default() -> Self {
        Self {
            outputs: Vec::new(),
            since: Instant::now(),
        }
    }
}

/// The last checkpoint.
struct Saved {
    at: Instant,
    took: Duration,
}

impl Saved {
    fn now() -> Self {
        Self {
            at: Instant::now(),
            took: Duration::ZERO,
        }
    }
}

#[derive(Clone, Copy)]
struct Score {
    loss: f64,
    accuracy: f64,
}

/// How many of a batch's pictures are right; with several labels a picture, the part of its labels that is right.
fn correct(output: &StepOutput, objective: &Objective) -> f64 {
    let [_, classes] = output.logits.dims();
    let logits = numbers(output.logits.clone());
    let targets = numbers(output.targets.clone());
    let pictures = logits.chunks(classes).zip(targets.chunks(classes));
    if objective.multi_label {
        let right = |(logits, targets): (&[f32], &[f32])| {
            let right = logits
                .iter()
                .zip(targets)
                .filter(|(logit, target)| (**logit > 0.0) == (**target > 0.5));
            right.count() as f64 / classes as f64
        };
        return pictures.map(right).sum();
    }
    let largest = |values: &[f32]| {
        let place = |best: usize, place: usize| if values[place] > values[best] { place } else { best };
        (0..values.len()).fold(0, place)
    };
    pictures
        .filter(|(logits, targets)| largest(logits) == largest(targets))
        .count() as f64
}
