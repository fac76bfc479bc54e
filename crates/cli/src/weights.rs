//! From what `--weights` names to a network that is ready.

use std::ffi::OsStr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use burn::tensor::Device;
use xception_model::registry::{self, Cache, Card, FetchOptions, Format};
use xception_model::{
    Classifier, ClassifyError, Description, InputError, Known, ModelSpec, Network, Outputs, WeightsError, labels,
};

use crate::args::{CacheArgs, ComputeArgs, LabelsArgs, PlainArgs, SourceArgs, WeightsArgs};
use crate::inputs;

/// Endings by which a file is meant and no name of the registry.
const ENDINGS: [&str; 5] = ["bpk", "h5", "hdf5", "keras", "toml"];

/// The most that decoding takes: four channels of 16 bits, and the copy in RGB.
const BYTES_PER_PIXEL: u64 = 8 + 3;

/// A network with a classifier, that says how pictures are resized or was told.
pub fn load_classifier(
    args: &WeightsArgs,
    classes: &LabelsArgs,
    max_pixels: Option<u64>,
) -> anyhow::Result<Classifier> {
    // What is cheap to find wrong comes before what may have to be fetched.
    let names = match &classes.labels {
        Some(path) => Some((path, labels::read(path)?)),
        None => None,
    };
    let mut classifier = load(args)?;
    need_classifier(&args.source.weights, classifier.network())?;
    if let Some((path, names)) = names {
        let labels = names.len();
        let Some(classes) = classifier.spec.classes() else {
            bail!(
                "{}: its output is a number, and has no classes that {} could name",
                args.source.weights.display(),
                path.display()
            );
        };
        if labels != classes {
            bail!(WeightsError::LabelCount {
                path: path.clone(),
                labels,
                classes,
            });
        }
        classifier.spec.labels = names;
    }
    prepare(classifier, args, max_pixels)
}

