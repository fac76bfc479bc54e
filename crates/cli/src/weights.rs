//! From what `--weights` names to a network that is ready.

use std::ffi::OsStr;
use std::num::NonZero;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use burn::tensor::Device;
use xception_model::registry::{self, Cache, Card, FetchOptions, Kind};
use xception_model::{Classifier, ClassifyError, ModelSpec, WeightsError, labels};

use crate::args::{CacheArgs, ComputeArgs, SourceArgs, SpecArgs, WeightsArgs};

/// Endings by which a file is meant and no name of the registry.
const ENDINGS: [&str; 5] = ["bpk", "h5", "hdf5", "keras", "toml"];

/// A network that says how pictures are resized, or was told.
pub fn load_for_pictures(args: &WeightsArgs, max_pixels: Option<u64>) -> anyhow::Result<Classifier> {
    let mut classifier = load(&args.source, &args.compute)?;
    apply(&args.spec, &mut classifier.spec)?;
    if classifier.spec.input.preset.is_none() {
        return Err(
            anyhow!(ClassifyError::NoPreset).context(format!("{}: --preset is missing", args.source.weights.display()))
        );
    }
    if let Some(max_pixels) = max_pixels {
        classifier.limits.max_pixels = max_pixels;
    }
    if !args.compute.plain {
        let start = Instant::now();
        classifier = classifier.fuse();
        tracing::info!(elapsed = ?start.elapsed(), "network fused");
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
    match registry::card(&weights.to_string_lossy()) {
        Ok(card) => from_card(card),
        Err(_) if path.join(trainer::MODEL).is_file() => Ok(path.join(trainer::MODEL)),
        Err(_) if path.is_dir() || ending == "toml" => from_card(&Card::load(path)?),
        Err(_) if path.exists() || path.components().count() > 1 || ENDINGS.contains(&ending) => Ok(path.to_owned()),
        Err(unknown) => {
            bail!("{unknown}; or name a weight file (.bpk, .keras, .h5), a training run's folder or a card (card.toml)")
        }
    }
}

/// Lays what the command line says over what the weights say.
pub fn apply(args: &SpecArgs, spec: &mut ModelSpec) -> anyhow::Result<()> {
    if let Some(preset) = args.preset {
        spec.input.preset = Some(preset);
    }
    if let Some(size) = args.size {
        (spec.input.height, spec.input.width) = (size.height, size.width);
    }
    if let Some(path) = &args.labels {
        spec.labels = labels::read(path)?;
        if spec.labels.len() != spec.network.num_classes {
            bail!(WeightsError::LabelCount {
                path: path.clone(),
                labels: spec.labels.len(),
                classes: spec.network.num_classes,
            });
        }
    }
    Ok(())
}

/// Sizes the pool that the processor backends compute in, and returns the number of threads.
pub fn start_threads(compute: &ComputeArgs) -> anyhow::Result<usize> {
    let Some(threads) = compute.threads.map(usize::from) else {
        return Ok(std::thread::available_parallelism().map_or(1, NonZero::get));
    };
    rayon::ThreadPoolBuilder::new()
        .num_threads(threads)
        .build_global()
        .with_context(|| format!("cannot start {threads} threads"))?;
    Ok(threads)
}
