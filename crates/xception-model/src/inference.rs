//! The network for prediction: every batch norm is folded into its convolution.

use alloc::sync::Arc;
use alloc::vec::Vec;

use burn::module::Module;
use burn::tensor::activation::softmax;
use burn::tensor::{Device, Tensor};
use graph::{Graph, NodeId, Roles};

#[cfg(feature = "flex")]
use crate::engine::EngineNetwork;
use crate::error::InputError;
use crate::feature::Feature;
use crate::fold::folded;
use crate::network::{Network, Pyramid, check};
use crate::zoo::Architecture;

/// A [`Network`] for prediction alone. Made by [`Network::fuse`].
///
/// Takes and gives the same tensors as the network, within 1e-5 in norm; its weights cannot be changed. On Burn's
/// `Flex` device, the network runs on the kernels of the crate `kernels` with weights packed once; operations without a
/// kernel run on Burn's. On other devices, the folded network runs on Burn's operations.
///
/// The kernels use the threads of the current rayon pool: inside `pool.install(...)` those of another.
#[derive(Clone, Debug)]
pub struct InferenceNetwork {
    /// The original network. Its tensors are shared, and stay in the record's file until a caller asks for a stage that
    /// was folded away.
    network: Network,
    engine: Engine,
}

#[derive(Clone, Debug)]
enum Engine {
    #[cfg(feature = "flex")]
    Kernels(Arc<EngineNetwork>),
    Burn(Arc<Network>),
}

impl Network {
    /// The same network for prediction alone, several times as fast on a CPU.
    ///
    /// Batch norms are folded into the convolutions in f64 and rounded once. The result is a copy, so this network can
    /// continue training. Weights that Burn has not yet read from the record's file are read from there and not kept:
    /// this network then takes no memory beside the copy, and reads the file when it is used itself.
    pub fn fuse(&self) -> InferenceNetwork {
        let network = self.valid().materialize();
        #[cfg(feature = "flex")]
        if let Some(packed) = EngineNetwork::new(&network) {
            let engine = Engine::Kernels(Arc::new(packed));
            return InferenceNetwork { network, engine };
        }
        let engine = Engine::Burn(Arc::new(folded(&network)));
        InferenceNetwork { network, engine }
    }
}

impl InferenceNetwork {
    /// The network's architecture.
    pub fn architecture(&self) -> &Architecture {
        self.network.architecture()
    }

    /// The network's operations, with batch norms.
    pub fn graph(&self) -> &Graph {
        self.network.graph()
    }

    /// The original network.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The instruction set of the CPU kernels, such as `AVX2+FMA`; `None` if the network runs on Burn's operations.
    pub fn kernels(&self) -> Option<&'static str> {
        match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Kernels(packed) => packed.instructions(),
            Engine::Burn(_) => None,
        }
    }

    /// Number of operations that have no kernel and run on Burn's.
    pub fn without_kernels(&self) -> usize {
        match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Kernels(packed) => packed.without_kernels(),
            Engine::Burn(folded) => folded.graph().nodes.len(),
        }
    }

    /// The outputs of the nodes that `nodes` chooses from the folded graph's roles.
    fn outputs(
        &self,
        images: Tensor<4>,
        nodes: impl Fn(&Roles) -> Vec<NodeId>,
    ) -> Result<impl Iterator<Item = Feature>, InputError> {
        check(self.network.graph(), &images)?;
        let images = images.inner();
        let found = match &self.engine {
            #[cfg(feature = "flex")]
            Engine::Kernels(packed) => packed.run(images.clone(), &nodes(&packed.graph().roles)),
            Engine::Burn(folded) => folded.outputs(images.clone(), &nodes(&folded.graph().roles)),
        };
        // What the kernels refuse, Burn's operations compute.
        let found = if found.iter().all(Option::is_some) {
            found
        } else {
            self.network.outputs(images, &nodes(&self.network.graph().roles))
        };
        Ok(found.into_iter().flatten())
    }

    /// The same network on another device.
    #[must_use]
    pub fn to_device(&self, device: &Device) -> Self {
        self.network.clone().to_device(device).fuse()
    }

    /// One logit for each class, as [`Network::forward`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for an empty batch, wrong channels, a picture too small, or a network without classifier.
    pub fn forward(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        let logits = self.outputs(images, |roles| roles.logits.into_iter().collect())?.next();
        Ok(logits.ok_or(InputError::NoTop)?.into_vector())
    }

    /// One probability for each class: the softmax of [`forward`](Self::forward).
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, num_classes]`, rows sum to 1
    ///
    /// # Errors
    ///
    /// As [`forward`](Self::forward).
    pub fn predict(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        Ok(softmax(self.forward(images)?, 1))
    }

    /// The pooled features, as [`Network::embed`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, embedding]`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input, or a network without pooling.
    pub fn embed(&self, images: Tensor<4>) -> Result<Tensor<2>, InputError> {
        let embedding = self
            .outputs(images, |roles| roles.embedding.into_iter().collect())?
            .next();
        Ok(embedding.ok_or(InputError::NoPooling)?.into_vector())
    }

    /// The last feature map, as [`Network::feature_map`].
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`
    /// - output: `[batch, channels', height', width']`
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn feature_map(&self, images: Tensor<4>) -> Result<Tensor<4>, InputError> {
        let map = self
            .outputs(images, |roles| roles.feature_map.into_iter().collect())?
            .next();
        Ok(map.ok_or(InputError::NoFeatureMap)?.into_map())
    }

    /// Feature maps at strides 2, 4, 8, 16 and 32, as [`Network::pyramid`].
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input.
    pub fn pyramid(&self, images: Tensor<4>) -> Result<Pyramid, InputError> {
        let maps = self.outputs(images, |roles| roles.levels.iter().map(|level| level.node).collect())?;
        Ok(Pyramid::of(self.network.graph(), maps.map(Feature::into_map)))
    }

    /// One layer's output by its name, as [`Network::stage`]. The engine computes several layers at once, so most
    /// layers have no output of their own there; for them the original network runs.
    ///
    /// # Errors
    ///
    /// [`InputError`] for a bad input or an unknown name.
    pub fn stage(&self, images: Tensor<4>, name: &str) -> Result<Tensor<4>, InputError> {
        self.network.stage(images.inner(), name)
    }

    /// The names that [`stage`](Self::stage) accepts, in the order of computation.
    pub fn stage_names(&self) -> Vec<alloc::string::String> {
        self.network.stage_names()
    }

    /// The logits of embeddings, as [`Network::forward_head`].
    ///
    /// # Errors
    ///
    /// [`InputError`] for a network without pooling or without classifier, or embeddings of another length.
    pub fn forward_head(&self, embeddings: Tensor<2>) -> Result<Tensor<2>, InputError> {
        self.network.forward_head(embeddings.inner())
    }
}
