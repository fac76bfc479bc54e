//! Which parameters a phase trains, how fast, and with how much weight decay.

use burn::grad_clipping::GradientClipping;
use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::Tensor;
use xception_model::Xception;

use crate::learner::Trainee;
use crate::recipe::{Norms, Optimizer, Phase, Trains};
use crate::schedule::{Length, Rate};

/// The parameters of each stage, from the classifier to the first block, with the stage's name.
fn stages(network: &Xception) -> Vec<(String, ParamGroup)> {
    let mut stages = Vec::new();
    if let Some(head) = &network.head {
        stages.push(("head".to_owned(), ParamGroup::ids_from_module(head.clone())));
    }
    for flow in [&network.exit, &network.middle, &network.entry] {
        for block in flow.blocks().iter().rev() {
            stages.push((block.stage().name.clone(), ParamGroup::ids_from_module(block.clone())));
        }
    }
    let block1 = &network.block1;
    stages.push((block1.stage().name.clone(), ParamGroup::ids_from_module(block1.clone())));
    stages
}

/// Freezes what the phase doesn't train, and sets what its batch norms do.
///
/// # Errors
///
/// A block that the network doesn't have.
pub(crate) fn prepare(trainee: Trainee, phase: &Phase) -> Result<Trainee, String> {
    let mut trainee = trainee.unfreeze();
    let last = match &phase.trains {
        Trains::All => None,
        Trains::Head => Some("head"),
        Trains::From(block) => Some(block.as_str()),
    };
    if let Some(last) = last {
        let stages = stages(&trainee.network);
        let Some(place) = stages.iter().position(|(name, _)| name == last) else {
            let names: Vec<_> = stages.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!(
                "there is no {last} in this network: there are {}",
                names.join(", ")
            ));
        };
        for (_, frozen) in stages.into_iter().skip(place + 1) {
            trainee = trainee.freeze_group(frozen);
        }
    }
    Ok(match phase.norms {
        Norms::Train => trainee,
        Norms::Inference => trainee.map(&mut StopNorms::default()),
    })
}

/// Switches the training behaviour of batch norms off; their scale and shift go on learning.
#[derive(Default)]
struct StopNorms {
    path: Vec<String>,
}

impl ModuleMapper for StopNorms {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        if self.path.iter().any(|name| name == "bn") {
            flag.with_value(false)
        } else {
            flag
        }
    }
}

/// The phase's optimizer: norms and biases, which have one dimension, have no weight decay.
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
            let config = AdamWConfig::new()
                .with_beta_1(beta_1)
                .with_beta_2(beta_2)
                .with_epsilon(epsilon);
            let plain = config.clone().with_weight_decay(0.0).build();
            ModuleOptimizer::from(config.with_weight_decay(weight_decay).build()).with_group(
                vectors,
                plain,
                no_clipping,
            )
        }
        Optimizer::Sgd {
            momentum,
            nesterov,
            weight_decay,
        } => {
            // Burn's dampening, 0.1 by default, is not in the paper's or Keras's SGD.
            let config = SgdConfig::new().with_momentum((momentum > 0.0).then_some(MomentumConfig {
                momentum,
                dampening: 0.0,
                nesterov,
            }));
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
    struct Vectors(Vec<burn::module::ParamId>);
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

/// The phase's learning rates, a block's lower than the next later one's, from update `update` on.
pub(crate) fn rates(trainee: &Trainee, phase: &Phase, length: Length, update: usize) -> ModuleLrScheduler {
    let rate = |scale: f64| Rate {
        schedule: phase.schedule.clone(),
        length,
        scale,
        update,
    };
    let mut rates = ModuleLrScheduler::new(rate(1.0));
    if phase.layer_decay < 1.0 {
        let mut scale = 1.0;
        for (_, stage) in stages(&trainee.network) {
            rates = rates.with_group(stage, rate(scale));
            scale *= phase.layer_decay;
        }
    }
    rates
}

/// Scales gradients down so that all of them together are no longer than `longest`, and returns how long they were
/// (`torch.nn.utils.clip_grad_norm_`; Burn's own clipping takes each parameter by itself).
pub(crate) fn clip(trainee: &Trainee, gradients: &mut GradientsParams, longest: f64) -> f64 {
    struct Squares<'a>(&'a GradientsParams, f64);
    impl ModuleVisitor for Squares<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.get::<D>(param.id) {
                self.1 += f64::from(gradient.square().sum().into_scalar::<f32>());
            }
        }
    }
    let mut squares = Squares(gradients, 0.0);
    trainee.visit(&mut squares);
    let norm = squares.1.sqrt();
    if norm > longest {
        scale(trainee, gradients, longest / norm);
    }
    norm
}

/// Multiplies every gradient.
pub(crate) fn scale(trainee: &Trainee, gradients: &mut GradientsParams, factor: f64) {
    struct Scale<'a>(&'a mut GradientsParams, f64);
    impl ModuleVisitor for Scale<'_> {
        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            if let Some(gradient) = self.0.remove::<D>(param.id) {
                self.0.register(param.id, gradient * self.1);
            }
        }
    }
    trainee.visit(&mut Scale(gradients, factor));
}
