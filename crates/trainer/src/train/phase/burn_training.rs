//! A phase inside Burn's training.
//!
//! Burn's own loop writes checkpoints between epochs only, averages no weights, and continues when the loss is not a
//! number. This [`SupervisedLearningStrategy`] replaces the loop. The learner's events, metrics, dashboard and
//! interrupter are Burn's.

use std::sync::{Arc, Mutex, PoisonError};

use burn::train::logger::InMemoryMetricLogger;
use burn::train::metric::{AccuracyMetric, HammingScore, LossMetric};
use burn::train::renderer::MetricsRenderer;
use burn::train::{
    Learner, SupervisedLearningStrategy, SupervisedTraining, TrainLoader, TrainingComponents, TrainingStrategy,
    ValidLoader,
};

use super::context::End;
use super::phase_run::PhaseRun;
use super::processor::Processor;
use crate::tensor::release_memory;
use crate::train::error::TrainError;
use crate::train::parameters::{learning_rates, optimizer};
use crate::train::trainee::Trainee;

/// Trains a phase from its current position.
pub(crate) fn run(
    phase_run: PhaseRun,
    renderer: Box<dyn MetricsRenderer>,
) -> Result<(PhaseRun, End, Box<dyn MetricsRenderer>), TrainError> {
    let (context, phase) = (Arc::clone(&phase_run.context), &phase_run.phase);
    let (trainee, progress) = (&phase_run.weights.trainee, &phase_run.progress);
    let learner = Learner::new(
        trainee.clone(),
        optimizer(trainee, phase),
        learning_rates(trainee, phase, phase_run.length, progress.update),
    );
    let valid = phase_run.valid.clone().unwrap_or_else(|| phase_run.train.clone());
    let mut training = SupervisedTraining::new(&context.folder, Arc::new(phase_run.train.clone()), Arc::new(valid))
        .num_epochs(phase.epochs)
        .label(&phase.name)
        .with_interrupter(context.interrupter.clone())
        .with_application_logger(None)
        .with_metric_logger(InMemoryMetricLogger::new())
        .renderer(renderer)
        .metrics((LossMetric::new(),));
    training = if trainee.objective().multi_label {
        training.metrics((HammingScore::new(),))
    } else {
        training.metrics((AccuracyMetric::new(),))
    };
    if progress.epoch > 0 {
        training = training.checkpoint(progress.epoch);
    }
    let strategy = Arc::new(Strategy {
        phase_run: Mutex::new(Some(phase_run)),
        result: Mutex::new(None),
    });
    let launched = training
        .with_training_strategy(TrainingStrategy::Custom(strategy.clone()))
        .launch(learner);
    let result = strategy.result.lock().unwrap_or_else(PoisonError::into_inner).take();
    let (phase_run, end) = result.unwrap_or_else(|| Err(TrainError::Stopped("the phase never started".to_owned())))?;
    if let Some(error) = launched.error {
        return Err(TrainError::Stopped(error.to_string()));
    }
    Ok((phase_run, end, launched.renderer))
}

/// Passes a phase into Burn's training, and passes the result out again.
struct Strategy {
    phase_run: Mutex<Option<PhaseRun>>,
    result: Mutex<Option<Result<(PhaseRun, End), TrainError>>>,
}

impl SupervisedLearningStrategy<Trainee> for Strategy {
    fn fit(
        &self,
        components: TrainingComponents<Trainee>,
        learner: Learner<Trainee>,
        _: TrainLoader<Trainee>,
        _: ValidLoader<Trainee>,
        _: usize,
    ) -> (Trainee, Processor) {
        let mut processor = components.event_processor;
        let mut trainee = learner.model();
        let phase_run = self.phase_run.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(mut phase_run) = phase_run {
            let end = phase_run.fit(&mut processor);
            release_memory();
            trainee = phase_run.weights.trainee.clone();
            *self.result.lock().unwrap_or_else(PoisonError::into_inner) = Some(end.map(|end| (phase_run, end)));
        }
        (trainee, processor)
    }
}
