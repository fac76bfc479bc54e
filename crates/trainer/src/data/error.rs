//! What can be wrong with a data set, one sentence each.

use std::{fmt, io, path::PathBuf};

use xception_model::picture::PictureError;

use super::report::counted;

/// Why a data set cannot be used, or a picture of it any longer.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// The operating system did not hand something over.
    #[error("{}: cannot be read: {problem}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The system's words.
        problem: io::Error,
    },

    /// Neither a folder nor a table.
    #[error(
        "{}: this is neither a folder nor a .csv file; name a folder with a folder a class, or a table with the columns \
         path and label", path.display()
    )]
    Kind {
        /// What was named.
        path: PathBuf,
    },

    /// No file with a picture's extension where one was looked for.
    #[error(
        "{}: no pictures found; expected a folder a class with files named {} in them{hint}",
        path.display(), extensions()
    )]
    NoPictures {
        /// The data set.
        path: PathBuf,
        /// What was found instead, as an insertion, or empty.
        hint: String,
    },

    /// Every file with a picture's extension is damaged.
    #[error("{}: no picture of {count} can be decoded; the first is {first}", path.display())]
    NothingDecodes {
        /// The data set.
        path: PathBuf,
        /// How many files.
        count: usize,
        /// The first with the reason.
        first: String,
    },

    /// Nothing to tell apart.
    #[error("{}: all pictures are of one class, {class}; a classifier needs two classes to tell apart", path.display())]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
    },

    /// A class that the network does not know.
    #[error("{}: {class} is none of the network's {known} classes", path.display())]
    UnknownClass {
        /// The data set.
        path: PathBuf,
        /// The class found.
        class: String,
        /// How many classes the network has.
        known: usize,
    },

    /// More classes than any network here is made for.
    #[error(
        "{}: there are more than {limit} classes in {pictures} pictures; is this the column of the labels?",
        path.display()
    )]
    TooManyClasses {
        /// The data set.
        path: PathBuf,
        /// The most that are allowed.
        limit: usize,
        /// How many pictures.
        pictures: usize,
    },

    /// Two folders for one part of the data.
    #[error("{}: both {first} and {second} hold the {split} pictures; keep one of them", path.display())]
    TwoFolders {
        /// The data set.
        path: PathBuf,
        /// One folder's name.
        first: String,
        /// The other's.
        second: String,
        /// The part.
        split: super::Split,
    },

    /// Everything is for validation or test.
    #[error("{}: there are no pictures to train on; name them train", path.display())]
    NoTraining {
        /// The data set.
        path: PathBuf,
    },

    /// A name that is no text.
    #[error("{}: the folder's name is not UTF-8, so it cannot name a class; rename it", path.display())]
    ClassName {
        /// The folder.
        path: PathBuf,
    },

    /// The table is not UTF-8 text.
    #[error("{}, line {line}: this is not UTF-8 text; save the table as UTF-8", path.display())]
    NotUtf8 {
        /// The table.
        path: PathBuf,
        /// From 1.
        line: u64,
    },

    /// The table's first line does not name what is needed.
    #[error("{}: {problem}; the columns are path, label (or labels) and, if wanted, split", path.display())]
    Columns {
        /// The table.
        path: PathBuf,
        /// What was found.
        problem: String,
    },

    /// One line of the table is wrong.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// The table.
        path: PathBuf,
        /// From 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },

    /// The table is larger than any table of pictures.
    #[error("{}: the table has more than {limit} bytes", path.display())]
    TableTooLarge {
        /// The table.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },

    /// Files that the table names do not exist.
    #[error(
        "{}: {count} of the files that it names cannot be found: {}; paths are relative to the table's folder",
        path.display(), Listed(first, *count)
    )]
    Missing {
        /// The table.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first ten.
        first: Vec<String>,
    },

    /// Files that cannot be decoded, where all were asked for.
    #[error("{}: {} cannot be decoded: {}", path.display(), counted(*count, "picture"), Listed(first, *count))]
    Unreadable {
        /// The data set.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first ten, with the reasons.
        first: Vec<String>,
    },

    /// Shares that leave nothing to train on.
    #[error("val_fraction is {val} and test_fraction {test}; each is at least 0 and their sum is less than 1")]
    Fractions {
        /// `val_fraction`
        val: f64,
        /// `test_fraction`
        test: f64,
    },

    /// A picture that was fine when the data set was checked can no longer be read.
    #[error("{}: {problem}", path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
        /// What is wrong with it.
        problem: PictureError,
    },

    /// A picture is another one than when the data set was checked.
    #[error(
        "{}: the file has changed since the data set was checked; the run could not be repeated with it, so start a new \
         one", path.display()
    )]
    Changed {
        /// The picture.
        path: PathBuf,
    },

    /// A decoder broke down.
    #[error("{}: preparing this picture failed: {message}; please report it with the file", path.display())]
    Panicked {
        /// The picture.
        path: PathBuf,
        /// The message of the panic.
        message: String,
    },

    /// The augmentation cannot be used.
    #[error(transparent)]
    Augmentation(#[from] crate::augment::AugmentError),

    /// A batch of no pictures, or of more than memory can address.
    #[error("a batch of {batch_size} pictures of size {size} is not possible")]
    BatchSize {
        /// Pictures.
        batch_size: usize,
        /// Height and width.
        size: usize,
    },

    /// Threads or a cache folder could not be made.
    #[error("{what}: {problem}")]
    Setup {
        /// What was tried.
        what: String,
        /// The system's words.
        problem: String,
    },
}

fn extensions() -> String {
    super::EXTENSIONS.map(|extension| format!(".{extension}")).join(", ")
}

/// How many names a sentence lists.
pub(super) const LISTED: usize = 10;

/// Some names of `count`.
pub(super) struct Listed<'a>(pub &'a [String], pub usize);

impl fmt::Display for Listed<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self(names, count) = *self;
        f.write_str(&names.join(", "))?;
        match count.saturating_sub(names.len()) {
            0 => Ok(()),
            more => write!(f, " and {more} more"),
        }
    }
}
