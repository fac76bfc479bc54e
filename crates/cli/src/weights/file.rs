//! From a name to a weight file.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use burn::tensor::Device;
use xception_model::registry::{self, Cache, Card, FetchOptions, Kind};

use crate::args::CacheArgs;
use crate::io::path;

/// Endings of weight files and cards. A path with one of them is never taken for a misspelt name of the registry.
const ENDINGS: [&str; 5] = ["bpk", "h5", "hdf5", "keras", "toml"];

/// The weight file that a name, a file, a run's folder or a card stands for. Names win over files; `./name` is always a
/// file.
pub fn find(weights: &OsStr, cache: &CacheArgs, device: &Device) -> anyhow::Result<PathBuf> {
    let path = Path::new(weights);
    let ending = path.extension().and_then(OsStr::to_str).unwrap_or_default();
    if let Some(problem) = path::url_problem(path) {
        bail!(problem);
    }
    match registry::card(&weights.to_string_lossy()) {
        Ok(card) => record(card, cache, device),
        Err(_) if path.join(trainer::MODEL).is_file() => Ok(path.join(trainer::MODEL)),
        Err(_) if path.join(trainer::RUN_FILE).is_file() => bail!(
            "{}: this run is not finished: xception train --resume {}",
            path.display(),
            path.display()
        ),
        Err(_) if path.is_dir() || ending == "toml" => record(&Card::load(path)?, cache, device),
        Err(_) if path.exists() || path.components().count() > 1 || ENDINGS.contains(&ending) => Ok(path.to_owned()),
        Err(unknown) => {
            bail!("{unknown}; or name a weight file (.bpk, .keras, .h5), a training run's folder or a card (card.toml)")
        }
    }
}

/// The card's weights as a Burn record: from the cache, or downloaded and converted.
fn record(card: &Card, cache: &CacheArgs, device: &Device) -> anyhow::Result<PathBuf> {
    let options = FetchOptions::default().offline(cache.offline);
    let cache = Cache::new(cache.cache.clone())?;
    Ok(xception_model::record(card, Kind::Full, &cache, &options, device)?)
}

/// The weight file on this machine that was named, which a run may lie beside; none for weights of the registry.
pub fn local(weights: &OsStr) -> Option<PathBuf> {
    let path = PathBuf::from(weights);
    let in_run = path.join(trainer::MODEL);
    [path, in_run].into_iter().find(|path| path.is_file())
}
