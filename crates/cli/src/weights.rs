//! From what `--weights` names to a network that is ready.

use std::ffi::OsStr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use burn::tensor::Device;
use xception_model::registry::{self, Cache, Card, FetchOptions, Kind};
use xception_model::{Classifier, ClassifyError, InputError, Pooling, WeightsError, Xception, labels};

use crate::args::{CacheArgs, ComputeArgs, LabelsArgs, PlainArgs, SourceArgs, WeightsArgs};
use crate::inputs;

/// Endings by which a file is meant and no name of the registry.
const ENDINGS: [&str; 5] = ["bpk", "h5", "hdf5", "keras", "toml"];

/// The most that decoding takes: four channels of 16 bits, and the copy in RGB.
const BYTES_PER_PIXEL: u64 = 8 + 3;

/// A network with classes, that says how pictures are resized or was told; fused unless `--plain`.
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
    let mut classifier = load(&args.source, &args.compute)?;
    need_classes(&args.source.weights, &classifier.model)?;
    if let Some((path, names)) = names {
        let (labels, classes) = (names.len(), classifier.spec.network.num_classes);
        if labels != classes {
            bail!(WeightsError::LabelCount {
                path: path.clone(),
                labels,
                classes,
            });
        }
        classifier.spec.labels = names;
    }
    let classifier = prepare(classifier, args, max_pixels)?;
    Ok(fuse(classifier, &args.plain))
}

/// A network that gives features of pictures; `level` is what is asked for instead of the pooled vector.
pub fn load_embedder(args: &WeightsArgs, level: Option<&str>, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    let classifier = load(&args.source, &args.compute)?;
    if level.is_none() && classifier.spec.network.pooling == Pooling::None {
        bail!(
            "{}: these weights don't pool their features into a vector: ask for a map, such as --level stride_32",
            args.source.weights.display()
        );
    }
    let classifier = prepare(classifier, args, max_pixels)?;
    // The fused network shows nothing of its inside.
    Ok(match level {
        None => fuse(classifier, &args.plain),
        Some(_) => classifier,
    })
}

/// The same network as it predicts: on our own kernels where the device is the processor, unless `--plain`.
pub fn fuse(classifier: Classifier, args: &PlainArgs) -> Classifier {
    if args.plain {
        return classifier;
    }
    let start = Instant::now();
    let classifier = classifier.fuse();
    tracing::info!(elapsed = ?start.elapsed(), "network fused");
    classifier
}

/// Refuses weights without a classifier, and says what they can do.
pub fn need_classes(weights: &OsStr, model: &Xception) -> anyhow::Result<()> {
    if model.config().include_top {
        return Ok(());
    }
    let embed = match model.config().pooling {
        Pooling::None => "xception embed --level stride_32",
        Pooling::Average | Pooling::Max => "xception embed",
    };
    bail!(
        "{}: these weights have no classifier: use `{embed}`, or `xception run --stage {}`",
        weights.display(),
        model.stage_names().last().map_or("NAME", String::as_str)
    )
}

/// Refuses a stage that the network does not have, before anything is computed.
pub fn need_stage(model: &Xception, name: &str) -> anyhow::Result<()> {
    match model.check_stage(name) {
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
    if input.preset.is_none() {
        return Err(
            anyhow!(ClassifyError::NoPreset).context(format!("{}: --preset is missing", args.source.weights.display()))
        );
    }
    if let Some(max_pixels) = max_pixels {
        let limits = &mut classifier.limits;
        limits.max_pixels = max_pixels;
        limits.max_bytes = limits.max_bytes.max(max_pixels.saturating_mul(BYTES_PER_PIXEL));
    }
    Ok(classifier)
}

/// The network of `--weights` on `--device`.
pub fn load(source: &SourceArgs, compute: &ComputeArgs) -> anyhow::Result<Classifier> {
    find(&source.weights, &source.cache, &compute.device.open()?)
}

/// The network that a name, a file or a card stands for.
pub fn find(weights: &OsStr, cache: &CacheArgs, device: &Device) -> anyhow::Result<Classifier> {
    let start = Instant::now();
    let classifier = Classifier::load(&file(weights, cache, device)?, device)?;
    tracing::info!(source = classifier.spec.source, elapsed = ?start.elapsed(), "weights loaded");
    Ok(classifier)
}

/// The weight file that a name, a file, a run's folder or a card stands for. Names win over files; `./name` is always a file.
pub fn file(weights: &OsStr, cache: &CacheArgs, device: &Device) -> anyhow::Result<PathBuf> {
    let path = Path::new(weights);
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let from_card = |card: &Card| {
        let options = FetchOptions::default().offline(cache.offline);
        anyhow::Ok(xception_model::record(
            card,
            Kind::Full,
            &Cache::new(cache.cache.clone())?,
            &options,
            device,
        )?)
    };
    if let Some(problem) = inputs::url_problem(path) {
        bail!(problem);
    }
    match registry::card(&weights.to_string_lossy()) {
        Ok(card) => from_card(card),
        Err(_) if path.join(trainer::MODEL).is_file() => Ok(path.join(trainer::MODEL)),
        Err(_) if path.join(trainer::RUN_FILE).is_file() => bail!(
            "{}: this run is not finished: xception train --resume {}",
            path.display(),
            path.display()
        ),
        Err(_) if path.is_dir() || ending == "toml" => from_card(&Card::load(path)?),
        Err(_) if path.exists() || path.components().count() > 1 || ENDINGS.contains(&ending) => Ok(path.to_owned()),
        Err(unknown) => {
            bail!("{unknown}; or name a weight file (.bpk, .keras, .h5), a training run's folder or a card (card.toml)")
        }
    }
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
