use burn::train::SupervisedTrainingEventProcessor;

use crate::train::trainee::Trainee;

/// Burn's receiver of training events, which feeds its metrics and its dashboard.
pub(super) type Processor = SupervisedTrainingEventProcessor<Trainee>;
