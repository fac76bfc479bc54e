//! From a name to a weight file.

use std::ffi::OsStr;
use std::path::PathBuf;

use burn::tensor::Device;

use crate::args::CacheArgs;
use crate::weights::card;
use crate::weights::location::Location;

/// The weight file that a name, a file, a run's folder or a card stands for.
pub fn find(weights: &OsStr, cache: &CacheArgs, device: &Device) -> anyhow::Result<PathBuf> {
    match Location::of(weights)? {
        Location::File(path) => Ok(path),
        Location::Card(card) => card::file(&card, cache, device),
    }
}

/// The weight file on this machine that was named, which a run may lie beside; none for weights of the registry.
pub fn local(weights: &OsStr) -> Option<PathBuf> {
    let path = PathBuf::from(weights);
    let in_run = path.join(trainer::MODEL);
    [path, in_run].into_iter().find(|path| path.is_file())
}
