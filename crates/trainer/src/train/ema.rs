//! The weights' exponential moving average.

use burn::module::{Module, ModuleMapper, ModuleVisitor, Param, ParamId};
use burn::optim::GradientsParams;
use burn::tensor::Tensor;
use xception_model::Network;

use crate::tensor::averaged;

/// An exponential moving average of a network's weights and batch-norm statistics (Polyak and Juditsky 1992). Averaged
/// weights often predict better than the last weights. Burn has no such average.
///
/// After `n` updates the decay is at most `(1 + n) / (10 + n)`, as in TensorFlow's `ExponentialMovingAverage`. The
/// starting weights therefore soon have little influence.
#[derive(Clone, Debug)]
pub(crate) struct Ema {
    network: Network,
    decay: f64,
    updates: u64,
}

impl Ema {
    /// An average that starts at `network`.
    pub fn new(network: &Network, decay: f64) -> Self {
        Self {
            network: network.valid(),
            decay,
            updates: 0,
        }
    }

    /// Continues a saved average after `updates` updates.
    pub fn resume(network: Network, decay: f64, updates: u64) -> Self {
        Self {
            network,
            decay,
            updates,
        }
    }

    /// The averaged network, for inference.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The number of updates.
    pub fn updates(&self) -> u64 {
        self.updates
    }

    /// Adds the updated weights to the average.
    pub fn update(&mut self, network: &Network) {
        let decay = self
            .decay
            .min((1.0 + self.updates as f64) / (10.0 + self.updates as f64));
        self.updates += 1;
        // `GradientsParams` is Burn's only map to tensors of any rank. The keys are the tensors' positions in the
        // network, because batch-norm statistics get a new id whenever they are loaded.
        let mut new = Values {
            tensors: GradientsParams::new(),
            position: 0,
        };
        network.valid().visit(&mut new);
        self.network = self.network.clone().map(&mut Mix {
            new: new.tensors,
            position: 0,
            decay,
        });
    }
}

/// Collects the tensors of a network by position.
struct Values {
    tensors: GradientsParams,
    position: u64,
}

impl ModuleVisitor for Values {
    fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
        self.tensors.register(ParamId::from(self.position), param.val());
        self.position += 1;
    }
}

/// Moves every tensor towards the new tensor at the same position.
struct Mix {
    new: GradientsParams,
    position: u64,
    decay: f64,
}

impl ModuleMapper for Mix {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let new = self.new.remove::<D>(ParamId::from(self.position));
        self.position += 1;
        let Some(new) = new else { return param };
        let decay = self.decay;
        // Copies of a network share their running statistics, which stay on the device of the copy that computed last.
        param.map(|old| {
            let new = new.to_device(&old.device());
            averaged(old, new, decay)
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::tensor::Device;
    use xception_model::{Widths, XceptionConfig};

    fn network(seed: u64) -> Network {
        let device = Device::flex();
        device.seed(seed);
        XceptionConfig::new()
            .with_num_classes(2)
            .with_middle_blocks(1)
            .with_widths(Widths {
                stem: [2, 4],
                entry: [4, 6, 8],
                exit: [8, 10, 12].into(),
            })
            .init(&device)
            .unwrap()
    }

    fn values(network: &Network) -> Vec<f32> {
        struct All(Vec<f32>);
        impl ModuleVisitor for All {
            fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
                self.0.extend(crate::tensor::numbers(param.val()));
            }
        }
        let mut all = All(Vec::new());
        network.visit(&mut all);
        all.0
    }

    /// `a = d a + (1 - d) w` with `d = min(decay, (1 + n) / (10 + n))`, by hand.
    #[test]
    fn the_average_is_tensorflow_s() {
        let [start, first, second] = [1, 2, 3].map(network);
        let mut ema = Ema::new(&start, 0.15);
        ema.update(&first);
        ema.update(&second);
        assert_eq!(ema.updates(), 2);
        // The decays are 1/10, and 2/11 limited to 0.15.
        let expected = values(&start)
            .into_iter()
            .zip(values(&first))
            .zip(values(&second))
            .map(|((start, first), second)| 0.15 * (0.1 * start + 0.9 * first) + 0.85 * second);
        let found = values(ema.network());
        assert!(found.len() > 1000);
        for (found, expected) in found.into_iter().zip(expected) {
            assert!(
                (found - expected).abs() <= 1e-6 * expected.abs().max(0.1),
                "{found} {expected}"
            );
        }
        assert_ne!(values(&first), values(&second));
    }
}
