//! The pictures of a data set and what each is.

use std::{
    fmt,
    path::{Path, PathBuf},
};

use files::{ContentHash, Sha256};
use serde::{Deserialize, Serialize};
use xception_model::picture::DecodeLimits;

use super::{
    DataError, DataOptions, DataReport, Known,
    check::{self, Sorted},
    listing::Listing,
    report, scan, split, table,
};

/// Labelled pictures, all of them decodable when they were checked.
#[derive(Debug, Clone, PartialEq)]
pub struct Dataset {
    /// The folder or table as the caller named it.
    pub root: PathBuf,
    /// What a label stands for.
    pub classes: Vec<String>,
    /// Whether a picture may have any number of labels. If not it has exactly one.
    pub multi_label: bool,
    /// Every picture, in the order of the relative paths.
    pub samples: Vec<Sample>,
    /// What one picture may cost, whenever it is opened.
    pub limits: DecodeLimits,
}

/// One picture of a data set.
#[derive(Debug, Clone, PartialEq)]
pub struct Sample {
    /// Where it is.
    pub path: PathBuf,
    /// Its path relative to the data set, for people and for the fingerprint.
    pub name: String,
    /// Indices into [`Dataset::classes`], ascending.
    pub labels: Vec<usize>,
    /// What it is used for.
    pub split: Split,
    /// The file's content when it was checked.
    pub content: ContentHash,
}

/// What a picture is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Split {
    /// Training.
    Train,
    /// Choosing the best epoch, and whatever else is decided while training.
    Val,
    /// The last judgement, once.
    Test,
}

impl Split {
    /// In the order in which they are used.
    pub const ALL: [Self; 3] = [Self::Train, Self::Val, Self::Test];

    /// The name of its folder, and its value in a table.
    pub fn name(self) -> &'static str {
        match self {
            Self::Train => "train",
            Self::Val => "val",
            Self::Test => "test",
        }
    }

    /// The part that a folder or a cell of a table names, in any case.
    pub(super) fn from_name(name: &str) -> Option<Self> {
        match name.trim().to_ascii_lowercase().as_str() {
            "train" | "training" => Some(Self::Train),
            "val" | "valid" | "validation" => Some(Self::Val),
            "test" | "testing" => Some(Self::Test),
            _ => None,
        }
    }
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

impl Dataset {
    /// Finds, checks and splits the pictures of a folder or table.
    ///
    /// Every file is read and decoded once, several at a time; each takes at most what the options' limits allow.
    ///
    /// # Errors
    ///
    /// [`DataError`], one sentence for each thing that can be wrong: no pictures, one class only, a table without the
    /// right columns, files that do not exist, and, if the options are strict, files that cannot be decoded.
    pub fn open(path: impl AsRef<Path>, options: &DataOptions) -> Result<(Self, DataReport), DataError> {
        Self::open_watched(path, options, &|_, _| {})
    }

    /// [`open`](Self::open), telling how many pictures of how many are checked: often, and from several threads.
    ///
    /// # Errors
    ///
    /// Those of [`open`](Self::open).
    pub fn open_watched(
        path: impl AsRef<Path>,
        options: &DataOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, DataReport), DataError> {
        let (dataset, report, _) = Self::open_known(path.as_ref(), options, &Known::default(), progress)?;
        Ok((dataset, report))
    }

    /// [`open_watched`](Self::open_watched) without decoding again what an earlier check knows, and what the next one will.
    pub(crate) fn open_known(
        path: &Path,
        options: &DataOptions,
        known: &Known,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, DataReport, Known), DataError> {
        options.check()?;
        let mut listing = list(path)?;
        if let Some(classes) = &options.classes {
            listing.relabel(path, classes)?;
        }
        listing.check_classes(path, options.classes.is_some())?;
        let checked = check::check(&listing.items, options, known, progress)?;
        let known = checked.known(&listing.items);
        let Sorted {
            samples,
            sizes,
            unreadable,
        } = checked.sort(path, &listing.items, options.strict)?;
        let mut dataset = Self {
            root: path.to_owned(),
            classes: listing.classes,
            multi_label: listing.multi_label,
            samples,
            limits: options.limits,
        };
        let given: Vec<Split> = listing.given;
        let carved = split::split(&mut dataset, &given, options);
        if dataset.count(Split::Train) == 0 && given.contains(&Split::Train) {
            return Err(DataError::NoTraining { path: path.to_owned() });
        }
        let report = report::describe(&dataset, &given, &carved, listing.notes, unreadable, &sizes, options);
        Ok((dataset, report, known))
    }

    /// How many pictures there are for this use.
    pub fn count(&self, split: Split) -> usize {
        self.samples.iter().filter(|sample| sample.split == split).count()
    }

    /// The places in [`samples`](Self::samples) of the pictures for this use, ascending.
    pub fn indices(&self, split: Split) -> Vec<usize> {
        (0..self.samples.len())
            .filter(|&index| self.samples[index].split == split)
            .collect()
    }

    /// SHA-256 over everything training depends on: the classes, and the relative path, content, labels and use of every
    /// picture, in the order of the paths. Equal fingerprints mean equal data, wherever it lies.
    pub fn fingerprint(&self) -> String {
        let mut hash = Sha256::new();
        let mut field = |bytes: &[u8]| {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        };
        field(&[u8::from(self.multi_label)]);
        field(&(self.classes.len() as u64).to_le_bytes());
        for class in &self.classes {
            field(class.as_bytes());
        }
        let mut samples: Vec<&Sample> = self.samples.iter().collect();
        samples.sort_by(|a, b| a.name.cmp(&b.name));
        for sample in samples {
            field(sample.name.as_bytes());
            field(&sample.content.0);
            let labels: Vec<u8> = sample
                .labels
                .iter()
                .flat_map(|&label| (label as u64).to_le_bytes())
                .collect();
            field(&labels);
            field(sample.split.name().as_bytes());
        }
        hash.finish().to_string()
    }
}

fn list(path: &Path) -> Result<Listing, DataError> {
    let metadata = std::fs::metadata(path).map_err(|problem| DataError::Read {
        path: path.to_owned(),
        problem,
    })?;
    let is_table = path
        .extension()
        .is_some_and(|extension| extension.eq_ignore_ascii_case("csv"));
    if metadata.is_dir() {
        scan::scan(path)
    } else if metadata.is_file() && is_table {
        table::read(path)
    } else {
        Err(DataError::Kind { path: path.to_owned() })
    }
}
