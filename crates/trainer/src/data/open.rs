//! From a folder or a table to a checked and split data set.

use std::path::Path;

use super::check::{self, Sorted};
use super::dataset::Dataset;
use super::error::DataError;
use super::known::Known;
use super::listing::Listing;
use super::options::DataOptions;
use super::report::{DataReport, Described};
use super::split::Split;
use super::{assign, report, scan, table};

impl Dataset {
    /// Finds, checks and splits the pictures of a folder or table.
    ///
    /// Every file is read and decoded once, several at a time, within the limits of the options.
    ///
    /// # Errors
    ///
    /// A [`DataError`]: no pictures, a single class, a table without the right columns, files that do not exist, and,
    /// if the options are strict, files that cannot be decoded.
    pub fn open(path: impl AsRef<Path>, options: &DataOptions) -> Result<(Self, DataReport), DataError> {
        Self::open_watched(path, options, &|_, _| {})
    }

    /// [`open`](Self::open), which calls `progress` with the number of checked pictures and of all pictures: often, and
    /// from several threads.
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

    /// [`open_watched`](Self::open_watched), which does not decode pictures that `known` lists unchanged. Returns the
    /// results of this check too, for the next one.
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
        let carved = assign::assign(&mut dataset, &given, options);
        if dataset.count(Split::Train) == 0 && given.contains(&Split::Train) {
            return Err(DataError::NoTraining { path: path.to_owned() });
        }
        let report = report::describe(Described {
            dataset: &dataset,
            given: &given,
            carved: &carved,
            seed: options.seed,
            notes: listing.notes,
            unreadable,
            sizes: &sizes,
        });
        Ok((dataset, report, known))
    }
}

/// What the folder or table lists, before any picture is opened.
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
