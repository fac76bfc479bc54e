//! From weights to a network that predicts.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use xception_model::labels::Label;
use xception_model::{Classifier, ClassifyError, ModelSpec, Network, WeightsError, labels};

use crate::args::{LabelsArgs, PlainArgs, WeightsArgs, WeightsFileArgs};
use crate::weights::network::Needed;
use crate::weights::{check, network};

/// The most memory that decoding takes: four channels of 16 bits, and the copy in RGB.
const BYTES_PER_PIXEL: u64 = 8 + 3;

/// A network with a classifier and a known preset.
pub fn load(args: &WeightsArgs, classes: &LabelsArgs, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    // The labels are checked first, because the weights may have to be downloaded.
    let names = match &classes.labels {
        Some(path) => Some((path, labels::read(path)?)),
        None => None,
    };
    let mut classifier = open(args, Needed::Whole, |network| {
        check::has_classifier(&args.file.weights, network)
    })?;
    if let Some((path, names)) = names {
        rename(&mut classifier, args, path, names)?;
    }
    prepare(classifier, args, max_pixels)
}

/// A network that gives features of pictures: of a level of the pyramid, or the pooled vector.
pub fn load_embedder(args: &WeightsArgs, level: Option<&str>, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    let classifier = open(args, Needed::Backbone, |network| {
        check::has_features(&args.file.weights, network, level)
    })?;
    prepare(classifier, args, max_pixels)
}

/// A network as it predicts: on our own kernels where the device is the processor, unless `--plain`.
pub fn predictor(network: &Network, spec: ModelSpec, args: &PlainArgs) -> Classifier {
    let start = Instant::now();
    let classifier = Classifier::new(network, spec);
    if args.plain {
        return classifier.plain();
    }
    tracing::info!(elapsed = ?start.elapsed(), "network fused");
    classifier
}

/// The network of `--weights` on `--device`. What is wrong or missing is reported before weights are packed.
fn open(
    args: &WeightsArgs,
    needed: Needed,
    check: impl FnOnce(&Network) -> anyhow::Result<()>,
) -> anyhow::Result<Classifier> {
    let known = args.file.known.known(args.inference.input.size);
    let WeightsFileArgs { weights, cache, .. } = &args.file;
    let (network, spec) = network::load(weights, &known, needed, cache, &args.inference.compute.device.open()?)?;
    check(&network)?;
    if args.inference.input.preset.or(spec.input.preset).is_none() {
        let problem = format!("{}: --preset is missing", weights.display());
        return Err(anyhow!(ClassifyError::NoPreset).context(problem));
    }
    Ok(predictor(&network, spec, &args.inference.plain))
}

/// Replaces the labels of the classes.
fn rename(classifier: &mut Classifier, args: &WeightsArgs, path: &Path, names: Vec<Label>) -> anyhow::Result<()> {
    let labels = names.len();
    let Some(classes) = classifier.spec.classes() else {
        bail!(
            "{}: its output is a number, and has no classes that {} could name",
            args.file.weights.display(),
            path.display()
        );
    };
    if labels != classes {
        bail!(WeightsError::LabelCount {
            path: path.to_owned(),
            labels,
            classes,
        });
    }
    classifier.spec.labels = names;
    Ok(())
}

/// Replaces the weights' preprocessing by that of the command line, and checks the input.
fn prepare(mut classifier: Classifier, args: &WeightsArgs, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    let input = &mut classifier.spec.input;
    input.preset = args.inference.input.preset.or(input.preset);
    input.reading = args.inference.input.reading.over(input.reading);
    if let Some(size) = args.inference.input.size {
        (input.height, input.width) = (size.height, size.width);
    }
    let (height, width) = (input.height, input.width);
    // A network that takes no pictures is refused before any is read.
    let weights = || args.file.weights.display().to_string();
    classifier
        .channels()
        .map_err(|error| anyhow!(error).context(weights()))?;
    // A size that the network refuses is reported once, before any picture is read.
    classifier.network().summary(height, width)?;
    if let Some(preset) = classifier.spec.input.preset {
        preset.check_size(height, width).with_context(weights)?;
    }
    if let Some(max_pixels) = max_pixels {
        let limits = &mut classifier.limits;
        limits.max_pixels = max_pixels;
        limits.max_bytes = limits.max_bytes.max(max_pixels.saturating_mul(BYTES_PER_PIXEL));
    }
    Ok(classifier)
}
