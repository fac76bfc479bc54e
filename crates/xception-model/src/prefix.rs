//! The frozen beginning of a network that is trained.

use burn::module::Param;
use burn::tensor::Tensor;
use graph::{Graph, NodeId, Op, Roles, Shape};

use crate::error::InputError;
use crate::feature::Feature;
use crate::forward::{ForwardPass, Watch};
use crate::inference::InferenceNetwork;
use crate::network::{Network, check};
use crate::parameters::Parameters;
use crate::units;

/// The layers before the first one that a training step changes, computed by the CPU engine. [`Network::frozen_prefix`]
/// makes them.
///
/// The engine folds batch norms and packs weights once, and keeps nothing for a backward pass.
#[derive(Clone, Debug)]
pub struct FrozenPrefix {
    /// The prefix alone; its feature map is the output of `end`.
    network: InferenceNetwork,
    /// The last node of the prefix, in the whole network.
    end: NodeId,
}

impl Network {
    /// The largest beginning of the network that no training step changes: its weights are frozen, its batch norms keep
    /// their statistics, and nothing in it draws random numbers.
    ///
    /// `None` if the first layer is trained, or the network is not on Burn's `Flex` device.
    pub fn frozen_prefix(&self) -> Option<FrozenPrefix> {
        let graph = self.graph();
        let logits = graph.roles.logits?;
        let parameters = self.parameters();
        let changes = |index: usize| is_trained(&parameters[index]);
        let frozen = (0..logits.0).find(|&index| changes(index)).unwrap_or(logits.0);
        let cuts = graph.cuts(logits);
        let end = (1..frozen).rev().find(|&index| cuts[index])?;
        let has_weights = |index: usize| matches!(graph.nodes[index].op, Op::Conv(_) | Op::Dense(_));
        if !(1..=end).any(has_weights) {
            return None;
        }
        let beginning = Graph {
            nodes: graph.nodes[..=end].to_vec(),
            roles: Roles {
                feature_map: Some(NodeId(end)),
                ..Roles::default()
            },
            ..graph.clone()
        };
        let network = Self::of_parts(beginning, parameters[..=end].to_vec()).fuse();
        network.kernels()?;
        Some(FrozenPrefix {
            network,
            end: NodeId(end),
        })
    }

    /// The logits, as [`forward`](Self::forward) computes them, with `prefix` for the beginning. `prefix` must come
    /// from this network with the same weights. Without training kernels for the pictures, the whole network runs on
    /// Burn's operations.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn forward_behind(&self, prefix: &FrozenPrefix, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        let images = Feature::Map(images);
        if !units::are_for(&images) {
            return self.forward(images.into_map());
        }
        let logits = self.graph().roles.logits.ok_or(InputError::NoTop)?;
        let start = prefix.output(self.graph(), images.into_map())?;
        let pass = ForwardPass::new(self.graph(), self.parameters());
        Ok(pass.from(prefix.end, start, logits, &mut Watch::Off).into_vector())
    }
}

impl FrozenPrefix {
    /// The output of `end` for these pictures, as a constant of their autodiff device, so that training kernels can
    /// compute the layers that follow. `graph` is the graph of the whole network.
    fn output(&self, graph: &Graph, images: Tensor<4>) -> Result<Feature, InputError> {
        check(graph, &images)?;
        let [_, _, height, width] = images.dims();
        let shape = graph.shapes([height, width])?[self.end.0];
        let strategy = images.gradient_checkpointing_strategy();
        // `to_device` would leave the map without autodiff, as the engine returns it.
        let mut map = self.network.feature_map(images)?.autodiff();
        if let Some(strategy) = strategy {
            map = map.with_gradient_checkpointing_strategy(strategy);
        }
        Ok(match shape {
            Shape::Map(_) => Feature::Map(map),
            Shape::Vector(_) => Feature::Vector(Feature::Map(map).into_vector()),
        })
    }
}

/// Whether a training step changes these parameters, or computes with other numbers than prediction.
fn is_trained(parameters: &Parameters) -> bool {
    fn learns<const D: usize>(param: &Param<Tensor<D>>) -> bool {
        param.val().is_require_grad()
    }
    match parameters {
        Parameters::Absent => false,
        Parameters::Conv(conv) => learns(&conv.weight) || conv.bias.as_ref().is_some_and(learns),
        Parameters::Dense(dense) => learns(&dense.weight) || dense.bias.as_ref().is_some_and(learns),
        Parameters::Norm(own) => {
            let norm = &own.norm;
            norm.training.is_enabled() || (own.scale && learns(&norm.gamma)) || (own.center && learns(&norm.beta))
        }
        Parameters::Dropout(dropout) => dropout.prob > 0.0 && dropout.training.is_enabled(),
    }
}

#[cfg(test)]
mod tests {
    use burn::module::Module;
    use burn::tensor::{Device, Distribution};

    use super::*;
    use crate::{Widths, XceptionConfig};

    /// Without autodiff, the trained layers would run on Burn's operations: the same numbers in twice the time.
    #[test]
    fn training_kernels_compute_what_follows() {
        let plain = Device::flex().autodiff();
        for device in [plain.clone(), plain.gradient_checkpointing()] {
            let config = XceptionConfig::new()
                .with_num_classes(3)
                .with_middle_blocks(1)
                .with_widths(Widths {
                    stem: [4, 6],
                    entry: [8, 12, 20],
                    exit: [20, 24, 28].into(),
                });
            let mut network = config.with_dropout(0.0).init(&device).unwrap();
            let blocks = network.blocks();
            for (_, block) in &blocks[..blocks.len() / 2] {
                network = network.freeze_group(block.clone());
            }
            let prefix = network.frozen_prefix().unwrap();
            let images = Tensor::random([1, 3, 71, 71], Distribution::Default, &device);
            let start = prefix.output(network.graph(), images.clone()).unwrap();
            assert!(units::are_for(&start));
            assert_eq!(
                start.into_map().gradient_checkpointing_strategy(),
                images.gradient_checkpointing_strategy()
            );
        }
    }

    /// Weights without gradients are not frozen while norms take the statistics of the batch.
    #[test]
    fn norms_with_the_statistics_of_the_batch_are_not_part_of_it() {
        let device = Device::flex().autodiff();
        let network = XceptionConfig::new()
            .with_num_classes(3)
            .with_middle_blocks(1)
            .init(&device)
            .unwrap()
            .no_grad();
        let nodes = &network.graph().nodes;
        let first_norm = nodes.iter().position(|node| matches!(node.op, Op::BatchNorm(_)));
        let end = network.frozen_prefix().map(|prefix| prefix.end.0);
        assert!(end < first_norm, "{end:?} {first_norm:?}");
        let end = network.clone().freeze().frozen_prefix().map(|prefix| prefix.end.0);
        assert!(end > first_norm, "{end:?} {first_norm:?}");
    }
}