/// A network that gives features of pictures; `level` is what is asked for instead of the pooled vector.
pub fn load_embedder(args: &WeightsArgs, level: Option<&str>, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    let classifier = load(args)?;
    let weights = args.source.weights.display();
    let graph = classifier.network().graph();
    match level {
        None if graph.taps.embedding.is_none() => {
            bail!(
                "{weights}: these weights don't pool their features into a vector: ask for a map, such as --level stride_32"
            )
        }
        Some(level) if !graph.taps.levels.iter().any(|known| known.name == level) => {
            let known: Vec<&str> = graph.taps.levels.iter().map(|level| level.name.as_str()).collect();
            match known.as_slice() {
                [] => bail!("{weights}: this network ({}) has no feature pyramid", graph.title),
                known => bail!(
                    "{weights}: this network ({}) has no level {level}; there are {}",
                    graph.title,
                    known.join(", ")
                ),
            }
        }
        _ => {}
    }
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

/// Refuses weights whose output is a number, for what takes probabilities.
pub fn need_classes(weights: &OsStr, spec: &ModelSpec) -> anyhow::Result<()> {
    if spec.outputs == Outputs::Value {
        bail!(
            "{}: its output is a number and tells no classes apart, so there is nothing to count right: `xception classify` \
             prints the number of each picture",
            weights.display()
        );
    }
    Ok(())
}

/// Refuses weights without a classifier, and says what they can do.
pub fn need_classifier(weights: &OsStr, network: &Network) -> anyhow::Result<()> {
    if network.has_top() {
        return Ok(());
    }
    let embed = if network.architecture().is_pooled() {
        "xception embed"
    } else {
        "xception embed --level stride_32"
    };
    bail!(
        "{}: these weights have no classifier: use `{embed}`, or `xception run --stage {}`",
        weights.display(),
        network.stage_names().last().map_or("NAME", String::as_str)
    )
}

/// Refuses a stage that the network does not have, before anything is computed.
pub fn need_stage(network: &Network, name: &str) -> anyhow::Result<()> {
    match network.check_stage(name) {
        Err(InputError::UnknownStage { name, nearest, .. }) => {
            let suggestion = nearest.map_or_else(String::new, |nearest| format!(" (did you mean `{nearest}`?)"));
            bail!("no stage is called `{name}`{suggestion}; `xception run --list-stages` lists them for its --weights")
        }
        checked => Ok(checked?),
    }
}

/// Lays what the command line says of pictures over what the weights say.
fn prepare(mut classifier: Classifier, args: &WeightsArgs, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    let input = &mut classifier.spec.input;
    input.preset = args.input.preset.or(input.preset);
    if let Some(size) = args.input.size {
        (input.height, input.width) = (size.height, size.width);
    }
    let (height, width) = (input.height, input.width);
    if input.preset.is_none() {
        return Err(
            anyhow!(ClassifyError::NoPreset).context(format!("{}: --preset is missing", args.source.weights.display()))
        );
    }
    // What the network does not take is said once, before any picture is read.
    classifier.network().summary(height, width)?;
    if let Some(max_pixels) = max_pixels {
        let limits = &mut classifier.limits;
        limits.max_pixels = max_pixels;
        limits.max_bytes = limits.max_bytes.max(max_pixels.saturating_mul(BYTES_PER_PIXEL));
    }
    Ok(classifier)
}

/// The network of `--weights` on `--device`.
fn load(args: &WeightsArgs) -> anyhow::Result<Classifier> {
    let known = args.source.known.known(args.input.size);
    let (network, spec) = find_source(&args.source, &known, &args.compute)?;
    Ok(predictor(&network, spec, &args.plain))
}

/// The network of `--weights` on `--device`, as it can be trained.
pub fn find_source(source: &SourceArgs, known: &Known, compute: &ComputeArgs) -> anyhow::Result<(Network, ModelSpec)> {
    find(&source.weights, known, &source.cache, &compute.device.open()?)
}

/// The network that a name, a file or a card stands for; `known` is what a file may not say.
pub fn find(
    weights: &OsStr,
    known: &Known,
    cache: &CacheArgs,
    device: &Device,
) -> anyhow::Result<(Network, ModelSpec)> {
    let start = Instant::now();
    let (network, spec) = match locate(weights)? {
        Located::File(path) => xception_model::load_with(path, known, device)?,
        Located::Card(card) => load_card(&card, known, cache, device)?,
    };
    tracing::info!(source = spec.source, elapsed = ?start.elapsed(), "weights loaded");
    Ok((network, spec))
}

/// The weight file that a name, a file, a run's folder or a card stands for.
pub fn file(weights: &OsStr, cache: &CacheArgs, device: &Device) -> anyhow::Result<PathBuf> {
    let card = match locate(weights)? {
        Located::File(path) => return Ok(path),
        Located::Card(card) => card,
    };
    let (kind, options) = (card.main_kind(), FetchOptions::default().offline(cache.offline));
    let cache = Cache::new(cache.cache.clone())?;
    Ok(if is_converted_first(&card)? {
        cache.weights(&card, kind, &options)?
    } else {
        xception_model::record(&card, kind, &cache, &options, device)?
    })
}

/// What `--weights` names.
enum Located {
    File(PathBuf),
    Card(Box<Card>),
}

/// Names win over files; `./name` is always a file.
fn locate(weights: &OsStr) -> anyhow::Result<Located> {
    let path = Path::new(weights);
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(problem) = inputs::url_problem(path) {
        bail!(problem);
    }
    match registry::card(&weights.to_string_lossy()) {
        Ok(card) => Ok(Located::Card(Box::new(card.clone()))),
        Err(_) if path.join(trainer::MODEL).is_file() => Ok(Located::File(path.join(trainer::MODEL))),
        Err(_) if path.join(trainer::RUN_FILE).is_file() => bail!(
            "{}: this run is not finished: xception train --resume {}",
            path.display(),
            path.display()
        ),
        Err(_) if path.is_dir() || ending == "toml" => Ok(Located::Card(Box::new(Card::load(path)?))),
        Err(_) if path.exists() || path.components().count() > 1 || ENDINGS.contains(&ending) => {
            Ok(Located::File(path.to_owned()))
        }
        Err(unknown) => {
            bail!("{unknown}; or name a weight file (.bpk, .keras, .h5), a training run's folder or a card (card.toml)")
        }
    }
}

/// Whether a card's file is of a format that only the converter reads.
fn is_converted_first(card: &Card) -> anyhow::Result<bool> {
    let format = card.weights(card.main_kind())?.format;
    Ok(matches!(format, Format::Onnx | Format::Pytorch | Format::Safetensors))
}

/// The network of a card, with its classifier where it has one.
fn load_card(card: &Card, known: &Known, cache: &CacheArgs, device: &Device) -> anyhow::Result<(Network, ModelSpec)> {
    let (kind, options) = (card.main_kind(), FetchOptions::default().offline(cache.offline));
    let cache = Cache::new(cache.cache.clone())?;
    if !is_converted_first(card)? {
        return Ok(xception_model::load_card(card, kind, known, &cache, &options, device)?);
    }
    let path = cache.weights(card, kind, &options)?;
    let (network, spec) = converter::open(&path, &card.known(kind)?)?.load(device)?;
    let described = card.network(kind)?;
    if spec.network != described {
        bail!(
            "{}: the card of {} describes {described}, the file holds {}",
            path.display(),
            card.name,
            spec.network
        );
    }
    let spec = Description::of_spec(spec).complete(&path, known)?;
    Ok((network, spec))
}

/// Sizes the pool that the processor backends compute in, and returns the number of threads.
pub fn start_threads(compute: &ComputeArgs) -> anyhow::Result<usize> {
    let threads = match compute.threads.map(usize::from) {
        None => std::thread::available_parallelism().map_or(1, NonZero::get),
        Some(threads) => {
            rayon::ThreadPoolBuilder::new()
                .num_threads(threads)
                .build_global()
                .with_context(|| format!("cannot start {threads} threads"))?;
            threads
        }
    };
    tracing::info!(threads = rayon::current_num_threads(), "threads of the network");
    Ok(threads)
}
