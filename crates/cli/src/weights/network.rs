//! From weights to a network that can be trained.

use std::ffi::OsStr;
use std::path::Path;
use std::time::Instant;

use burn::tensor::Device;
use converter::{ConvertError, WeightFile};
use xception_model::{Known, ModelSpec, Network, Outputs, Scaling, Unknown, WeightFormat, WeightsError};

use crate::args::{CacheArgs, ComputeArgs, WeightsFileArgs};
use crate::io::message;
use crate::weights::card;
use crate::weights::location::Location;

/// The network of `--weights` on `--device`, where pictures come as tensors: neither their scaling nor the meaning of
/// the outputs is used, and none is asked for.
pub fn open_for_tensors(
    file: &WeightsFileArgs,
    known: &Known,
    compute: &ComputeArgs,
) -> anyhow::Result<(Network, ModelSpec)> {
    load_for_tensors(&file.weights, known, &file.cache, &compute.device.open()?)
}

/// How much of a network is needed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Needed {
    /// All of it.
    Whole,
    /// The backbone: a head that cannot be computed is left out, and its outputs may stay open.
    Backbone,
}

/// The network that a name, a file or a card stands for; `known` adds the facts that the file leaves open.
pub fn load(
    weights: &OsStr,
    known: &Known,
    needed: Needed,
    cache: &CacheArgs,
    device: &Device,
) -> anyhow::Result<(Network, ModelSpec)> {
    let start = Instant::now();
    let (network, spec) = match Location::of(weights)? {
        Location::File(path) => read(&path, known, needed, device)?,
        Location::Card(card) => card::load(&card, known, cache, device)?,
    };
    tracing::info!(source = spec.source, elapsed = ?start.elapsed(), "weights loaded");
    Ok((network, spec))
}

/// A network of the architecture of weights that would have to be downloaded, with random numbers for weights, and the
/// specification that their card describes. `None` for weights that are here.
pub fn untrained(weights: &OsStr, known: &Known, device: &Device) -> anyhow::Result<Option<(Network, ModelSpec)>> {
    match Location::of(weights)? {
        Location::File(_) => Ok(None),
        Location::Card(card) => card::untrained(&card, known, device).map(Some),
    }
}

/// As [`load`], where the scaling of pictures and the meaning of the outputs are not used.
pub fn load_for_tensors(
    weights: &OsStr,
    known: &Known,
    cache: &CacheArgs,
    device: &Device,
) -> anyhow::Result<(Network, ModelSpec)> {
    let file = match Location::of(weights)? {
        Location::File(path) => path,
        Location::Card(card) => return card::load(&card, known, cache, device),
    };
    let error = match read(&file, known, Needed::Whole, device) {
        Err(error) => error,
        loaded => return loaded,
    };
    let Some(unknown) = unknown(&error) else {
        return Err(error);
    };
    let mut known = known.clone();
    for what in unknown {
        match what {
            Unknown::Scaling => known.scaling = Some(Scaling::None),
            // Sigmoids fit one output and several.
            Unknown::Outputs => known.outputs = Some(Outputs::Sigmoid),
            _ => {}
        }
    }
    read(&file, &known, Needed::Whole, device)
}

/// The facts that a file leaves open, if that is the error.
fn unknown(error: &anyhow::Error) -> Option<&[Unknown]> {
    match error.downcast_ref() {
        Some(WeightsError::Unknown { unknown, .. }) => Some(unknown),
        _ => None,
    }
}

/// An error of `xception-model` without the converter's words: its advice is for all commands.
fn own_error(error: ConvertError) -> anyhow::Error {
    match error {
        ConvertError::Weights(error) => error.into(),
        error => error.into(),
    }
}

/// Names the file's tensors that are left out, but for the counters of PyTorch's norms.
fn tell_ignored(file: WeightFile) -> WeightFile {
    /// The most names in the sentence.
    const LISTED: usize = 8;

    let ignored = file
        .ignored
        .iter()
        .filter(|name| !name.ends_with("num_batches_tracked"));
    let names: Vec<&str> = ignored.map(String::as_str).collect();
    if let Some(listed) = names.get(..names.len().min(LISTED)).filter(|listed| !listed.is_empty()) {
        let more = match names.len() - listed.len() {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        let sentence = format!(
            "{}: left out, because they are no part of the network: {}{more}",
            file.path.display(),
            listed.join(", ")
        );
        message::print("note", &sentence);
    }
    file
}

/// Records and Keras files are loaded as they are, other formats through the converter.
fn read(file: &Path, known: &Known, needed: Needed, device: &Device) -> anyhow::Result<(Network, ModelSpec)> {
    let format = WeightFormat::of(file).ok();
    if format == Some(WeightFormat::Keras)
        && let Some(policy) = xception_model::keras::policy(file)
    {
        message::print("warning", &format!("{}: {policy}", file.display()));
    }
    Ok(match (format, needed) {
        (Some(WeightFormat::Torch | WeightFormat::Safetensors | WeightFormat::Onnx), Needed::Whole) => {
            converter::open(file, known)
                .and_then(|file| tell_ignored(file).load(device))
                .map_err(own_error)?
        }
        (Some(WeightFormat::Torch | WeightFormat::Safetensors | WeightFormat::Onnx), Needed::Backbone) => {
            converter::open_backbone(file, known)
                .and_then(|file| file.load(device))
                .map_err(own_error)?
        }
        (Some(WeightFormat::Record | WeightFormat::Keras), Needed::Whole) => {
            xception_model::load_with(file, known, device)?
        }
        (Some(WeightFormat::Record | WeightFormat::Keras), Needed::Backbone) => {
            xception_model::load_backbone(file, known, device)?
        }
        // The converter names the format, and all formats that are read.
        _ => converter::open(file, known)
            .and_then(|file| file.load(device))
            .map_err(own_error)?,
    })
}
