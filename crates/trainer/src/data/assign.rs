//! Chooses the pictures for validation and test if the data set does not name them.

use std::collections::BTreeMap;

use files::ContentHash;

use super::{balance::rarest_labels, dataset::Dataset, options::DataOptions, split::Split};
use crate::random::{Purpose, Random};

/// The pictures of a class in a random order, grouped by their pixels.
type Groups = BTreeMap<(u64, ContentHash), Vec<usize>>;

/// Moves training pictures to the missing splits, and returns these splits.
///
/// If no split is given, validation and test are taken from training. If the data set has a test split but no
/// validation split, validation is taken from training. A missing test split stays empty if the data set names another
/// split, because the data set then decides which pictures to hold out.
///
/// Each class gives the same share. The split of a picture follows from its content and the seed. A renamed file
/// therefore keeps its split, copies stay together, also copies saved again without loss, and added pictures move few
/// of the others.
pub(super) fn assign(dataset: &mut Dataset, given: &[Split], options: &DataOptions) -> Vec<Split> {
    let (val, test) = match given {
        [] => (options.val_fraction, options.test_fraction),
        given if given.contains(&Split::Val) => (0.0, 0.0),
        _ => (options.val_fraction, 0.0),
    };
    let train = dataset.indices(Split::Train);
    let rarest = rarest_labels(dataset, &train);
    // Copies count for the class of the first copy, and the smallest of their contents decides their place.
    let mut classes: BTreeMap<Option<usize>, Groups> = BTreeMap::new();
    let mut homes: BTreeMap<ContentHash, (Option<usize>, ContentHash)> = BTreeMap::new();
    for (&index, &label) in train.iter().zip(&rarest) {
        let sample = &dataset.samples[index];
        let (_, content) = homes.entry(sample.pixels).or_insert((label, sample.content));
        *content = (*content).min(sample.content);
    }
    for &index in &train {
        let (home, content) = homes[&dataset.samples[index].pixels];
        let place = (place(options.seed, content), content);
        classes.entry(home).or_default().entry(place).or_default().push(index);
    }
    for groups in classes.values() {
        let count: usize = groups.values().map(Vec::len).sum();
        // For any share: one picture of two goes to validation, which chooses the weights, and one picture of three to
        // the test.
        let share = |fraction: f64, enough: usize| {
            let least = usize::from(fraction > 0.0 && count >= enough);
            ((count as f64 * fraction).round() as usize).max(least)
        };
        let val_from = if options.validation_first { 2 } else { 3 };
        let mut left = [(Split::Val, share(val, val_from)), (Split::Test, share(test, 3))];
        if !options.validation_first {
            left.reverse();
        }
        let mut train_left = count;
        for group in groups.values() {
            // At least one group stays for training.
            let fits = left
                .iter_mut()
                .find(|(_, left)| group.len() <= *left && group.len() < train_left);
            let Some((side, left)) = fits else { continue };
            *left -= group.len();
            train_left -= group.len();
            for &index in group {
                dataset.samples[index].split = *side;
            }
        }
    }
    let carved = [(val, Split::Val), (test, Split::Test)];
    carved
        .into_iter()
        .filter(|&(fraction, _)| fraction > 0.0)
        .map(|(_, split)| split)
        .collect()
}

/// The position of a content in the random order of the class.
fn place(seed: u64, content: ContentHash) -> u64 {
    let words = content
        .0
        .chunks_exact(8)
        .map(|word| word.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    words.fold(seed, |place, word| {
        Random::new(place ^ word, Purpose::Split, 0, 0).below(usize::MAX) as u64
    })
}
