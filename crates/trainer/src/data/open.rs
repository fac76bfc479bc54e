//! From a folder or a table to a checked and split data set.

use std::path::Path;

use super::check::{self, Sorted};
use super::dataset::Dataset;
use super::error::DataError;
use super::known::Known;
use super::listing::Listing;
use super::options::{DataOptions, TableOptions};
use super::report::{DataReport, Described};
use super::split::Split;
use super::{assign, conversion, report, scan, table};

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

    /// Like [`open`](Self::open), but calls `progress` with the number of checked pictures and of all pictures: often,
    /// and from several threads.
    ///
    /// # Errors
    ///
    /// The errors of [`open`](Self::open).
    pub fn open_watched(
        path: impl AsRef<Path>,
        options: &DataOptions,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, DataReport), DataError> {
        let (dataset, report, _) = Self::open_known(path.as_ref(), options, &Known::default(), progress)?;
        Ok((dataset, report))
    }

    /// Whether the folder or table can be read as a data set, as far as this is known before any picture is opened.
    /// [`open`](Self::open) checks this first.
    ///
    /// # Errors
    ///
    /// The errors of [`open`](Self::open), except for errors of pictures.
    pub fn check_listing(path: impl AsRef<Path>, options: &DataOptions) -> Result<(), DataError> {
        listing(path.as_ref(), options).map(drop)
    }

    /// Like [`open_watched`](Self::open_watched), but does not decode pictures that `known` lists unchanged. Also
    /// returns the results of this check for the next one.
    pub(crate) fn open_known(
        path: &Path,
        options: &DataOptions,
        known: &Known,
        progress: &(dyn Fn(usize, usize) + Sync),
    ) -> Result<(Self, DataReport, Known), DataError> {
        let listing = listing(path, options)?;
        let checked = check::check(&listing.items, options, known, progress)?;
        let known = checked.known(&listing.items);
        let Sorted {
            samples,
            sizes,
            unreadable,
            doubtful,
        } = checked.sort(path, &listing.items, options.strict)?;
        let mut dataset = Self {
            root: path.to_owned(),
            classes: listing.classes,
            multi_label: listing.multi_label,
            samples,
            limits: options.limits,
            reading: options.reading,
        };
        let given: Vec<Split> = listing.given;
        let carved = assign::assign(&mut dataset, &given, options);
        if !options.judging && dataset.count(Split::Train) == 0 && given.contains(&Split::Train) {
            return Err(DataError::NoTraining { path: path.to_owned() });
        }
        let report = report::describe(Described {
            dataset: &dataset,
            given: &given,
            carved: &carved,
            seed: options.seed,
            notes: listing.notes,
            judging: options.judging,
            unreadable,
            doubtful,
            sizes: &sizes,
        });
        Ok((dataset, report, known))
    }
}

/// The listing of a folder or table, after the checks that open no picture.
fn listing(path: &Path, options: &DataOptions) -> Result<Listing, DataError> {
    options.check()?;
    let mut listing = list(path, options)?;
    listing.settle_case(path, options.class_case)?;
    if let Some(classes) = &options.classes {
        listing.relabel(path, classes)?;
    }
    listing.check_classes(path, options.judging || options.classes.is_some())?;
    Ok(listing)
}

/// The listing of a folder or table, before any picture is opened.
fn list(path: &Path, options: &DataOptions) -> Result<Listing, DataError> {
    let metadata = std::fs::metadata(path).map_err(|problem| DataError::Read {
        path: path.to_owned(),
        problem,
    })?;
    let ending = path.extension().unwrap_or_default().to_string_lossy().to_lowercase();
    if metadata.is_dir() {
        if options.table != TableOptions::default() {
            return Err(DataError::Columns {
                path: path.to_owned(),
                problem: "this is a folder, and has no columns: leave out the options of tables".to_owned(),
            });
        }
        return scan::scan(path, options);
    }
    match ending.as_str() {
        "csv" | "tsv" | "tab" | "txt" if metadata.is_file() => table::read(path, &options.table, options.judging),
        ending => Err(DataError::Kind {
            path: path.to_owned(),
            advice: conversion::advice(path, ending),
        }),
    }
}
