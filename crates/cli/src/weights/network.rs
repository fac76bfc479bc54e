//! From weights to a network that can be trained.

use std::ffi::OsStr;
use std::time::Instant;

use burn::tensor::Device;
use xception_model::{Known, ModelSpec, Network};

use crate::args::{CacheArgs, ComputeArgs, SourceArgs};
use crate::weights::file;

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
    let (network, spec) = xception_model::load_with(file::find(weights, cache, device)?, known, device)?;
    tracing::info!(source = spec.source, elapsed = ?start.elapsed(), "weights loaded");
    Ok((network, spec))
}
