//! The same network with another classifier, without one, or for other channels.

use alloc::collections::BTreeMap;

use burn::module::Param;
use graph::{Block, NodeId, Op};

use super::Network;
use crate::error::ConfigError;
use crate::parameters::Parameters;

impl Network {
    /// The same network with a new, random last layer for `num_classes`; hidden layers stay as they are.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no classes or a network without classifier.
    pub fn with_num_classes(mut self, num_classes: usize) -> Result<Self, ConfigError> {
        let device = self.device();
        self.architecture = self.architecture.with_num_classes(num_classes)?;
        self.graph = self.architecture.graph();
        if let Some(logits) = self.graph.roles.logits {
            self.parameters[logits.0] = Parameters::new(&self.graph.node(logits).op, &device);
        }
        Ok(self)
    }

    /// The same network without the layers after the embedding, or after the last feature map.
    #[must_use]
    pub fn without_top(self) -> Self {
        let device = self.device();
        Self::new(self.architecture.clone().without_top(), &device).with_backbone(self)
    }

    /// The same network with the parameters of `other` at every path, except in the head, where both have a tensor of
    /// the same shape.
    #[must_use]
    pub fn with_backbone(mut self, other: Self) -> Self {
        let nodes = other.graph.nodes.iter().zip(other.parameters);
        let mut theirs: BTreeMap<&str, (&Op, Parameters)> = nodes
            .filter(|(node, _)| !node.path.is_empty())
            .map(|(node, parameters)| (node.path.as_str(), (&node.op, parameters)))
            .collect();
        for (node, parameters) in self.graph.nodes.iter().zip(&mut self.parameters) {
            if self.graph.layer(node.layer).block != Block::HEAD
                && let Some((op, found)) = theirs.remove(node.path.as_str())
                && op.parameters() == node.op.parameters()
            {
                *parameters = found;
            }
        }
        self
    }

    /// The same network for pictures of `in_channels` channels, its first kernel adapted as timm's
    /// `adapt_input_conv` (`timm/models/_manipulate.py`) does.
    ///
    /// One channel: the kernel's sum over its input channels, so that a grey picture gives the same output as its RGB
    /// copy. More channels: the kernel's channels repeated in turn and scaled by old / new, so that activations keep
    /// their size.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] for no channels.
    pub fn with_in_channels(mut self, in_channels: usize) -> Result<Self, ConfigError> {
        let old = self.graph.in_channels();
        self.architecture = self.architecture.with_in_channels(in_channels)?;
        if in_channels == old {
            return Ok(self);
        }
        self.graph = self.architecture.graph();
        // A zero padding before the convolution does not change the channels.
        let reads_picture = |index: usize| {
            let mut at = index;
            loop {
                match self.graph.nodes[at].inputs.first() {
                    Some(NodeId(0)) => return true,
                    Some(NodeId(input)) if matches!(self.graph.nodes[*input].op, Op::Pad { .. }) => at = *input,
                    _ => return false,
                }
            }
        };
        for (index, weights) in self.parameters.iter_mut().enumerate() {
            if let Parameters::Conv(conv) = weights
                && reads_picture(index)
            {
                let kernel = conv.weight.val();
                let kernel = if in_channels == 1 {
                    kernel.sum_dim(1)
                } else {
                    let repeated = kernel
                        .repeat_dim(1, in_channels.div_ceil(old))
                        .narrow(1, 0, in_channels);
                    repeated * (old as f64 / in_channels as f64)
                };
                // A new parameter is a leaf without autodiff history, so the history of the adaptation is cut.
                conv.weight = Param::from_tensor(kernel.detach());
            }
        }
        Ok(self)
    }

    /// Moves the network out, and leaves one without parameters, which computes nothing, in its place. An update that
    /// finds no other holder of the weights changes them where they are, without memory for new ones.
    #[must_use]
    pub fn take(&mut self) -> Self {
        let empty = self.clone_description();
        core::mem::replace(self, empty)
    }
}
