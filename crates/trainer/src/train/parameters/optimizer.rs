use burn::grad_clipping::GradientClipping;
use burn::module::{Module, ModuleVisitor, Param, ParamGroup, ParamId};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::{ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::Tensor;

use super::one_pass::{OnePassAdamW, OnePassSgd};
use crate::train::recipe::{Optimizer, Phase};
use crate::train::trainee::Trainee;

/// The phase's optimizer. Parameters of one dimension (norms and biases) have no weight decay.
pub(crate) fn optimizer(trainee: &Trainee, phase: &Phase) -> ModuleOptimizer {
    let vectors = vectors(trainee);
    let no_clipping: Option<GradientClipping> = None;
    match phase.optimizer {
        Optimizer::Adamw {
            weight_decay,
            beta_1,
            beta_2,
            epsilon,
        } => {
            let with_decay = |weight_decay| OnePassAdamW::new(weight_decay, [beta_1, beta_2], epsilon);
            ModuleOptimizer::from(with_decay(weight_decay)).with_group(vectors, with_decay(0.0), no_clipping)
        }
        Optimizer::Sgd {
            momentum,
            nesterov,
            weight_decay,
        } if momentum > 0.0 => {
            let with_decay = |weight_decay| OnePassSgd {
                momentum,
                nesterov,
                weight_decay,
            };
            ModuleOptimizer::from(with_decay(weight_decay)).with_group(vectors, with_decay(0.0), no_clipping)
        }
        Optimizer::Sgd { weight_decay, .. } => {
            let config = SgdConfig::new();
            let decayed = config.clone().with_weight_decay(penalty(weight_decay)).build();
            ModuleOptimizer::from(decayed).with_group(vectors, config.build(), no_clipping)
        }
        Optimizer::Rmsprop {
            alpha,
            momentum,
            epsilon,
            weight_decay,
        } => {
            let config = RmsPropConfig::new()
                .with_alpha(alpha)
                .with_momentum(momentum)
                .with_epsilon(epsilon);
            let decayed = config.clone().with_weight_decay(penalty(weight_decay)).build();
            ModuleOptimizer::from(decayed).with_group(vectors, config.build(), no_clipping)
        }
    }
}

fn penalty(weight_decay: f32) -> Option<WeightDecayConfig> {
    (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay))
}

/// The parameters of one dimension: scales, shifts and biases.
fn vectors(trainee: &Trainee) -> ParamGroup {
    struct Vectors(Vec<ParamId>);
    impl ModuleVisitor for Vectors {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if D == 1 {
                self.0.push(param.id);
            }
        }
    }
    let mut vectors = Vectors(Vec::new());
    trainee.visit(&mut vectors);
    ParamGroup::from_ids(vectors.0)
}

#[cfg(test)]
mod tests {
    use super::super::freeze::prepare;
    use super::super::testing::{gradients, look, phase, trainee};
    use super::*;
    use burn::optim::GradientsParams;
    use burn::train::TrainStep;

    #[test]
    fn weight_decay_spares_parameters_of_one_dimension() {
        let optimizers = [
            Optimizer::Adamw {
                weight_decay: 0.5,
                beta_1: 0.9,
                beta_2: 0.999,
                epsilon: 1e-8,
            },
            Optimizer::Sgd {
                momentum: 0.9,
                nesterov: false,
                weight_decay: 0.5,
            },
            Optimizer::Rmsprop {
                alpha: 0.9,
                momentum: 0.9,
                epsilon: 1.0,
                weight_decay: 0.5,
            },
        ];
        for kind in optimizers {
            let mut phase = phase();
            phase.optimizer = kind;
            let trainee = prepare(trainee(), &phase).unwrap();
            let none = GradientsParams::new();
            let before = look(&trainee, &none);
            let mut optimizer = optimizer(&trainee, &phase);
            let zeros = gradients(&trainee, 0.0);
            let trainee = trainee.optimize(&mut optimizer, 0.1.into(), zeros);
            for (old, new) in before.iter().zip(look(&trainee, &none)) {
                let still = old.values == new.values || old.values.iter().all(|value| *value == 0.0);
                assert_eq!(still, old.rank == 1, "{:?}: {}", phase.optimizer, old.path);
            }
        }
    }
}
