use std::path::{Path, PathBuf};

use burn::tensor::Device;

use crate::classifier::Classifier;
use crate::description::Known;
use crate::network::Network;
use crate::outputs::Outputs;
use crate::record::{self, WeightsError};
use crate::registry::{self, Cache, Card, FetchOptions, Kind, RegistryError};
use crate::spec::{InputSpec, ModelSpec};
use crate::zoo::Architecture;

impl Network {
    /// A trained network by name: `xception-imagenet`, `resnet50-imagenet` or `xception-kitchenware`.
    ///
    /// The weights are fetched once into the platform's cache folder (or `XCEPTION_CACHE`), verified, converted to a Burn
    /// record and loaded from there afterwards. [`from_card`](Self::from_card) takes another folder, and
    /// [`registry`](crate::registry) has the steps.
    ///
    /// # Errors
    ///
    /// [`WeightsError::Registry`] says why the weights are not to be had, and where to put them by hand.
    pub fn pretrained(name: &str, device: &Device) -> Result<Self, WeightsError> {
        Classifier::pretrained(name, device).map(Classifier::into_network)
    }

    /// The weights a card describes, with or without the classifier, from a cache of one's own choice.
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

    /// The weights a card describes, from a cache of one's own choice.
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
        Self::load(&record(card, kind, cache, options, device)?, device)
    }
}

/// The path of the record of a card's weights, which are fetched and converted first if they are not there.
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
    Ok(cache.record(card, kind, options, |source, target| {
        convert(card, kind, source, target, device)
    })?)
}

/// Converts a verified weight file and checks that it holds the network that its card describes.
fn convert(card: &Card, kind: Kind, source: &Path, target: &Path, device: &Device) -> Result<(), WeightsError> {
    let network = network(card, kind)?;
    let (model, found) = record::load_with(source, &known(card, &network), device)?;
    if found.network != network {
        return Err(WeightsError::Record {
            path: source.to_owned(),
            problem: format!(
                "the card of {} describes {network}, the file holds {}",
                card.name, found.network
            ),
        });
    }
    let spec = ModelSpec {
        source: format!("{}, {}", card.name, card.weights(kind)?.file),
        outputs: Outputs::Softmax,
        input: InputSpec {
            height: card.input.height,
            width: card.input.width,
            preset: Some(card.input.preset),
            scaling: card.input.scaling,
        },
        labels: match kind {
            Kind::Full => card.labels().to_vec(),
            Kind::NoTop => Vec::new(),
        },
        network,
    };
    record::save(&model, &spec, target, true)
}

/// What the card says of a file that may not say it itself.
fn known(card: &Card, network: &Architecture) -> Known {
    Known {
        size: Some([card.input.height, card.input.width]),
        pooling: network.pooling(),
        outputs: Some(Outputs::Softmax),
        hidden_activation: network.hidden_activation(),
        scaling: Some(card.input.scaling),
        ..Known::default()
    }
}

/// The card's network: its keys over the defaults.
fn network(card: &Card, kind: Kind) -> Result<Architecture, RegistryError> {
    let wrong = |problem: String| RegistryError::Card {
        file: Path::new(&card.name).join("card.toml"),
        place: "network".to_owned(),
        problem,
    };
    let network = card.architecture().map_err(wrong)?;
    Ok(match kind {
        Kind::Full => network,
        // A file without a classifier says nothing of the card's.
        Kind::NoTop => network.without_top(),
    })
}
