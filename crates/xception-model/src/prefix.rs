//! The frozen beginning of a network that is trained.

use burn::module::Param;
use burn::tensor::Tensor;
use graph::{Graph, NodeId, Op, Taps};

use crate::error::InputError;
use crate::feature::Feature;
use crate::forward::{Run, Watch};
use crate::inference::InferenceNetwork;
use crate::network::{Network, check};
use crate::parameters::Parameters;
use crate::units;

/// The layers before the first one that a training step changes, computed by the CPU engine. Made by
/// [`Network::frozen_prefix`].
///
/// The engine has folded batch norms and weights packed once, and keeps nothing for a backward pass.
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
        let logits = graph.taps.logits?;
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
            taps: Taps {
                feature_map: Some(NodeId(end)),
                ..Taps::default()
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

    /// The logits, as [`forward`](Self::forward), of which `prefix` computes the beginning. It must be this network's,
    /// with the same weights. Without training kernels for the pictures, the whole network runs on Burn's operations.
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
        let device = images.device();
        let images = Feature::Map(images);
        if !units::are_for(&images) {
            return self.forward(images.into_map());
        }
        let logits = self.graph().taps.logits.ok_or(InputError::NoTop)?;
        let images = images.into_map();
        check(self.graph(), &images)?;
        let map = prefix.network.feature_map(images)?.to_device(&device);
        let start = if outputs_vector(self.graph(), prefix.end) {
            Feature::Vector(Feature::Map(map).into_vector())
        } else {
            Feature::Map(map)
        };
        let run = Run::new(self.graph(), self.parameters());
        Ok(run.from(prefix.end, start, logits, &mut Watch::Off).into_vector())
    }
}

/// Whether a training step changes these parameters, or computes with other numbers than prediction does.
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

/// Whether a node outputs a vector for each picture.
fn outputs_vector(graph: &Graph, mut id: NodeId) -> bool {
    loop {
        let node = graph.node(id);
        match &node.op {
            Op::Flatten { .. } | Op::Dense(_) => return true,
            Op::GlobalPool(pool) => return !pool.keep_dims,
            Op::Activation(_) | Op::BatchNorm(_) | Op::ScaleShift(_) | Op::Dropout { .. } | Op::Add => {}
            _ => return false,
        }
        match node.inputs.first() {
            Some(input) => id = *input,
            None => return false,
        }
    }
}
