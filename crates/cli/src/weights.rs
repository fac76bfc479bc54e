//! From what `--weights` names to a network that is ready.

use std::ffi::OsStr;
use std::fs::File;
use std::io::Read;
use std::num::NonZero;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context, anyhow, bail};
use burn::tensor::Device;
use xception_model::registry::{self, Cache, Card, FetchOptions, Kind};
use xception_model::{Classifier, ClassifyError, ModelSpec, WeightsError, labels};

use crate::args::{CacheArgs, ComputeArgs, PictureArgs, SourceArgs, SpecArgs, WeightsArgs};

/// Far above any label file (`ImageNet`'s has 20 kB).
const MAX_LABEL_BYTES: u64 = 4 << 20;

/// Endings by which a file is meant and no name of the registry.
const ENDINGS: [&str; 5] = ["bpk", "h5", "hdf5", "keras", "toml"];

/// A network that says how pictures are resized, or was told.
pub fn load_for_pictures(args: &WeightsArgs, pictures: &PictureArgs) -> anyhow::Result<Classifier> {
    let mut classifier = load(&args.source, &args.compute)?;
    apply(&args.spec, &mut classifier.spec)?;
    if classifier.spec.input.preset.is_none() {
        return Err(
            anyhow!(ClassifyError::NoPreset).context(format!("{}: --preset is missing", args.source.weights.display()))
        );
    }
    if let Some(max_pixels) = pictures.max_pixels {
        classifier.limits.max_pixels = max_pixels;
    }
    Ok(classifier)
}

/// The network of `--weights` on `--device`.
pub fn load(source: &SourceArgs, compute: &ComputeArgs) -> anyhow::Result<Classifier> {
    find(&source.weights, &source.cache, &compute.device.open()?)
}

/// The network that a name, a file or a card stands for. Names win over files; `./name` is always a file.
pub fn find(weights: &OsStr, cache: &CacheArgs, device: &Device) -> anyhow::Result<Classifier> {
    let start = Instant::now();
    let path = Path::new(weights);
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    let from_card = |card: &Card| {
        let options = FetchOptions::default().offline(cache.offline);
        Classifier::from_card(card, Kind::Full, &Cache::new(cache.cache.clone())?, &options, device)
    };
    let classifier = match registry::card(&weights.to_string_lossy()) {
        Ok(card) => from_card(card)?,
        Err(_) if path.is_dir() || ending == "toml" => from_card(&Card::load(path)?)?,
        Err(_) if path.exists() || path.components().count() > 1 || ENDINGS.contains(&ending) => {
            Classifier::load(path, device)?
        }
        Err(unknown) => bail!("{unknown}; or name a weight file (.bpk, .keras, .h5) or a card (card.toml)"),
    };
    tracing::info!(source = classifier.spec.source, elapsed = ?start.elapsed(), "weights loaded");
    Ok(classifier)
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
        spec.labels = labels::parse(&read_text(path)?).with_context(|| path.display().to_string())?;
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

fn read_text(path: &Path) -> anyhow::Result<String> {
    let cannot_read = || format!("cannot read {}", path.display());
    let mut text = String::new();
    File::open(path)
        .and_then(|file| file.take(MAX_LABEL_BYTES + 1).read_to_string(&mut text))
        .with_context(cannot_read)?;
    if text.len() as u64 > MAX_LABEL_BYTES {
        bail!(
            "{} is no label file: it has more than {MAX_LABEL_BYTES} bytes",
            path.display()
        );
    }
    Ok(text)
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
