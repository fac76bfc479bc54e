//! The question asked of every picture.

use anyhow::{Context, bail};
use image::RgbImage;
use trainer::explain::{Explainer, Method, overlay};
use xception_model::picture::Pixels;
use xception_model::{Classifier, Outputs, Prediction};

use crate::args::ExplainArgs;
use crate::commands::explain::class;
use crate::io::message;
use crate::pictures::source::PictureSource;
use crate::pictures::view::View;
use crate::weights::check;

/// The network, the class, the layer and the method: the same for all pictures.
pub struct Question<'a> {
    classifier: &'a Classifier,
    explainer: Explainer,
    /// Empty for the likeliest class of each picture.
    classes: Vec<usize>,
    layer: Option<&'a str>,
    method: Method,
}

/// A picture, and where the network sees classes in it.
pub struct Explanation {
    pub picture: RgbImage,
    /// The picture under the heat map of each class, with a caption.
    pub heats: Vec<(RgbImage, String)>,
    /// Each class with its probability.
    pub answers: Vec<String>,
    pub title: String,
}

impl<'a> Question<'a> {
    pub fn new(args: &'a ExplainArgs, classifier: &'a Classifier) -> anyhow::Result<Self> {
        if let Some(layer) = &args.stage {
            check::has_stage(classifier.network(), layer)?;
        } else if classifier.network().graph().roles.feature_map.is_none() {
            bail!(
                "{}: this network has no last feature map that could be shown: name a layer with --stage; `xception \
                 run --list-stages` lists the names",
                args.weights.file.weights.display()
            );
        }
        let classes = args.class.iter().map(|class| class::find(class, classifier));
        Ok(Self {
            classifier,
            explainer: Explainer::new(classifier.network(), classifier.spec.outputs),
            classes: classes.collect::<Result<_, _>>()?,
            layer: args.stage.as_deref(),
            method: args.method,
        })
    }

    /// Explains one picture.
    pub fn explain(&self, source: &PictureSource, view: View) -> anyhow::Result<Explanation> {
        let View { pixels, picture } = view;
        let pictures = [pixels];
        let layer = self.layer.unwrap_or(self.explainer.last_layer());
        let mut explanation = Explanation {
            heats: Vec::new(),
            answers: Vec::new(),
            title: format!("{} of {layer}: {}", self.method, source.file_name()),
            picture,
        };
        for prediction in self.predictions(&pictures)? {
            let images = self.classifier.batch(&pictures)?;
            let maps = self
                .explainer
                .heatmaps(images, &[prediction.class], layer, self.method)?;
            let map = maps.first().context("the network gave no map")?;
            if map.max() <= 0.0 {
                message::print(
                    "warning",
                    &format!(
                        "{}: nothing in `{layer}` speaks for {}",
                        source.name(),
                        prediction.label.name
                    ),
                );
            }
            let heat = overlay(&explanation.picture, map);
            explanation.heats.push((heat, self.caption(&prediction)));
            explanation.answers.push(self.answer(&prediction));
        }
        Ok(explanation)
    }

    /// For people: the probability and the class, or the number.
    fn answer(&self, prediction: &Prediction) -> String {
        match self.classifier.spec.outputs {
            Outputs::Value => prediction.probability.to_string(),
            _ => format!("{:.1} %  {}", 100.0 * prediction.probability, prediction.label.name),
        }
    }

    /// The predictions of the classes that are asked for, in their order, or that of the likeliest.
    fn predictions(&self, pictures: &[Pixels]) -> anyhow::Result<Vec<Prediction>> {
        let all = class::count(self.classifier);
        let mut predictions: Vec<Prediction> = self.classifier.classify(pictures, all)?.into_iter().flatten().collect();
        if self.classes.is_empty() {
            predictions.truncate(1);
            return Ok(predictions);
        }
        let of = |class: &usize| {
            predictions
                .iter()
                .find(|prediction| prediction.class == *class)
                .cloned()
        };
        self.classes
            .iter()
            .map(|class| of(class).context("the network has no such class"))
            .collect()
    }

    fn caption(&self, prediction: &Prediction) -> String {
        match self.classifier.spec.outputs {
            Outputs::Value => prediction.probability.to_string(),
            _ => format!("{}, {:.1} %", prediction.label.name, 100.0 * prediction.probability),
        }
    }
}
