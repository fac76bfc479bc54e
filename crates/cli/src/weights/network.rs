//! From weights to a network that can be trained.

use std::ffi::OsStr;
use std::time::Instant;

use burn::tensor::Device;
use xception_model::{Known, ModelSpec, Network};

use crate::args::{CacheArgs, ComputeArgs, SourceArgs};
use crate::weights::card;
use crate::weights::location::Location;

/// The network of `--weights` on `--device`.
pub fn open(source: &SourceArgs, known: &Known, compute: &ComputeArgs) -> anyhow::Result<(Network, ModelSpec)> {
    load(&source.weights, known, &source.cache, &compute.device.open()?)
}

/// The network that a name, a file or a card stands for; `known` replaces what the file does not say.
pub fn load(
    weights: &OsStr,
    known: &Known,
    cache: &CacheArgs,
    device: &Device,
) -> anyhow::Result<(Network, ModelSpec)> {
    let start = Instant::now();
    let (network, spec) = match Location::of(weights)? {
        Location::File(path) => xception_model::load_with(path, known, device)?,
        Location::Card(card) => card::load(&card, known, cache, device)?,
    };
    tracing::info!(source = spec.source, elapsed = ?start.elapsed(), "weights loaded");
    Ok((network, spec))
}
