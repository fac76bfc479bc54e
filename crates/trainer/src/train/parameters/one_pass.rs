//! Optimizers that update a parameter in one pass over its values, with all threads. They run where the weights are on
//! the processor.
//!
//! The updated values have the bits of Burn's optimizers, which run where no such pass exists. The states have the
//! names of Burn's states: a checkpoint of either optimizer resumes with the other.

use burn::optim::{
    AdamW, AdamWConfig, AdamWState, LearningRate, Optimizer, RecordState, StateSink, StateSource, join_path,
};
use burn::tensor::{Device, Tensor};

/// Stochastic gradient descent with momentum and without dampening.
#[derive(Clone)]
pub(super) struct OnePassSgd {
    pub momentum: f64,
    pub nesterov: bool,
    pub weight_decay: f32,
}

/// Like Burn's `SgdState`, whose velocity is private.
#[derive(Clone)]
pub(super) struct SgdState<const D: usize> {
    velocity: Tensor<D>,
}

impl<const D: usize> RecordState for SgdState<D> {
    fn state_flatten(&self, prefix: &str, out: &mut StateSink) {
        out.push_tensor(&join_path(prefix, "momentum"), "velocity", self.velocity.to_data());
    }

    fn state_unflatten(prefix: &str, src: &mut StateSource, device: &Device) -> Option<Self> {
        let data = src.take_tensor(&join_path(prefix, "momentum"), "velocity")?;
        Some(Self {
            velocity: Tensor::from_data(data, device),
        })
    }
}

impl OnePassSgd {
    /// The same update by Burn's operations, as in Burn's `Sgd`.
    fn plain<const D: usize>(
        &self,
        rate: LearningRate,
        weights: Tensor<D>,
        gradient: Tensor<D>,
        velocity: Option<Tensor<D>>,
    ) -> [Tensor<D>; 2] {
        let gradient = if self.weight_decay > 0.0 {
            weights.clone().mul_scalar(self.weight_decay).add(gradient)
        } else {
            gradient
        };
        let momentum = self.momentum as f32;
        let velocity = match velocity {
            Some(velocity) => gradient.clone().add(velocity.mul_scalar(momentum)),
            None => gradient.clone(),
        };
        let step = if self.nesterov {
            velocity.clone().mul_scalar(momentum).add(gradient)
        } else {
            velocity.clone()
        };
        [weights - step.mul_scalar(rate), velocity]
    }
}

impl Optimizer for OnePassSgd {
    type State<const D: usize> = SgdState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<SgdState<D>>,
    ) -> (Tensor<D>, Option<SgdState<D>>) {
        let [weights, velocity] = match state.map(|state| state.velocity) {
            #[cfg(feature = "flex")]
            Some(velocity) => {
                let update = xception_model::updates::SgdUpdate {
                    rate: lr as f32,
                    penalty: self.weight_decay,
                    momentum: self.momentum as f32,
                    dampening: 0.0,
                    nesterov: self.nesterov,
                };
                xception_model::updates::sgd_update([tensor, grad, velocity], &update)
                    .unwrap_or_else(|[tensor, grad, velocity]| self.plain(lr, tensor, grad, Some(velocity)))
            }
            velocity => self.plain(lr, tensor, grad, velocity),
        };
        (weights, Some(SgdState { velocity }))
    }

    fn to_device<const D: usize>(state: SgdState<D>, device: &Device) -> SgdState<D> {
        SgdState {
            velocity: state.velocity.to_device(device),
        }
    }
}

/// `AdamW`.
#[derive(Clone)]
pub(super) struct OnePassAdamW {
    burn: AdamW,
    weight_decay: f32,
    beta_1: f32,
    beta_2: f32,
    epsilon: f32,
}

impl OnePassAdamW {
    /// Burn's other options have their default values.
    pub fn new(weight_decay: f32, [beta_1, beta_2]: [f32; 2], epsilon: f32) -> Self {
        let config = AdamWConfig::new()
            .with_beta_1(beta_1)
            .with_beta_2(beta_2)
            .with_epsilon(epsilon)
            .with_weight_decay(weight_decay);
        Self {
            burn: config.build(),
            weight_decay,
            beta_1,
            beta_2,
            epsilon,
        }
    }
}

impl Optimizer for OnePassAdamW {
    type State<const D: usize> = AdamWState<D>;

