//! The class names of weights that are not loaded.

use std::ffi::OsStr;

use xception_model::labels::Label;
use xception_model::registry::Card;
use xception_model::{WeightFormat, read_record};

use crate::weights::location::Location;

/// The labels of registered weights, a card, a record, or a file with a card beside it; none where they cannot be known
/// without loading the weights.
pub fn at_once(weights: &OsStr) -> Option<Vec<Label>> {
    match Location::of(weights).ok()? {
        Location::Card(card) => Some(card.labels().to_vec()),
        Location::File(path) if WeightFormat::of(&path).ok() == Some(WeightFormat::Record) => {
            read_record(&path).ok().map(|(spec, _)| spec.labels)
        }
        Location::File(path) => Some(Card::load(&Card::beside(&path)).ok()?.labels().to_vec()),
    }
}
