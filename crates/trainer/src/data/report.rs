//! What a data set looks like, for the person who is about to train on it.

use std::{collections::BTreeMap, fmt, path::PathBuf};

use serde::{Deserialize, Serialize};

use super::{ContentHash, DataOptions, Dataset, Sample, Split, check::Size, error::LISTED};

/// Counts, sizes, and everything a person should know before trusting numbers that come from this data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// The folder or table.
    pub root: PathBuf,
    /// Whether a picture may have any number of labels.
    pub multi_label: bool,
    /// How the pictures were told apart, as a phrase ("by its folders", "by seed 42").
    pub split_by: String,
    /// How many pictures for each use.
    pub total: ClassCount,
    /// The same for each class, in the order of the labels.
    pub classes: Vec<ClassCount>,
    /// Sizes in pixels.
    pub sizes: Sizes,
    /// Files that cannot be decoded, left out.
    pub unreadable: Vec<Unreadable>,
    /// Groups of files with the same content.
    pub duplicates: Vec<Alike>,
    /// Those that are on both sides of a split: they make the results look better than they are.
    pub leaking: Vec<Alike>,
    /// Those with different labels: at least one of each is wrong.
    pub conflicting: Vec<Alike>,
    /// Whatever else is unusual, a sentence each.
    pub warnings: Vec<String>,
}

/// How many pictures of a class there are for each use.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ClassCount {
    /// The class, or "total".
    pub name: String,
    /// For training.
    pub train: usize,
    /// For validation.
    pub val: usize,
    /// For the test.
    pub test: usize,
}

/// The widths and heights of the pictures, upright.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sizes {
    /// Columns.
    pub width: Range,
    /// Rows.
    pub height: Range,
}

/// The ends and the middle of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The smallest.
    pub min: u32,
    /// As many are smaller as are larger.
    pub median: u32,
    /// The largest.
    pub max: u32,
}

/// A file that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// Its path in the data set.
    pub name: String,
    /// Why.
    pub reason: String,
}

/// Files with the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    /// Two or more.
    pub files: Vec<Member>,
}

/// One of several files with the same content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// Its path in the data set.
    pub name: String,
    /// Its classes.
    pub labels: Vec<String>,
    /// Its use.
    pub split: Split,
}

pub(super) fn describe(
    dataset: &Dataset,
    given: &[Split],
    carved: &[Split],
    notes: Vec<String>,
    unreadable: Vec<Unreadable>,
    sizes: &[Size],
    options: &DataOptions,
) -> DataReport {
    let duplicates = duplicates(dataset);
    let differing = |differs: &dyn Fn(&Member, &Member) -> bool| {
        let groups = duplicates
            .iter()
            .filter(|group| group.files.windows(2).any(|pair| differs(&pair[0], &pair[1])));
        groups.cloned().collect::<Vec<_>>()
    };
    let classes = count(dataset);
    let mut warnings = notes;
    warnings.extend(thin(dataset, &classes));
    DataReport {
        root: dataset.root.clone(),
        multi_label: dataset.multi_label,
        split_by: split_by(dataset, given, carved, options.seed),
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
        unreadable,
        leaking: differing(&|a, b| a.split != b.split),
        conflicting: differing(&|a, b| a.labels != b.labels),
        duplicates,
        warnings,
    }
}

fn split_by(dataset: &Dataset, given: &[Split], carved: &[Split], seed: u64) -> String {
    let own = if dataset.root.is_dir() {
        "by its folders"
    } else {
        "by its column"
    };
    match (given, carved) {
        ([], []) => "all for training".to_owned(),
        ([], _) => format!("split by seed {seed}"),
        (_, []) => format!("split {own}"),
        (_, _) => format!("split {own}; validation taken from training by seed {seed}"),
    }
}

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

