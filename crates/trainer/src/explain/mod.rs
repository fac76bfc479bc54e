//! Where in a picture the network sees what it says: class activation maps.
//!
//! ```no_run
//! use burn::tensor::Device;
//! use trainer::explain::{Explainer, Method, overlay};
//! use xception_model::Classifier;
//!
//! # fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let classifier = Classifier::load("kitchenware.bpk", &Device::default())?;
//! let photo = image::open("cup.jpg")?.into_rgb8();
//! let pixels = classifier.prepare_file("cup.jpg")?;
//! let explainer = Explainer::new(classifier.network(), classifier.spec.outputs);
//! let maps = explainer.heatmaps(classifier.batch(&[pixels])?, &[0], explainer.last_stage(), Method::GradCam)?;
//! overlay(&photo, &maps[0]).save("cup_seen.png")?;
//! # Ok(())
//! # }
//! ```

mod examples;
mod overlay;

use std::fmt;
use std::str::FromStr;

use burn::module::Module;
use burn::tensor::activation::relu;
use burn::tensor::{Tensor, TensorData};
use xception_model::{ClassifyError, InputError, Network, Outputs};

pub use examples::{Examples, examples};
pub(crate) use overlay::{heat_color, shrunk};
pub use overlay::{overlay, view};

use crate::feed::numbers;

/// How gradients become a map.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Method {
    /// Grad-CAM (Selvaraju et al. 2017, arXiv 1610.02391): `relu(sum_k mean(dY/dA_k) A_k)`, each channel weighted by its
    /// mean gradient. Made for the last feature map.
    #[default]
    GradCam,
    /// `LayerCAM` (Jiang et al. 2021, IEEE TIP 30, 5875-5888): `relu(sum_k relu(dY/dA_k) A_k)`, every place weighted by its
    /// own gradient. Also for the finer maps of earlier stages.
    LayerCam,
}

impl Method {
    /// All methods.
    pub const ALL: [Self; 2] = [Self::GradCam, Self::LayerCam];

    /// The name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::GradCam => "grad-cam",
            Self::LayerCam => "layer-cam",
        }
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl FromStr for Method {
    type Err = String;

    fn from_str(name: &str) -> Result<Self, Self::Err> {
        let names = Self::ALL.map(Self::name).join(" and ");
        let known = Self::ALL.into_iter().find(|method| method.name() == name);
        known.ok_or_else(|| format!("there is no method `{name}`; the methods are {names}"))
    }
}

/// How much each place of a stage speaks for a class.
#[derive(Clone, Debug, PartialEq)]
pub struct Heatmap {
    /// Rows of the stage's output.
    pub height: usize,
    /// Columns of the stage's output.
    pub width: usize,
    /// `height * width` values from 0 on, row by row, in the method's own scale.
    pub values: Vec<f32>,
    /// The class's logit.
    pub logit: f32,
}

impl Heatmap {
    /// The largest value; 0 where nothing speaks for the class.
    pub fn max(&self) -> f32 {
        self.values.iter().copied().fold(0.0, f32::max)
    }
}

/// A map that cannot be made.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ExplainError {
    /// The network does not take the pictures, or has no such stage.
    #[error(transparent)]
    Input(#[from] InputError),
    /// The pictures make no batch.
    #[error(transparent)]
    Classify(#[from] ClassifyError),
    /// A class that the network does not have.
    #[error("there is no class {class}: the network has {classes}, counted from 0")]
    Class {
        /// The class asked for.
        class: usize,
        /// How many there are.
        classes: usize,
    },
    /// Not one class a picture.
    #[error("expected one class for each of {pictures} pictures, found {classes}")]
    Count {
        /// Pictures in the batch.
        pictures: usize,
        /// Classes given.
        classes: usize,
    },
    /// A stage without height and width.
    #[error("`{stage}` is a vector and has no places to point at; the last stage with places is `{last}`")]
    Vector {
        /// The stage asked for.
        stage: String,
        /// The one to ask for.
        last: String,
    },
}

/// A network that is asked for maps.
#[derive(Clone, Debug)]
pub struct Explainer {
    model: Network,
    outputs: Outputs,
    last_stage: String,
}

impl Explainer {
    /// A copy for inference, which shares the network's weights. `outputs` is what its outputs are.
    pub fn new(model: &Network, outputs: Outputs) -> Self {
        let graph = model.graph();
        let last = graph.taps.feature_map.map(|map| graph.layer_of(map).name.clone());
        Self {
            model: model.valid().materialize(),
            outputs,
            last_stage: last.unwrap_or_default(),
        }
    }

    /// The Keras name of the last feature map, `block14_sepconv2_act` in Keras's Xception.
    pub fn last_stage(&self) -> &str {
        &self.last_stage
    }

    /// One map for each picture: what in `stage`'s output, by its Keras name, speaks for the picture's class. Gradients are those
    /// of the class's logit; where two classes share one logit ([`Outputs::Binary`]), of its negative for the first class. The
    /// one class of a number ([`Outputs::Value`]) is 0.
    ///
    /// # Shapes
    ///
    /// - `images`: `[batch, channels, height, width]`, as the network takes them
    /// - `classes`: `batch` numbers from 0 on
    ///
    /// # Errors
    ///
    /// An [`ExplainError`]: a bad input, an unknown stage or one that is a vector, an unknown class.
    pub fn heatmaps(
        &self,
        images: Tensor<4>,
        classes: &[usize],
        stage: &str,
        method: Method,
    ) -> Result<Vec<Heatmap>, ExplainError> {
        let [pictures, ..] = images.dims();
        self.check(pictures, classes)?;
        let known = self.model.stage_names();
        if !known.iter().any(|name| name == stage) {
            // Before it computes anything it says which are near.
            self.model.stage(images, stage)?;
            return Ok(Vec::new());
        }

        // What is before the leaf is computed without a graph, what is after it with one that ends there.
        let mut leaf = None;
        let logits = self.model.forward_changed(images.inner(), &mut |name, output| {
            if name == stage && leaf.is_none() {
                *output = output.clone().autodiff().require_grad();
                leaf = Some(output.clone());
            }
        })?;
        let vector = || ExplainError::Vector {
            stage: stage.to_owned(),
            last: self.last_stage.clone(),
        };
        let leaf = leaf.ok_or_else(vector)?;
        let [_, _, height, width] = leaf.dims();
        if height * width == 1 {
            return Err(vector());
        }

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

    /// Each picture's logit of its class, `[batch, 1]`.
    fn own_logits(&self, logits: Tensor<2>, classes: &[usize]) -> Tensor<2> {
        let [pictures, count] = logits.dims();
        let mut chosen = vec![0.0_f32; pictures * count];
        for (row, class) in chosen.chunks_exact_mut(count).zip(classes) {
            match self.outputs {
                Outputs::Binary => row[0] = if *class == 0 { -1.0 } else { 1.0 },
                _ => row[*class] = 1.0,
            }
        }
        let chosen = Tensor::<2>::from_data(TensorData::new(chosen, [pictures, count]), &logits.device());
        (logits * chosen).sum_dim(1)
    }
}
