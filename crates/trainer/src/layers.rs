//! Which parameters a phase trains, how fast, and with how much weight decay.

use std::collections::HashSet;

use burn::grad_clipping::GradientClipping;
use burn::module::{Flag, Module, ModuleMapper, ModuleVisitor, Param, ParamGroup};
use burn::optim::decay::WeightDecayConfig;
use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
use burn::optim::momentum::MomentumConfig;
use burn::optim::{AdamWConfig, GradientsParams, ModuleOptimizer, RmsPropConfig, SgdConfig};
use burn::tensor::{Device, GradientCheckpointingStrategy, Tensor};
use xception_model::graph::Op;
use xception_model::{Block, Network};

use crate::learner::Trainee;
use crate::recipe::{Norms, Optimizer, Phase, Trains};
use crate::schedule::{Length, Rate};

/// The parameters of each block, from the classifier to the first block, with the block's name.
fn blocks(network: &Network) -> Vec<(String, ParamGroup)> {
    network.blocks().into_iter().rev().collect()
}

/// A network as steps on `device` change it.
pub(crate) fn trained_on(trainee: Trainee, device: &Device) -> Trainee {
    struct Checkpointing(GradientCheckpointingStrategy);
    impl ModuleMapper for Checkpointing {
        fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
            param.map(|tensor| tensor.with_gradient_checkpointing_strategy(self.0))
        }
    }
    let trainee = trainee.train().fork(device);
    // A move leaves each tensor the strategy that it had, and Burn computes with no two at once.
    match device.gradient_checkpointing_strategy() {
        Some(strategy) => trainee.map(&mut Checkpointing(strategy)),
        None => trainee,
    }
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
        Trains::Head => Some(Block::HEAD),
        Trains::From(block) => Some(block.as_str()),
    };
    if let Some(last) = last {
        let blocks = blocks(&trainee.network);
        let Some(place) = blocks.iter().position(|(name, _)| name == last) else {
            let names: Vec<_> = blocks.iter().map(|(name, _)| name.as_str()).collect();
            return Err(format!(
                "there is no {last} in this network: there are {}",
                names.join(", ")
            ));
        };
        for (_, frozen) in blocks.into_iter().skip(place + 1) {
            trainee = trainee.freeze_group(frozen);
        }
    }
    Ok(match phase.norms {
        Norms::Train => trainee,
        Norms::Inference => {
            let mut stop = StopNorms::new(&trainee.network);
            trainee.map(&mut stop)
        }
    })
}

/// Switches the training behaviour of batch norms off; their scale and shift go on learning.
struct StopNorms {
    /// Where they are in the network.
    norms: HashSet<String>,
    path: Vec<String>,
}

impl StopNorms {
    fn new(network: &Network) -> Self {
        let norms = network
            .graph()
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::BatchNorm(_)));
        Self {
            norms: norms.map(|node| node.path.clone()).collect(),
            path: Vec::new(),
        }
    }
}

impl ModuleMapper for StopNorms {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        // The path is `network`, the norm's, and the flag's own name.
        let norm = self.path.get(1..self.path.len().saturating_sub(1)).unwrap_or_default();
        if self.norms.contains(&norm.join(".")) {
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
        for (_, stage) in blocks(&trainee.network) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::learner::{NetworkInput, Objective, StepInput};
    use crate::recipe::Recipe;
    use burn::tensor::Distribution;
    use burn::train::TrainStep;
    use xception_model::{Widths, XceptionConfig};

    fn trainee() -> Trainee {
        let device = Device::flex().autodiff();
        let network = XceptionConfig::new()
            .with_num_classes(3)
            .with_middle_blocks(1)
            .with_dropout(0.0)
            .with_widths(Widths {
                stem: [4, 8],
                entry: [8, 12, 16],
                exit: [16, 20, 24],
            })
            .init(&device)
            .unwrap();
        let objective = Objective {
            multi_label: false,
            label_smoothing: 0.0,
            class_weights: None,
        };
        Trainee::new(network, objective)
    }

    fn phase() -> Phase {
        Recipe::load("fine-tune").unwrap().phases.pop().unwrap()
    }

    fn batch() -> StepInput {
        let device = Device::flex().autodiff();
        StepInput {
            input: NetworkInput::Pictures(Tensor::random([2, 3, 71, 71], Distribution::Default, &device)),
            targets: Tensor::from_floats([[1.0, 0.0, 0.0], [0.0, 0.0, 1.0]], &device),
            place: 0,
        }
    }

    /// A parameter or a statistic: its path, its rank, its values and its gradient's.
    struct Seen {
        path: String,
        rank: usize,
        values: Vec<f32>,
        gradient: Option<Vec<f32>>,
        id: burn::module::ParamId,
    }

    impl Seen {
        fn is_statistic(&self) -> bool {
            self.path.contains("running_")
        }
    }

    struct Look<'a> {
        gradients: &'a GradientsParams,
        path: Vec<String>,
        seen: Vec<Seen>,
    }

