//! Trained weights by name: cards that describe sets of weights, and a cache that downloads, verifies and converts
//! once.
//!
//! A [`Card`] is a TOML file with a file of labels beside it. Some cards are built in (`models/` in the repository); a
//! user's own is read with [`Card::load`]. A [`Cache`] gives the card's files on this machine: [`Cache::weights`] the
//! verified original, [`Cache::record`] the record made from it. Code never guesses what a card says.
//!
//! ```no_run
//! use xception_model::registry::{self, Cache, FetchOptions, Kind};
//!
//! let card = registry::card("xception-imagenet")?;
//! let path = Cache::new(None)?.weights(card, Kind::Full, &FetchOptions::default())?;
//! # Ok::<(), registry::RegistryError>(())
//! ```

mod cache;
mod card;
mod checksum;
mod error;
mod fetch;
mod options;
mod partial;
mod reporter;
mod weights;

use std::path::Path;
use std::sync::OnceLock;

pub use cache::{Cache, Cached, RECORD_VERSION};
pub use card::{Card, Conversion, Labels, Metrics, TemperatureScaling, Training};
pub use error::{RegistryError, Unavailable};
pub use options::{CACHE_VARIABLE, FetchOptions};
pub use reporter::Reporter;
pub use weights::{Format, Kind, Weights};

/// The folder under `models/`, the card and the label file of each built-in set of weights.
macro_rules! built_in {
    ($($folder:literal),* $(,)?) => {
        [$((
            $folder,
            include_str!(concat!("../../../../models/", $folder, "/card.toml")),
            include_str!(concat!("../../../../models/", $folder, "/labels.txt")),
        )),*]
    };
}

const BUILT_IN: &[(&str, &str, &str)] = &built_in![
    "xception-imagenet",
    "xception-kitchenware",
    "vgg16-imagenet",
    "vgg19-imagenet",
    "resnet50-imagenet",
    "resnet101-imagenet",
    "resnet152-imagenet",
    "resnet50-keras2-imagenet",
    "inception-v3-imagenet",
    "vgg16-torchvision",
    "vgg19-torchvision",
    "resnet50-torchvision-v1",
    "resnet50-torchvision-v2",
    "resnet101-torchvision-v1",
    "resnet101-torchvision-v2",
    "resnet152-torchvision-v1",
    "resnet152-torchvision-v2",
    "inception-v3-torchvision",
    "xception41-timm-tf",
    "xception65-timm-tf",
    "xception71-timm-tf",
    "xception65-timm-ra3",
    "xception41p-timm-ra3",
    "xception65p-timm-ra3",
    "resnet50-timm-a1",
    "resnet50-timm-a1h",
    "resnet101-timm-a1",
    "resnet101-timm-a1h",
    "resnet152-timm-a1",
    "resnet152-timm-a1h",
    "inception-v3-timm-gluon",
];

/// The names of the built-in weights, in the order of `models/`.
pub fn names() -> impl Iterator<Item = &'static str> {
    BUILT_IN.iter().map(|(folder, ..)| *folder)
}

/// The built-in cards, in the order of [`names`].
pub fn cards() -> impl Iterator<Item = &'static Card> {
    (0..BUILT_IN.len()).map(built_in_card)
}

/// The built-in card of this name.
///
/// # Errors
///
/// [`RegistryError::UnknownCard`], which lists the known names, the most similar first.
pub fn card(name: &str) -> Result<&'static Card, RegistryError> {
    if let Some(index) = names().position(|known| known == name) {
        return Ok(built_in_card(index));
    }
    let mut known: Vec<String> = names().map(str::to_owned).collect();
    known.sort_by_key(|candidate| strsim::damerau_levenshtein(candidate, name));
    Err(RegistryError::UnknownCard {
        name: name.to_owned(),
        known,
    })
}

/// A card is parsed when it is first asked for: a file of labels has 1,000 lines.
///
/// # Panics
///
/// Never, once the tests pass: the cards are part of the binary, and `built_in_cards_are_valid` reads them all.
fn built_in_card(index: usize) -> &'static Card {
    static CARDS: [OnceLock<Card>; BUILT_IN.len()] = [const { OnceLock::new() }; BUILT_IN.len()];
    CARDS[index].get_or_init(|| {
        let (folder, text, labels) = BUILT_IN[index];
        let origin = Path::new("models").join(folder).join("card.toml");
        Card::from_texts(text, &origin, |_| Ok(labels.to_owned()))
            .unwrap_or_else(|error| panic!("a built-in card is wrong: {error}"))
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_cards_are_valid() {
        let in_cards: Vec<&str> = cards().map(|card| card.name.as_str()).collect();
        let folders: Vec<&str> = names().collect();
        assert_eq!(in_cards, folders, "a card is named like its folder");
    }

    #[test]
    fn an_unknown_name_lists_the_nearest_first() {
        let error = card("xception-kitchnware").unwrap_err().to_string();
        assert!(
            error.starts_with(
                "no weight set is called `xception-kitchnware`; known are xception-kitchenware, xception-imagenet, "
            ),
            "{error}"
        );
        let error = card("resnet51-imagenet").unwrap_err().to_string();
        assert!(
            error.contains("known are resnet50-imagenet, resnet101-imagenet, "),
            "{error}"
        );
    }
}
