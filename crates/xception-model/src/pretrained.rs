use std::path::{Path, PathBuf};

use burn::tensor::Device;

use crate::classifier::Classifier;
use crate::description::{Description, Known};
use crate::network::Network;
use crate::outputs::Outputs;
use crate::record::{load_with, save};
use crate::registry::{self, Cache, Card, FetchOptions, Format, Kind};
use crate::spec::ModelSpec;
use crate::unknown::Unknown;
use crate::weights_error::WeightsError;

impl Network {
    /// A trained network by name, such as `xception-imagenet` or `resnet50-imagenet`: one of [`registry::cards`].
    ///
    /// The weights are downloaded once into the platform's cache folder (or `XCEPTION_CACHE`), verified, and converted
    /// to a Burn record, from which later calls load. [`from_card`](Self::from_card) uses another folder;
    /// [`registry`](crate::registry) has the single steps.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Registry`] says why the weights are not available, and where to put the file by hand.
    pub fn pretrained(name: &str, device: &Device) -> Result<Self, WeightsError> {
        Classifier::pretrained(name, device).map(Classifier::into_network)
    }

    /// The weights that a card describes, with or without the classifier, from a given cache.
    ///
    /// ```no_run
    /// use burn::tensor::Device;
    /// use xception_model::Xception;
    /// use xception_model::registry::{self, Cache, FetchOptions, Kind};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// let card = registry::card("xception-imagenet")?;
    /// let cache = Cache::new(Some("/srv/weights".into()))?;
    /// let backbone = Xception::from_card(card, Kind::NoTop, &cache, &FetchOptions::default(), &Device::default())?;
    /// # Ok(())
    /// # }
    /// ```
    ///
    /// # Errors
    ///
    /// As [`Network::pretrained`].
    pub fn from_card(
        card: &Card,
        kind: Kind,
        cache: &Cache,
        options: &FetchOptions,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        Classifier::from_card(card, kind, cache, options, device).map(Classifier::into_network)
    }
}

impl Classifier {
    /// A trained network by name, with its preprocessing and labels. As [`Network::pretrained`].
    ///
    /// # Errors
    ///
    /// As [`Network::pretrained`].
    pub fn pretrained(name: &str, device: &Device) -> Result<Self, WeightsError> {
        let card = registry::card(name)?;
        Self::from_card(card, Kind::Full, &Cache::new(None)?, &FetchOptions::default(), device)
    }

    /// The weights that a card describes, from a given cache.
    ///
    /// # Errors
    ///
    /// As [`Network::pretrained`].
    pub fn from_card(
        card: &Card,
        kind: Kind,
        cache: &Cache,
        options: &FetchOptions,
        device: &Device,
    ) -> Result<Self, WeightsError> {
        let (network, spec) = load_card(card, kind, &Known::default(), cache, options, device)?;
        Ok(Self::new(&network, spec))
    }
}

/// The network of a card's weights, which are downloaded, verified and converted first if they are missing. The card
/// adds what the file leaves open, and `known` what both leave open.
///
/// # Errors
///
/// As [`Network::pretrained`].
pub fn load_card(
    card: &Card,
    kind: Kind,
    known: &Known,
    cache: &Cache,
    options: &FetchOptions,
    device: &Device,
) -> Result<(Network, ModelSpec), WeightsError> {
    let path = record(card, kind, cache, options, device)?;
    let (network, spec) = open(card, kind, &path, device)?;
    let spec = Description::of_spec(spec).complete(&path, known)?;
    Ok((network, spec))
}

/// The path of the record of a card's weights, which are downloaded, verified and converted first if they are missing.
///
/// # Errors
///
/// As [`Network::pretrained`].
pub fn record(
    card: &Card,
    kind: Kind,
    cache: &Cache,
    options: &FetchOptions,
    device: &Device,
) -> Result<PathBuf, WeightsError> {
    if card.weights(kind)?.format == Format::Burnpack {
        return Ok(cache.weights(card, kind, options)?);
    }
    Ok(cache.record(card, kind, options, |source, target| {
        let (network, mut spec) = open(card, kind, source, device)?;
        spec.source = format!("{}, {}", card.name, card.weights(kind)?.file);
        save(&network, &spec, target, true)
    })?)
}

/// Loads a verified weight file, and checks that it holds the network that its card describes.
fn open(card: &Card, kind: Kind, path: &Path, device: &Device) -> Result<(Network, ModelSpec), WeightsError> {
    let described = card.network(kind)?;
    let mut known = card.known(kind)?;
    let loaded = match load_with(path, &known, device) {
        // A card that is silent about several outputs means one class of several.
        Err(WeightsError::Unknown { unknown, .. }) if unknown == [Unknown::Outputs] && card.outputs.is_none() => {
            known.outputs = Some(Outputs::Softmax);
            load_with(path, &known, device)
        }
        loaded => loaded,
    };
    let (network, spec) = loaded?;
    if spec.network == described {
        return Ok((network, spec));
    }
    Err(WeightsError::Record {
        path: path.to_owned(),
        problem: format!(
            "the card of {} describes {described}, the file holds {}",
            card.name, spec.network
        ),
    })
}
