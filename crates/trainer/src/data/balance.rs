//! Support for classes with few pictures: a larger weight in the loss, or more steps.

use super::{dataset::Dataset, split::Split};
use crate::random::{Purpose, Random};

/// A weight for each class in the loss, inversely proportional to its number of training pictures. The mean over the
/// pictures is one, so that the loss keeps its scale (scikit-learn's `class_weight="balanced"`).
///
/// A class without training pictures gets 1.0; no loss is multiplied by this weight.
pub fn class_weights(dataset: &Dataset) -> Vec<f32> {
    let counts = counts(dataset, &dataset.indices(Split::Train));
    let present = counts.iter().filter(|&&count| count > 0).count();
    let total: usize = counts.iter().sum();
    let weight = |&count: &usize| match count {
        0 => 1.0,
        count => (total as f64 / (present * count) as f64) as f32,
    };
    counts.iter().map(weight).collect()
}

/// The number of the given pictures that have each label.
fn counts(dataset: &Dataset, indices: &[usize]) -> Vec<usize> {
    let mut counts = vec![0; dataset.classes.len()];
    for &index in indices {
        for &label in &dataset.samples[index].labels {
            counts[label] += 1;
        }
    }
    counts
}

/// The rarest label of each given picture; `None` for a picture without labels.
pub(super) fn rarest_labels(dataset: &Dataset, indices: &[usize]) -> Vec<Option<usize>> {
    let counts = counts(dataset, indices);
    let rarest = |&index: &usize| {
        let labels = dataset.samples[index].labels.iter().copied();
        labels.min_by_key(|&label| (counts[label], label))
    };
    indices.iter().map(rarest).collect()
}

/// An epoch in which every class has the same number of pictures, give or take one. The epoch is as long as the list of
/// pictures. Pictures of rare classes come several times, and pictures of frequent classes not in every epoch.
///
/// Epochs are parts of one endless sequence. In this sequence the classes take turns, in a new random order each time.
/// A class gives all its pictures before it repeats one. A picture with several labels counts for its rarest label.
pub(crate) fn balanced_order(dataset: &Dataset, indices: &[usize], seed: u64, epoch: usize) -> Vec<usize> {
    let mut classes: Vec<Vec<usize>> = vec![Vec::new(); dataset.classes.len() + 1];
    for (&index, label) in indices.iter().zip(rarest_labels(dataset, indices)) {
        classes[label.unwrap_or(dataset.classes.len())].push(index);
    }
    classes.retain(|class| !class.is_empty());
    let mut turns: (usize, Vec<usize>) = (usize::MAX, Vec::new());
    let mut rounds: Vec<(usize, Vec<usize>)> = vec![(usize::MAX, Vec::new()); classes.len()];
    let shuffled = |items: &[usize], number: usize, stream: usize| {
        let mut items = items.to_vec();
        Random::new(seed, Purpose::Order, number, stream).shuffle(&mut items);
        (number, items)
    };
    let all: Vec<usize> = (0..classes.len()).collect();
    let first = epoch * indices.len();
    let places = first..first + indices.len();
    let picture = |place: usize| {
        let turn = place / classes.len();
        if turns.0 != turn {
            turns = shuffled(&all, turn, 0);
        }
        let class = turns.1[place % classes.len()];
        let pictures = &classes[class];
        let round = turn / pictures.len();
        if rounds[class].0 != round {
            rounds[class] = shuffled(pictures, round, 1 + class);
        }
        rounds[class].1[turn % pictures.len()]
    };
    places.map(picture).collect()
}
