//! The space that a run takes on the disk.

use burn::module::{Module, ModuleVisitor, Param};
use burn::tensor::Tensor;

use crate::train::parameters::prepare;
use crate::train::recipe::{Optimizer, Recipe};
use crate::train::trainee::Trainee;

/// The bytes of all checkpoints at the moment when the most of them are on the disk, and of the best weights' record
/// while another replaces it. Kept features and pictures, which a run can do without, do not count.
pub(super) fn needed(recipe: &Recipe, trainee: &Trainee, keep: usize) -> u64 {
    let weights = trainee.network.num_params();
    let has_average = recipe.phases.iter().any(|phase| phase.ema.is_some());
    let states = recipe.phases.iter().map(|phase| {
        let learning = prepare(trainee.clone(), phase).map_or(0, |prepared| count_trained(&prepared));
        learning * tensors_per_parameter(&phase.optimizer)
    });
    // The last weights, the best ones, and the average.
    let checkpoint = weights * (2 + usize::from(has_average)) + states.max().unwrap_or_default();
    // The checkpoints that are kept, and the next one.
    let numbers = checkpoint * (keep.max(1) + 1) + 2 * weights;
    (numbers * size_of::<f32>()) as u64
}

/// The tensors that an optimizer keeps for each trained parameter.
fn tensors_per_parameter(optimizer: &Optimizer) -> usize {
    match optimizer {
        Optimizer::Adamw { .. } => 2,
        Optimizer::Sgd { momentum, .. } => usize::from(*momentum > 0.0),
        Optimizer::Rmsprop { momentum, .. } => 1 + usize::from(*momentum > 0.0),
    }
}

/// The number of values in the parameters that learn.
fn count_trained(trainee: &Trainee) -> usize {
    struct Count(usize);
    impl ModuleVisitor for Count {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if param.is_require_grad() {
                self.0 += param.shape().num_elements();
            }
        }
    }
    let mut count = Count(0);
    trainee.visit(&mut count);
    count.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::parameters::testing::{phase, trainee};
    use crate::train::recipe::Trains;

    /// Checkpoints of two phases: the optimizer of the larger one counts.
    #[test]
    fn checkpoints_and_the_best_weights_need_room() {
        let trainee = trainee();
        let weights = trainee.network.num_params();
        let head = 24 * 3 + 3;
        let mut phases = vec![phase(), phase()];
        phases[0].trains = Trains::Head;
        phases[0].ema = None;
        phases[0].optimizer = Optimizer::Sgd {
            momentum: 0.9,
            nesterov: false,
            weight_decay: 0.0,
        };
        let bytes = |numbers: usize| (4 * numbers) as u64;
        let mut only_head = Recipe::load("fine-tune").unwrap();
        only_head.phases = phases[..1].to_vec();
        assert_eq!(
            needed(&only_head, &trainee, 2),
            bytes(3 * (2 * weights + head) + 2 * weights)
        );
        phases[1].trains = Trains::All;
        phases[1].ema = Some(0.9);
        phases[1].optimizer = Optimizer::Adamw {
            weight_decay: 0.0,
            beta_1: 0.9,
            beta_2: 0.999,
            epsilon: 1e-8,
        };
        let both = Recipe { phases, ..only_head };
        // Means and variances of norms are stored, and not trained.
        let least = bytes(3 * (3 * weights + weights) + 2 * weights);
        let most = bytes(3 * (3 * weights + 2 * weights) + 2 * weights);
        let found = needed(&both, &trainee, 2);
        assert!((least..=most).contains(&found), "{least} {found} {most}");
    }
}