    fn step<const D: usize>(
        &self,
        lr: LearningRate,
        tensor: Tensor<D>,
        grad: Tensor<D>,
        state: Option<AdamWState<D>>,
    ) -> (Tensor<D>, Option<AdamWState<D>>) {
        #[cfg(feature = "flex")]
        if let Some(AdamWState { mut momentum }) = state {
            let time = momentum.time + 1;
            let update = xception_model::updates::AdamWUpdate {
                rate: lr,
                weight_decay: self.weight_decay,
                beta_1: self.beta_1,
                beta_2: self.beta_2,
                epsilon: self.epsilon,
                time: time as i32,
            };
            let tensors = [tensor, grad, momentum.moment_1, momentum.moment_2];
            return match xception_model::updates::adamw_update(tensors, &update) {
                Ok([weights, moment_1, moment_2]) => {
                    (momentum.time, momentum.moment_1, momentum.moment_2) = (time, moment_1, moment_2);
                    (weights, Some(AdamWState::new(momentum)))
                }
                Err([tensor, grad, moment_1, moment_2]) => {
                    (momentum.moment_1, momentum.moment_2) = (moment_1, moment_2);
                    self.burn.step(lr, tensor, grad, Some(AdamWState::new(momentum)))
                }
            };
        }
        self.burn.step(lr, tensor, grad, state)
    }

    fn to_device<const D: usize>(state: AdamWState<D>, device: &Device) -> AdamWState<D> {
        AdamW::to_device(state, device)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::nn::{Linear, LinearConfig};
    use burn::optim::decay::WeightDecayConfig;
    use burn::optim::momentum::MomentumConfig;
    use burn::optim::{GradientsParams, ModuleOptimizer, SgdConfig};
    use burn::tensor::Distribution;

    fn update(optimizer: &mut ModuleOptimizer, layer: Linear, images: &Tensor<2>) -> Linear {
        let gradients = layer.forward(images.clone()).square().sum().backward();
        let gradients = GradientsParams::from_grads(gradients, &layer);
        optimizer.step(0.01, layer, gradients)
    }

    fn bits(layer: &Linear) -> Vec<u32> {
        let weights = crate::tensor::numbers(layer.weight.val());
        let bias = layer.bias.iter().flat_map(|bias| crate::tensor::numbers(bias.val()));
        weights.into_iter().chain(bias).map(f32::to_bits).collect()
    }

    /// Four updates. After two of them, one optimizer saves its state and the other loads it.
    fn check(own: impl Fn() -> ModuleOptimizer, burns: impl Fn() -> ModuleOptimizer) {
        let device = Device::flex().autodiff();
        device.seed(3);
        let start = LinearConfig::new(300, 200).init(&device);
        let images = Tensor::<2>::random([4, 300], Distribution::Default, &device);
        let run = |first: &dyn Fn() -> ModuleOptimizer, second: &dyn Fn() -> ModuleOptimizer| {
            let (mut optimizer, mut layer) = (first(), start.clone());
            for _ in 0..2 {
                layer = update(&mut optimizer, layer, &images);
            }
            let bytes = optimizer.into_bytes().unwrap();
            let mut optimizer = second().from_bytes(bytes).unwrap();
            for _ in 0..2 {
                layer = update(&mut optimizer, layer, &images);
            }
            bits(&layer)
        };
        let expected = run(&burns, &burns);
        assert!(run(&own, &own) == expected);
        assert!(run(&own, &burns) == expected);
        assert!(run(&burns, &own) == expected);
    }

    #[test]
    fn updates_and_states_are_those_of_burn_s_sgd() {
        for (nesterov, weight_decay) in [(false, 0.0), (true, 0.0), (false, 0.1), (true, 0.1)] {
            let own = || {
                ModuleOptimizer::from(OnePassSgd {
                    momentum: 0.9,
                    nesterov,
                    weight_decay,
                })
            };
            let momentum = MomentumConfig {
                momentum: 0.9,
                dampening: 0.0,
                nesterov,
            };
            let decay = (weight_decay > 0.0).then(|| WeightDecayConfig::new(weight_decay));
            let burns = || {
                let config = SgdConfig::new().with_momentum(Some(momentum.clone()));
                config.with_weight_decay(decay.clone()).init()
            };
            check(own, burns);
        }
    }

    #[test]
    fn updates_and_states_are_those_of_burn_s_adamw() {
        for weight_decay in [0.0, 0.1] {
            let own = || ModuleOptimizer::from(OnePassAdamW::new(weight_decay, [0.9, 0.999], 1e-8));
            let burns = || {
                let config = AdamWConfig::new().with_epsilon(1e-8);
                config.with_weight_decay(weight_decay).init()
            };
            check(own, burns);
        }
    }
}
