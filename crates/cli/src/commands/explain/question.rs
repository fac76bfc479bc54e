//! The question asked of every picture.

use anyhow::{Context, bail};
use trainer::explain::{Explainer, Method, overlay};
use trainer::plots;
use xception_model::picture::Pixels;
use xception_model::{Classifier, Outputs, Prediction};

use crate::args::ExplainArgs;
use crate::commands::explain::class;
use crate::commands::explain::view::View;
use crate::io::message;
use crate::pictures::source::Source;
use crate::weights::check;

/// The network, the class, the layer and the method: the same for all pictures.
pub struct Question<'a> {
    classifier: &'a Classifier,
    explainer: Explainer,
    /// None for the likeliest class of each picture.
    class: Option<usize>,
    layer: Option<&'a str>,
    method: Method,
}

impl<'a> Question<'a> {
    pub fn new(args: &'a ExplainArgs, classifier: &'a Classifier) -> anyhow::Result<Self> {
        if let Some(layer) = &args.stage {
            check::has_stage(classifier.network(), layer)?;
        } else if classifier.network().graph().taps.feature_map.is_none() {
            bail!(
                "{}: this network has no last feature map that could be shown: name a layer with --stage; `xception \
                 run --list-stages` lists the names",
                args.weights.source.weights.display()
            );
        }
        let class = args.class.as_deref();
        Ok(Self {
            classifier,
            explainer: Explainer::new(classifier.network(), classifier.spec.outputs),
            class: class.map(|class| class::find(class, classifier)).transpose()?,
            layer: args.stage.as_deref(),
            method: args.method,
        })
    }

    /// For people: the probability and the class, or the number.
    pub fn answer(&self, prediction: &Prediction) -> String {
        match self.classifier.spec.outputs {
            Outputs::Value => prediction.probability.to_string(),
            _ => format!("{:.1} %  {}", 100.0 * prediction.probability, prediction.label.name),
        }
    }

    /// The prediction that is explained, and a PNG of the picture beside its heat map.
    pub fn draw(&self, source: &Source, view: View) -> anyhow::Result<(Prediction, Vec<u8>)> {
        let pictures = [view.pixels];
        let prediction = self.predict(&pictures)?;
        let layer = self.layer.unwrap_or(self.explainer.last_layer());
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
        let captions = [
            self.caption(&prediction),
            format!("{} of {layer}: {}", self.method, source.file_name()),
        ];
        let sheet = plots::explanation(
            &view.picture,
            &overlay(&view.picture, map),
            [&captions[0], &captions[1]],
        )?;
        Ok((prediction, plots::png(&sheet)?))
    }

    /// The prediction of the class that is asked for, or of the likeliest.
    fn predict(&self, pictures: &[Pixels]) -> anyhow::Result<Prediction> {
        let all = class::count(self.classifier);
        let predictions = self.classifier.classify(pictures, all)?.into_iter().flatten();
        predictions
            .into_iter()
            .find(|prediction| self.class.is_none_or(|class| prediction.class == class))
            .context("the network has no classes")
    }

    fn caption(&self, prediction: &Prediction) -> String {
        match self.classifier.spec.outputs {
            Outputs::Value => prediction.probability.to_string(),
            _ => format!("{}, {:.1} %", prediction.label.name, 100.0 * prediction.probability),
        }
    }
}
