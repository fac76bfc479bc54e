use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};
use xception_model::graph::Shape;
use xception_model::{Network, Outputs};

use super::error::ExplainError;
use super::heatmap::Heatmap;
use super::method::Method;
use crate::tensor::numbers;

/// Computes heat maps for a network.
#[derive(Clone, Debug)]
pub struct Explainer {
    model: Network,
    outputs: Outputs,
    last_layer: String,
}

impl Explainer {
    /// An explainer with a copy of the network for inference. The copy shares the network's weights. `outputs` is the
    /// meaning of the network's outputs.
    pub fn new(model: &Network, outputs: Outputs) -> Self {
        let graph = model.graph();
        let last = graph.roles.feature_map.map(|map| graph.layer_of(map).name.clone());
        Self {
            model: model.valid().materialize(),
            outputs,
            last_layer: last.unwrap_or_default(),
        }
    }

    /// The Keras name of the layer that gives the last feature map: `block14_sepconv2_act` in Keras's Xception.
    pub fn last_layer(&self) -> &str {
        &self.last_layer
    }

    /// One map for each picture: the places in the output of `layer` (a Keras name) that speak for the picture's class.
    /// The gradients belong to the class's logit. If two classes share one logit ([`Outputs::Binary`]), the first
    /// class takes the negative logit. A network whose output is a number ([`Outputs::Value`]) has the class 0.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`, scaled for the network
    /// - `classes`: one class number per picture, from 0
    ///
    /// # Errors
    ///
    /// An [`ExplainError`]: an invalid input, an unknown layer, a layer whose output is a vector, or an unknown class.
    pub fn heatmaps(
        &self,
        images: Tensor<4>,
        classes: &[usize],
        layer: &str,
        method: Method,
    ) -> Result<Vec<Heatmap>, ExplainError> {
        let [pictures, _, input_height, input_width] = images.dims();
        self.check(pictures, classes)?;
        let known = self.model.stage_names();
        if !known.iter().any(|name| name == layer) {
            // An unknown layer fails at once, with the names of similar layers.
            self.model.stage(images, layer)?;
            return Ok(Vec::new());
        }

        // Autodiff starts at the layer. The layers before it are computed without gradients.
        let mut leaf = None;
        let logits = self.model.forward_changed(images.inner(), &mut |name, output| {
            if name == layer && leaf.is_none() {
                *output = output.clone().autodiff().require_grad();
                leaf = Some(output.clone());
            }
        })?;
        let vector = || ExplainError::Vector {
            layer: layer.to_owned(),
            last: self.last_layer.clone(),
        };
        let leaf = leaf.ok_or_else(vector)?;
        if self.is_vector(layer, [input_height, input_width]) {
            return Err(vector());
        }
        let [_, _, height, width] = leaf.dims();

        let own = self.own_logits(logits, classes);
        let gradients = own.clone().sum().backward();
        let gradient = leaf
            .grad(&gradients)
            .unwrap_or_else(|| leaf.clone().inner().zeros_like());
        let output = leaf.inner();
        let weighted = match method {
            Method::GradCam => gradient.mean_dims(&[2, 3]) * output,
            Method::LayerCam => relu(gradient) * output,
        };
        let values = numbers(relu(weighted.sum_dim(1)));
        let maps = values.chunks_exact(height * width).zip(numbers(own.inner()));
        Ok(maps
            .map(|(values, logit)| Heatmap {
                height,
                width,
                values: values.to_vec(),
                logit,
            })
            .collect())
    }

    /// Whether a layer's output has no height and width. The last feature map of a small picture may be 1 x 1.
    fn is_vector(&self, layer: &str, size: [usize; 2]) -> bool {
        let graph = self.model.graph();
        match (graph.stage(layer), graph.shapes(size)) {
            (Some(node), Ok(shapes)) => matches!(shapes.get(node.0), Some(Shape::Vector(_))),
            _ => false,
        }
    }

    /// Checks that there is one class for each picture, and that the network has these classes.
    fn check(&self, pictures: usize, classes: &[usize]) -> Result<(), ExplainError> {
        if classes.len() != pictures {
            return Err(ExplainError::Count {
                pictures,
                classes: classes.len(),
            });
        }
        let count = self.outputs.classes(self.model.graph().outputs().unwrap_or(0));
        match classes.iter().find(|class| **class >= count) {
            Some(&class) => Err(ExplainError::Class { class, classes: count }),
            None => Ok(()),
        }
    }

    /// The logit of each picture's class, `[batch, 1]`.
    fn own_logits(&self, logits: Tensor<2>, classes: &[usize]) -> Tensor<2> {
        let [pictures, count] = logits.dims();
        let mut chosen = vec![0.0_f32; pictures * count];
        for (row, class) in chosen.chunks_exact_mut(count).zip(classes) {
            match self.outputs {
                Outputs::Binary | Outputs::Probabilities if row.len() == 1 => {
                    row[0] = if *class == 0 { -1.0 } else { 1.0 }
                }
                _ => row[*class] = 1.0,
            }
        }
        let chosen = Tensor::<2>::from_data(TensorData::new(chosen, [pictures, count]), &logits.device());
        (logits * chosen).sum_dim(1)
    }
}
