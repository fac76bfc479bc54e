//! Which pictures are for validation and test, where the data set does not say.

use std::collections::BTreeMap;

use super::{ContentHash, DataOptions, Dataset, Split, balance::rarest_labels};
use crate::random::{Purpose, Random};

/// The pictures of a class in the order in which they are set aside, those of one content together.
type Line = BTreeMap<(u64, ContentHash), Vec<usize>>;

/// Sets aside what is missing, out of the training pictures, and tells what that was.
///
/// All three are told apart if nothing is given. If there are pictures for the test but none for validation, those are
/// taken from training; if it is the test that is missing it stays so, since the caller decided what to hold out.
///
/// Each class gives the same share. A picture's place follows from its content and the seed: a file that is renamed
/// stays on its side, copies stay together, and adding pictures moves few of the others.
pub(super) fn split(dataset: &mut Dataset, given: &[Split], options: &DataOptions) -> Vec<Split> {
    let (val, test) = match given {
        [] => (options.val_fraction, options.test_fraction),
        given if given.contains(&Split::Val) => (0.0, 0.0),
        _ => (options.val_fraction, 0.0),
    };
    let train = dataset.indices(Split::Train);
    let rarest = rarest_labels(dataset, &train);
    // By content within the class of the first picture of this content.
    let mut classes: BTreeMap<Option<usize>, Line> = BTreeMap::new();
    let mut homes: BTreeMap<ContentHash, Option<usize>> = BTreeMap::new();
    for (&index, &label) in train.iter().zip(&rarest) {
        let content = dataset.samples[index].content;
        let home = *homes.entry(content).or_insert(label);
        let place = (place(options.seed, content), content);
        classes.entry(home).or_default().entry(place).or_default().push(index);
    }
    for groups in classes.values() {
        let count: usize = groups.values().map(Vec::len).sum();
        // One for each side as soon as there are three, however small the share.
        let share = |fraction: f64| {
            let least = usize::from(fraction > 0.0 && count >= 3);
            ((count as f64 * fraction).round() as usize).max(least)
        };
        let (mut val_left, mut test_left) = (share(val), share(test));
        let mut train_left = count;
        for group in groups.values() {
            let side = if group.len() >= train_left {
                // Something is left to train on.
                continue;
            } else if group.len() <= test_left {
                test_left -= group.len();
                Split::Test
            } else if group.len() <= val_left {
                val_left -= group.len();
                Split::Val
            } else {
                continue;
            };
            train_left -= group.len();
            for &index in group {
                dataset.samples[index].split = side;
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

/// Where a content comes in its class's line, by the seed.
fn place(seed: u64, content: ContentHash) -> u64 {
    let words = content
        .0
        .chunks_exact(8)
        .map(|word| word.iter().fold(0, |sum, &byte| sum << 8 | u64::from(byte)));
    words.fold(seed, |place, word| {
        Random::new(place ^ word, Purpose::Split, 0, 0).below(usize::MAX) as u64
    })
}
