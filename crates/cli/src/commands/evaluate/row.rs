//! A network among others.

use trainer::evaluate::Evaluated;
use xception_model::ModelSpec;
use xception_model::registry::Metrics;

use crate::args::{EvaluateArgs, WeightsArgs};
use crate::commands::evaluate::judgement::Judgement;
use crate::commands::evaluate::pictures::LabelledPictures;

/// A network's row.
pub struct Row {
    /// What was typed for it.
    pub name: String,
    /// The accuracy in its card.
    pub published: Option<Metrics>,
    /// Parameters, running statistics included.
    pub parameters: usize,
    /// Multiply-adds for a picture of the size at which it was judged.
    pub multiply_adds: u64,
    pub spec: ModelSpec,
    pub labelled: LabelledPictures,
    pub judged: Evaluated,
}

impl Row {
    /// Loads and judges a network. The faults of the pictures are reported for the first one alone.
    pub fn judge(
        args: &EvaluateArgs,
        weights: &WeightsArgs,
        published: Option<Metrics>,
        threads: usize,
        is_first: bool,
    ) -> anyhow::Result<Self> {
        let Judgement {
            classifier,
            labelled,
            mut judged,
        } = Judgement::of(args, weights, threads, is_first)?;
        // ImageNet's take 200 MB, and the table needs none.
        judged.predictions.probabilities = Vec::new();
        let input = classifier.spec.input;
        let size = classifier.network().summary(input.height, input.width)?;
        Ok(Self {
            name: weights.file.weights.display().to_string(),
            published,
            parameters: size.params(),
            multiply_adds: size.multiply_adds(),
            spec: classifier.spec,
            labelled,
            judged,
        })
    }
}
