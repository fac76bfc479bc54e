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
use std::sync::LazyLock;

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
    "inception-v3-imagenet",
];

/// The built-in cards, in the order of `models/`.
///
/// # Panics
///
/// Never, once the tests pass: the cards are part of the binary, and `built_in_cards_are_valid` reads them all.
pub fn cards() -> &'static [Card] {
    static CARDS: LazyLock<Vec<Card>> = LazyLock::new(|| {
        BUILT_IN
            .iter()
            .map(|(folder, text, labels)| {
                let origin = Path::new("models").join(folder).join("card.toml");
                Card::from_texts(text, &origin, |_| Ok((*labels).to_owned()))
                    .unwrap_or_else(|error| panic!("a built-in card is wrong: {error}"))
            })
            .collect()
    });
    &CARDS
}

/// The built-in card of this name.
///
/// # Errors
///
/// [`RegistryError::UnknownCard`], which lists the known names, the most similar first.
pub fn card(name: &str) -> Result<&'static Card, RegistryError> {
    cards().iter().find(|card| card.name == name).ok_or_else(|| {
        let mut known: Vec<String> = cards().iter().map(|card| card.name.clone()).collect();
        known.sort_by_key(|candidate| strsim::damerau_levenshtein(candidate, name));
        RegistryError::UnknownCard {
            name: name.to_owned(),
            known,
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn built_in_cards_are_valid() {
        let names: Vec<&str> = cards().iter().map(|card| card.name.as_str()).collect();
        let folders: Vec<&str> = BUILT_IN.iter().map(|(folder, ..)| *folder).collect();
        assert_eq!(names, folders, "a card is named like its folder");
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
