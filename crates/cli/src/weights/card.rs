//! From a card to its weights.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use anyhow::bail;
use burn::tensor::Device;
use xception_model::registry::{Cache, Card, FetchOptions, Format, Metrics};
use xception_model::{Description, Known, ModelSpec, Network, Outputs};

use crate::args::CacheArgs;
use crate::io::{message, path};
use crate::weights::location::Location;

/// The card's weight file: a Burn record, or a file of a format that only the converter reads.
pub fn file(card: &Card, cache: &CacheArgs, device: &Device) -> anyhow::Result<PathBuf> {
    let (kind, options) = (card.main_kind(), FetchOptions::default().offline(cache.offline));
    let cache = Cache::new(cache.cache.clone())?;
    Ok(if needs_converter(card)? {
        cache.weights(card, kind, &options)?
    } else {
        xception_model::record(card, kind, &cache, &options, device)?
    })
}

/// The network of a card, with its classifier if it has one.
pub fn load(card: &Card, known: &Known, cache: &CacheArgs, device: &Device) -> anyhow::Result<(Network, ModelSpec)> {
    let (kind, options) = (card.main_kind(), FetchOptions::default().offline(cache.offline));
    let cache = Cache::new(cache.cache.clone())?;
    if !needs_converter(card)? {
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

/// The network that a card describes, with random numbers for weights. Nothing is downloaded.
pub fn untrained(card: &Card, known: &Known, device: &Device) -> anyhow::Result<(Network, ModelSpec)> {
    let kind = card.main_kind();
    let described = ModelSpec {
        source: card.name.clone(),
        outputs: card.outputs.unwrap_or(Outputs::Softmax),
        input: card.input,
        labels: card.known(kind)?.labels,
        network: card.network(kind)?,
    };
    let spec = Description::of_spec(described).complete(Path::new(&card.name), known)?;
    Ok((spec.network.init(device)?, spec))
}

/// The accuracy that a card states: the registry's, a card's that is named, or that beside a weight file.
///
/// # Errors
///
/// There are no weights of this name.
pub fn metrics(weights: &OsStr) -> anyhow::Result<Option<Metrics>> {
    let file = match Location::of(weights)? {
        Location::Card(card) => return Ok(card.metrics),
        Location::File(file) => file,
    };
    if let Some(problem) = path::missing(&file) {
        bail!(problem);
    }
    let beside = Card::beside(&file);
    if !beside.is_file() {
        return Ok(None);
    }
    match Card::load(&beside) {
        Ok(card) => Ok(card.metrics),
        Err(error) => {
            let problem = format!("{error}: the published accuracy is left out");
            message::print("warning", &problem);
            Ok(None)
        }
    }
}

/// Whether the card's file is of a format that only the converter reads.
fn needs_converter(card: &Card) -> anyhow::Result<bool> {
    let format = card.weights(card.main_kind())?.format;
    Ok(matches!(format, Format::Onnx | Format::Safetensors))
}
