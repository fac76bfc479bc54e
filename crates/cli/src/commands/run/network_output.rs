//! The output of a network that the command line asks for.

use anyhow::bail;
use burn::tensor::Tensor;
use xception_model::graph::Shape;
use xception_model::{Classifier, Network};

use crate::args::Layout;

/// A network, and which of its outputs to compute.
pub enum NetworkOutput<'a> {
    Logits(Box<Classifier>),
    /// The output of a layer, by its name.
    Layer(Box<Network>, &'a str),
}

impl NetworkOutput<'_> {
    /// The shape and the numbers of the output, in the layout of the images.
    pub fn compute(&self, images: Tensor<4>, layout: Layout) -> anyhow::Result<(Vec<usize>, Vec<f32>)> {
        let images = self.channels_first(images, layout)?;
        let [_, _, height, width] = images.dims();
        let (shape, data) = match self {
            Self::Logits(classifier) => {
                let logits = classifier.logits(images)?;
                (logits.dims().to_vec(), logits.into_data())
            }
            Self::Layer(network, name) => {
                let output = network.stage(images, name)?;
                match (output.dims(), layout) {
                    ([batch, features, 1, 1], _) if is_vector(network, name, [height, width]) => {
                        (vec![batch, features], output.into_data())
                    }
                    (shape, Layout::Nchw) => (shape.to_vec(), output.into_data()),
                    (_, Layout::Nhwc) => {
                        let output = output.permute([0, 2, 3, 1]);
                        (output.dims().to_vec(), output.into_data())
                    }
                }
            }
        };
        Ok((shape, data.iter::<f32>().collect()))
    }

    fn network(&self) -> &Network {
        match self {
            Self::Logits(classifier) => classifier.network(),
            Self::Layer(network, _) => network,
        }
    }

    /// The images in Burn's layout.
    fn channels_first(&self, images: Tensor<4>, layout: Layout) -> anyhow::Result<Tensor<4>> {
        if layout == Layout::Nchw {
            return Ok(images);
        }
        let [.., channels] = images.dims();
        let expected = self.network().graph().in_channels();
        if channels != expected {
            bail!(
                "the network takes {expected} channels, the tensor's last dimension is {channels}; say --layout nchw \
                 if the second dimension is the channels"
            );
        }
        Ok(images.permute([0, 3, 1, 2]))
    }
}

/// Whether a layer's output has no height and width; a feature map may be 1 x 1.
fn is_vector(network: &Network, name: &str, size: [usize; 2]) -> bool {
    let graph = network.graph();
    match (graph.stage(name), graph.shapes(size)) {
        (Some(node), Ok(shapes)) => matches!(shapes.get(node.0), Some(Shape::Vector(_))),
        _ => false,
    }
}