/// Classes with no picture where others have some.
fn thin(dataset: &Dataset, classes: &[ClassCount]) -> Vec<String> {
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

fn duplicates(dataset: &Dataset) -> Vec<Alike> {
    let mut groups: BTreeMap<ContentHash, Vec<&Sample>> = BTreeMap::new();
    for sample in &dataset.samples {
        groups.entry(sample.content).or_default().push(sample);
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

/// Of at least one number.
fn range(mut numbers: Vec<u32>) -> Range {
    numbers.sort_unstable();
    let at = |index: usize| numbers.get(index).copied().unwrap_or_default();
    Range {
        min: at(0),
        median: at(numbers.len() / 2),
        max: at(numbers.len().saturating_sub(1)),
    }
}

/// "1 file", "2 files".
pub(super) fn counted(count: usize, thing: &str) -> String {
    format!("{count} {thing}{}", if count == 1 { "" } else { "s" })
}

/// How many classes are printed; more do not fit a screen.
const CLASSES_SHOWN: usize = 40;

impl fmt::Display for DataReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let pictures = self.total.train + self.total.val + self.total.test;
        let kind = if self.multi_label {
            ", any number of them a picture"
        } else {
            ""
        };
        writeln!(
            f,
            "{}: {}, {} classes{kind}, {}",
            self.root.display(),
            counted(pictures, "picture"),
            self.classes.len(),
            self.split_by
        )?;
        let shown = &self.classes[..self.classes.len().min(CLASSES_SHOWN)];
        let names = shown.iter().map(|class| class.name.chars().count());
        let wide = names.max().unwrap_or(0).max("total".len());
        writeln!(f, "  {:wide$}  {:>7} {:>7} {:>7}", "class", "train", "val", "test")?;
        for class in shown {
            writeln!(
                f,
                "  {:wide$}  {:>7} {:>7} {:>7}",
                class.name, class.train, class.val, class.test
            )?;
        }
        if shown.len() < self.classes.len() {
            writeln!(f, "  and {} more classes", self.classes.len() - shown.len())?;
        }
        let total = &self.total;
        writeln!(
            f,
            "  {:wide$}  {:>7} {:>7} {:>7}",
            total.name, total.train, total.val, total.test
        )?;
        let Sizes { width, height } = self.sizes;
        writeln!(
            f,
            "width {} to {} (median {}), height {} to {} (median {})",
            width.min, width.max, width.median, height.min, height.max, height.median
        )?;
        let unreadable = self
            .unreadable
            .iter()
            .map(|file| format!("{}: {}", file.name, file.reason));
        section(f, ("file", "that cannot be decoded, skipped"), unreadable)?;
        let names = |group: &Alike| {
            group
                .files
                .iter()
                .map(|file| file.name.as_str())
                .collect::<Vec<_>>()
                .join(" = ")
        };
        section(
            f,
            ("group", "of files with the same content"),
            self.duplicates.iter().map(names),
        )?;
        let uses = |group: &Alike| {
            let files = group.files.iter().map(|file| format!("{} ({})", file.name, file.split));
            files.collect::<Vec<_>>().join(" = ")
        };
        section(
            f,
            (
                "group",
                "of files with the same content on both sides of the split, so that results look better than they are",
            ),
            self.leaking.iter().map(uses),
        )?;
        let labels = |group: &Alike| {
            let files = group
                .files
                .iter()
                .map(|file| format!("{} ({})", file.name, file.labels.join(", ")));
            files.collect::<Vec<_>>().join(" = ")
        };
        section(
            f,
            ("group", "of files with the same content and different labels"),
            self.conflicting.iter().map(labels),
        )?;
        for warning in &self.warnings {
            writeln!(f, "warning: {warning}")?;
        }
        Ok(())
    }
}

/// How many there are, and the first ten.
fn section(
    f: &mut fmt::Formatter<'_>,
    (thing, what): (&str, &str),
    lines: impl ExactSizeIterator<Item = String>,
) -> fmt::Result {
    let count = lines.len();
    if count == 0 {
        return Ok(());
    }
    writeln!(f, "{} {what}:", counted(count, thing))?;
    for line in lines.take(LISTED) {
        writeln!(f, "  {line}")?;
    }
    if count > LISTED {
        writeln!(f, "  and {} more", count - LISTED)?;
    }
    Ok(())
}