    impl ModuleVisitor for Look<'_> {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_owned());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            let gradient = self.gradients.get::<D>(param.id);
            self.seen.push(Seen {
                path: self.path.join("."),
                rank: D,
                values: crate::feed::numbers(param.val()),
                gradient: gradient.map(crate::feed::numbers),
                id: param.id,
            });
        }
    }

    fn look(trainee: &Trainee, gradients: &GradientsParams) -> Vec<Seen> {
        let mut look = Look {
            gradients,
            path: Vec::new(),
            seen: Vec::new(),
        };
        trainee.visit(&mut look);
        assert!(look.seen.len() > 50);
        look.seen
    }

    fn statistics(trainee: &Trainee) -> Vec<Vec<f32>> {
        let seen = look(trainee, &GradientsParams::new());
        let found: Vec<_> = seen
            .into_iter()
            .filter(Seen::is_statistic)
            .map(|seen| seen.values)
            .collect();
        assert!(!found.is_empty());
        found
    }

    #[test]
    fn frozen_layers_get_no_gradient() {
        let last = {
            let trainee = trainee();
            let blocks = trainee.network.blocks();
            blocks[blocks.len() - 3].0.clone()
        };
        for (trains, trained) in [
            (Trains::Head, &["network.head"][..]),
            (Trains::From(last), &["network.head", "network.exit"]),
            (Trains::All, &["network."]),
        ] {
            let mut phase = phase();
            phase.trains = trains;
            let trainee = prepare(trainee(), &phase).unwrap();
            let gradients = TrainStep::step(&trainee, batch()).grads;
            for seen in look(&trainee, &gradients).iter().filter(|seen| !seen.is_statistic()) {
                let expected = trained.iter().any(|start| seen.path.starts_with(start));
                assert_eq!(seen.gradient.is_some(), expected, "{:?}: {}", phase.trains, seen.path);
            }
        }
    }

    #[test]
    fn norms_keep_or_update_their_statistics_as_the_phase_says() {
        for (norms, moves) in [(Norms::Inference, false), (Norms::Train, true)] {
            let mut phase = phase();
            phase.norms = norms;
            let trainee = prepare(trainee(), &phase).unwrap();
            let before = statistics(&trainee.valid().train());
            let item = batch();
            let NetworkInput::Pictures(pictures) = item.input.clone() else {
                unreachable!("it holds pictures")
            };
            let output = TrainStep::step(&trainee, item).item;
            assert_eq!(statistics(&trainee.valid().train()) != before, moves, "{norms:?}");
            let inference = trainee.network.valid().forward(pictures.inner()).unwrap();
            let far: f32 = (output.logits.inner() - inference).abs().max().into_scalar();
            // With a batch's own statistics the logits are others.
            assert_eq!(far > 1e-4, moves, "{norms:?}: {far}");
        }
    }

    #[test]
    fn a_block_s_rate_is_a_part_of_the_later_block_s() {
        let trainee = trainee();
        let mut phase = phase();
        (phase.layer_decay, phase.schedule.warm_up) = (0.5, 0.0);
        let length = Length {
            updates_per_epoch: 10,
            samples_per_epoch: 80,
            epochs: 5,
        };
        let rate = rates(&trainee, &phase, length, 0).step();
        let base = phase.schedule.rate(0, length);
        let names: Vec<String> = blocks(&trainee.network).into_iter().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "head", "block7", "block6", "block5", "block4", "block3", "block2", "block1"
            ]
        );
        let mut checked = 0;
        for (place, (_, group)) in blocks(&trainee.network).into_iter().enumerate() {
            for seen in look(&trainee, &GradientsParams::new()) {
                if group.matches(&seen.id, Some(&seen.path)) {
                    let found = rate.lr_from_param(seen.id, Some(&seen.path));
                    let expected = base * 0.5_f64.powi(i32::try_from(place).unwrap());
                    assert!(
                        (found / expected - 1.0).abs() < 1e-12,
                        "{}: {found} {expected}",
                        seen.path
                    );
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, look(&trainee, &GradientsParams::new()).len());
    }

    /// Gradients of one value everywhere.
    fn gradients(trainee: &Trainee, value: f32) -> GradientsParams {
        struct Fill<'a>(&'a mut GradientsParams, f32);
        impl ModuleVisitor for Fill<'_> {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                let gradient = param.val().inner().zeros_like() + self.1;
                self.0.register(param.id, gradient);
            }
        }
        let mut gradients = GradientsParams::new();
        trainee.visit(&mut Fill(&mut gradients, value));
        gradients
    }

    #[test]
    fn weight_decay_spares_what_has_one_dimension() {
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

    #[test]
    fn a_long_gradient_is_cut_to_its_length_and_a_short_one_is_left() {
        let trainee = trainee();
        let count: usize = look(&trainee, &GradientsParams::new())
            .iter()
            .map(|seen| seen.values.len())
            .sum();
        let norm = |gradients: &GradientsParams| {
            let squares = look(&trainee, gradients).into_iter().filter_map(|seen| seen.gradient);
            squares
                .flatten()
                .map(|value| f64::from(value).powi(2))
                .sum::<f64>()
                .sqrt()
        };
        let mut long = gradients(&trainee, 3.0);
        let before = clip(&trainee, &mut long, 2.0);
        assert!((before / (3.0 * (count as f64).sqrt()) - 1.0).abs() < 1e-5, "{before}");
        assert!((norm(&long) / 2.0 - 1.0).abs() < 1e-5, "{}", norm(&long));
        let mut short = gradients(&trainee, 1e-6);
        let before = norm(&short);
        clip(&trainee, &mut short, 2.0);
        assert_eq!(norm(&short).to_bits(), before.to_bits());
    }
}
