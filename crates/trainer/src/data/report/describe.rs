use std::collections::BTreeMap;

use files::ContentHash;

use super::{Alike, ClassCount, DataReport, Member, Range, Sizes, Unreadable};
use crate::data::dataset::{Dataset, Sample};
use crate::data::known::Size;
use crate::data::split::Split;
use crate::data::text::LISTED;

/// Classes with fewer training pictures get a warning.
const FEW: usize = 5;

/// The content of a report.
pub(in crate::data) struct Described<'a> {
    pub dataset: &'a Dataset,
    /// The splits that the data set names.
    pub given: &'a [Split],
    /// The splits that were taken from training.
    pub carved: &'a [Split],
    /// The seed that chose the pictures of these splits.
    pub seed: u64,
    pub notes: Vec<String>,
    /// Whether the pictures are for evaluating a network: then no split needs pictures of every class.
    pub judging: bool,
    pub unreadable: Vec<Unreadable>,
    pub doubtful: Vec<Unreadable>,
    pub sizes: &'a [Size],
}

/// Makes the report.
pub(in crate::data) fn describe(described: Described<'_>) -> DataReport {
    let Described {
        dataset,
        sizes,
        given,
        carved,
        ..
    } = described;
    let duplicates = duplicates(dataset);
    let differing = |differs: &dyn Fn(&Member, &Member) -> bool| {
        let groups = duplicates
            .iter()
            .filter(|group| group.files.windows(2).any(|pair| differs(&pair[0], &pair[1])));
        groups.cloned().collect::<Vec<_>>()
    };
    let classes = count(dataset);
    let mut warnings = described.notes;
    if !described.judging {
        warnings.extend(empty_classes(dataset, &classes));
        warnings.extend(too_few(dataset, &classes));
        warnings.extend(no_test(dataset, carved));
    }
    DataReport {
        root: dataset.root.clone(),
        multi_label: dataset.multi_label,
        split_by: split_by(dataset, given, carved, described.seed),
        total: ClassCount {
            name: "total".to_owned(),
            train: dataset.count(Split::Train),
            val: dataset.count(Split::Val),
            test: dataset.count(Split::Test),
        },
        classes,
        sizes: Sizes {
            width: range(sizes.iter().map(|size| size.0).collect()),
            height: range(sizes.iter().map(|size| size.1).collect()),
        },
        unreadable: described.unreadable,
        doubtful: described.doubtful,
        leaking: differing(&|a, b| a.split != b.split),
        conflicting: differing(&|a, b| a.labels != b.labels),
        duplicates,
        warnings,
    }
}

/// How the pictures were split, as a phrase.
fn split_by(dataset: &Dataset, given: &[Split], carved: &[Split], seed: u64) -> String {
    let own = if dataset.root.is_dir() {
        "by its folders"
    } else {
        "by its column"
    };
    let carved = carved.iter().any(|split| dataset.count(*split) > 0);
    match (given, carved) {
        ([], false) => "all for training".to_owned(),
        ([], _) => format!("split by seed {seed}"),
        (_, false) => format!("split {own}"),
        (_, _) => format!("split {own}; validation by seed {seed}"),
    }
}

/// The number of pictures of each class in each split.
fn count(dataset: &Dataset) -> Vec<ClassCount> {
    let empty = |name: &String| ClassCount {
        name: name.clone(),
        train: 0,
        val: 0,
        test: 0,
    };
    let mut classes: Vec<ClassCount> = dataset.classes.iter().map(empty).collect();
    for sample in &dataset.samples {
        for &label in &sample.labels {
            match sample.split {
                Split::Train => classes[label].train += 1,
                Split::Val => classes[label].val += 1,
                Split::Test => classes[label].test += 1,
            }
        }
    }
    classes
}

/// A warning for each split that lacks pictures of some classes.
fn empty_classes(dataset: &Dataset, classes: &[ClassCount]) -> Vec<String> {
    let of = |class: &ClassCount, split| match split {
        Split::Train => class.train,
        Split::Val => class.val,
        Split::Test => class.test,
    };
    let mut warnings = Vec::new();
    for split in Split::ALL {
        let missing: Vec<&str> = classes
            .iter()
            .filter(|class| of(class, split) == 0)
            .map(|class| class.name.as_str())
            .collect();
        if dataset.count(split) > 0 && !missing.is_empty() {
            let listed = &missing[..missing.len().min(LISTED)];
            let more = match missing.len() - listed.len() {
                0 => String::new(),
                more => format!(" and {more} more"),
            };
            warnings.push(format!("no {split} pictures of {}{more}", listed.join(", ")));
        }
    }
    warnings
}

/// Warnings about data that is hard to train on.
fn too_few(dataset: &Dataset, classes: &[ClassCount]) -> Vec<String> {
    let mut warnings = Vec::new();
    if dataset.count(Split::Val) == 0 {
        let warning = "no validation pictures: the last weights are kept, because no pictures choose the best";
        warnings.push(warning.to_owned());
    }
    let few: Vec<&str> = classes
        .iter()
        .filter(|class| (1..FEW).contains(&class.train))
        .map(|class| class.name.as_str())
        .collect();
    if !few.is_empty() {
        let listed = few[..few.len().min(LISTED)].join(", ");
        let more = match few.len().saturating_sub(LISTED) {
            0 => String::new(),
            more => format!(" and {more} more"),
        };
        warnings.push(format!(
            "fewer than {FEW} training pictures of {listed}{more}: such classes are hardly learnt"
        ));
    }
    warnings
}

/// A warning if a test split was wanted, but no class has enough pictures for the split.
fn no_test(dataset: &Dataset, carved: &[Split]) -> Option<String> {
    let wanted = carved.contains(&Split::Test) && dataset.count(Split::Val) > 0;
    (wanted && dataset.count(Split::Test) == 0).then(|| {
        "no test pictures, for which a class needs 3: the accuracy is that of the validation pictures, which also \
         choose the weights"
            .to_owned()
    })
}

/// Groups of files with the same pixels.
fn duplicates(dataset: &Dataset) -> Vec<Alike> {
    let mut groups: BTreeMap<ContentHash, Vec<&Sample>> = BTreeMap::new();
    for sample in &dataset.samples {
        groups.entry(sample.pixels).or_default().push(sample);
    }
    let member = |sample: &&Sample| Member {
        name: sample.name.clone(),
        labels: sample
            .labels
            .iter()
            .map(|&label| dataset.classes[label].clone())
            .collect(),
        split: sample.split,
    };
    let mut alike: Vec<Alike> = groups
        .values()
        .filter(|group| group.len() > 1)
        .map(|group| Alike {
            files: group.iter().map(member).collect(),
        })
        .collect();
    alike.sort_by(|a, b| a.files[0].name.cmp(&b.files[0].name));
    alike
}

/// The range of at least one number.
fn range(mut numbers: Vec<u32>) -> Range {
    numbers.sort_unstable();
    let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
    Range {
        min: at(0),
        median: at(numbers.len() / 2),
        max: at(numbers.len().saturating_sub(1)),
    }
}
