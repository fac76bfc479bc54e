//! The errors of data sets.

use std::{
    io,
    path::{Path, PathBuf},
};

use csv::ErrorKind;
use xception_model::picture::{ENDINGS, PictureError};

use super::spelling::differences;
use super::split::Split;
use super::text::{Listed, counted, listed, shown};

/// Why a data set, or one of its pictures, cannot be used.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum DataError {
    /// A file or folder cannot be read.
    #[error("{}: cannot be read: {problem}", path.display())]
    Read {
        /// The file or folder.
        path: PathBuf,
        /// The error of the operating system.
        problem: io::Error,
    },

    /// The path is neither a folder nor a table.
    #[error(
        "{}: this is neither a folder nor a .csv file; name a folder with one folder per class, or a table with the \
         columns path and label{advice}", path.display()
    )]
    Kind {
        /// The path.
        path: PathBuf,
        /// What to do with a file of this ending, as the rest of the sentence, or empty.
        advice: &'static str,
    },

    /// There is no file with the extension of a picture.
    #[error(
        "{}: no pictures found; expected one folder per class with files named {} in them{hint}",
        path.display(), extensions()
    )]
    NoPictures {
        /// The data set.
        path: PathBuf,
        /// What was found instead, as the rest of the sentence, or empty.
        hint: String,
    },

    /// No file with the extension of a picture can be decoded.
    #[error("{}: no picture of {count} can be decoded; the first is {first}", path.display())]
    NothingDecodes {
        /// The data set.
        path: PathBuf,
        /// How many files.
        count: usize,
        /// The first, with the reason.
        first: String,
    },

    /// There is a single class.
    #[error(
        "{}: all pictures are of one class, {}; a classifier needs at least two classes{hint}",
        path.display(), shown(class)
    )]
    OneClass {
        /// The data set.
        path: PathBuf,
        /// The only class.
        class: String,
        /// What the names of the pictures may mean, as the rest of the sentence, or empty.
        hint: String,
    },

    /// The only folder of a class holds folders with pictures.
    #[error(
        "{}: there is one class, {}, and that folder holds {}: did you mean {}?",
        path.display(), shown(class), listed(holds), path.join(class).display()
    )]
    FolderAround {
        /// The data set.
        path: PathBuf,
        /// The folder, relative to the data set.
        class: String,
        /// The folders with pictures in it.
        holds: Vec<String>,
    },

    /// Folders of classes hold folders with pictures.
    #[error(
        "{}: {} holds {}, so the classes can be the outer or the inner folders: --class-folders top takes {}; \
         --class-folders deepest takes {}{}",
        path.display(), shown(folder), listed(holds), listed(top), listed(deepest), or_splits(splits)
    )]
    NestedClasses {
        /// The data set.
        path: PathBuf,
        /// The first such folder.
        folder: String,
        /// The folders with pictures in it.
        holds: Vec<String>,
        /// The classes, if they are the outer folders.
        top: Box<[String]>,
        /// The classes, if they are the inner folders.
        deepest: Box<[String]>,
        /// Outer folders with the same folders in them, which may be splits; or empty.
        splits: Box<[String]>,
    },

    /// Folders of pictures have names of splits, and hold no folders of classes.
    #[error(
        "{}: the names {} are those of splits, and their pictures lie in no class's folder: make a folder for each \
         class in them (train/cats, train/dogs); --class-folders top takes each of these folders for a class{hint}",
        path.display(), listed(folders)
    )]
    SplitNames {
        /// The data set.
        path: PathBuf,
        /// The folders.
        folders: Vec<String>,
        /// What the names of the pictures may mean, as the rest of the sentence, or empty.
        hint: String,
    },

    /// The folders belong to a data set of outlines or boxes.
    #[error(
        "{}: {} are the parts of a data set of outlines or boxes, not classes: make a folder for each class; \
         --class-folders top takes each of these folders for a class",
        path.display(), listed(folders)
    )]
    Segmentation {
        /// The data set.
        path: PathBuf,
        /// The folders.
        folders: Vec<String>,
    },

    /// A folder beside the splits' folders has the training classes, and a name that means no split.
    #[error(
        "{}: {folder} holds classes of {training}, and its name does not say which split it is: name it {names} if it \
         is that split, or move it to another place if its pictures are not to be used",
        path.display()
    )]
    MaybeSplit {
        /// The data set.
        path: PathBuf,
        /// The folder.
        folder: String,
        /// The folder of the training pictures.
        training: String,
        /// The splits that have no folder, for people.
        names: String,
    },

    /// A split's folder has none of the training classes.
    #[error(
        "{}: {folder} holds {}, and {training} holds {}: no class is in both; give the folders of a class one name, or \
         take them as they are with --class-folders top",
        path.display(), listed(holds), listed(classes)
    )]
    NoCommonClass {
        /// The data set.
        path: PathBuf,
        /// The split's folder.
        folder: Box<str>,
        /// The folders with pictures in it.
        holds: Vec<String>,
        /// The folder of the training pictures.
        training: Box<str>,
        /// The training classes.
        classes: Vec<String>,
    },

    /// Folders of splits hold pictures, and no folders of classes.
    #[error(
        "{}: the pictures of {} lie in no class's folder: make a folder for each class in them (train/cats, \
         train/dogs){hint}",
        path.display(), listed(folders)
    )]
    NoClassFolders {
        /// The data set.
        path: PathBuf,
        /// The folders.
        folders: Vec<String>,
        /// What may say the classes, as the rest of the sentence, or empty.
        hint: String,
    },

    /// The folders are named as parts of one set (`images_part_1`).
    #[error(
        "{}: the names {} are those of the parts of one set of pictures, not of classes: make a folder for each class; \
         --class-folders top takes each of these folders for a class{hint}",
        path.display(), listed(folders)
    )]
    PartNames {
        /// The data set.
        path: PathBuf,
        /// The folders.
        folders: Vec<String>,
        /// What may say the classes, as the rest of the sentence, or empty.
        hint: String,
    },

    /// A folder of pictures with the name of a split lies beside the folders of the classes.
    #[error(
        "{}: {} lies beside {}, and its name is not that of a class: move it to another place if its pictures have no \
         class; --class-folders top takes it for a class",
        path.display(), shown(folder), listed(classes)
    )]
    SplitAmongClasses {
        /// The data set.
        path: PathBuf,
        /// The folder.
        folder: String,
        /// The others.
        classes: Vec<String>,
    },

    /// Two inner folders have the same name.
    #[error(
        "{}: both {} and {} would be the class {}: rename one, or use --class-folders top; if the outer folders are \
         splits, name them train, val or test",
        path.display(), shown(first), shown(second), shown(class)
    )]
    SameClass {
        /// The data set.
        path: PathBuf,
        /// One folder.
        first: String,
        /// The other.
        second: String,
        /// Their name.
        class: String,
    },

    /// The names of two classes differ in upper and lower case, blanks or Unicode form alone.
    #[error(
        "{}: {} and {} differ in {} alone: are they one class (--class-case merge) or two (--class-case keep)?",
        path.display(), told_apart(first), told_apart(second), differences(first, second)
    )]
    ClassCase {
        /// The data set.
        path: PathBuf,
        /// One class.
        first: String,
        /// The other.
        second: String,
    },

    /// The name of a class cannot be saved with the network.
    #[error(
        "{}: the class \"{}\" cannot be saved with a network: {problem}; rename it", path.display(), shown(class)
    )]
    ClassText {
        /// The data set.
        path: PathBuf,
        /// The class.
        class: String,
        /// What is wrong with its name.
        problem: String,
    },

    /// No picture is left for validation or test.
    #[error(
        "{}: {pictures} pictures of {classes} classes are too few to hold any out, so that nothing would say how good \
         the network is: a class needs at least 2; add pictures, or train on all of them with --val-fraction 0 \
         --test-fraction 0",
        path.display()
    )]
    TooFew {
        /// The data set.
        path: PathBuf,
        /// How many pictures.
        pictures: usize,
        /// How many classes.
        classes: usize,
    },

    /// The network does not know a class.
    #[error("{}: {} is none of the network's {known} classes", path.display(), shown(class))]
    UnknownClass {
        /// The data set.
        path: PathBuf,
        /// The class found.
        class: String,
        /// How many classes the network has.
        known: usize,
    },

    /// There are more classes than in any data set that such networks were trained on.
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

    /// Two folders hold the same split.
    #[error(
        "{}: both {} and {} hold the {split} pictures; keep one of them", path.display(), shown(first), shown(second)
    )]
    TwoFolders {
        /// The data set.
        path: PathBuf,
        /// The name of one folder.
        first: String,
        /// The name of the other.
        second: String,
        /// The split.
        split: Split,
    },

    /// All pictures are for validation or test.
    #[error("{}: there are no pictures to train on; name them train", path.display())]
    NoTraining {
        /// The data set.
        path: PathBuf,
    },

    /// The name of a folder is not UTF-8.
    #[error("{}: the folder's name is not UTF-8, so it cannot name a class; rename it", path.display())]
    ClassName {
        /// The folder.
        path: PathBuf,
    },

    /// The table is not UTF-8.
    #[error("{}, line {line}: this is not UTF-8 text; save the table as UTF-8", path.display())]
    NotUtf8 {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
    },

    /// The first line of the table lacks a column.
    #[error("{}: {}", path.display(), shown(problem))]
    Columns {
        /// The table.
        path: PathBuf,
        /// What was found.
        problem: String,
    },

    /// One line of the table is wrong.
    #[error("{}, line {line}: {}", path.display(), shown(problem))]
    Line {
        /// The table.
        path: PathBuf,
        /// The line, from 1.
        line: u64,
        /// What is wrong with it.
        problem: String,
    },

    /// The table is too large.
    #[error("{}: the table has more than {limit} bytes", path.display())]
    TableTooLarge {
        /// The table.
        path: PathBuf,
        /// The limit in bytes.
        limit: u64,
    },

    /// Files of the table do not exist.
    #[error(
        "{}: {count} of the {of} files that it names cannot be found: {}; {advice}",
        path.display(), Listed(first, *count)
    )]
    Missing {
        /// The table.
        path: PathBuf,
        /// How many.
        count: usize,
        /// How many files it names.
        of: usize,
        /// The first ten.
        first: Vec<String>,
        /// What to do.
        advice: String,
    },

    /// Files cannot be decoded, and the options are strict.
    #[error("{}: {} cannot be decoded: {}", path.display(), counted(*count, "picture"), Listed(first, *count))]
    Unreadable {
        /// The data set.
        path: PathBuf,
        /// How many.
        count: usize,
        /// The first ten, with the reasons.
        first: Vec<String>,
    },

    /// The fractions leave no pictures to train on.
    #[error("val_fraction is {val} and test_fraction {test}; each is at least 0 and their sum is less than 1")]
    Fractions {
        /// `val_fraction`
        val: f64,
        /// `test_fraction`
        test: f64,
    },

    /// A picture that could be read when the data set was checked cannot be read any more.
    #[error("{}: {problem}", path.display())]
    Picture {
        /// The picture.
        path: PathBuf,
        /// What is wrong with it.
        problem: PictureError,
    },

    /// A picture has changed since the data set was checked.
    #[error(
        "{}: the file has changed since the data set was checked; the run could not be repeated with it, so start \
         a new one", path.display()
    )]
    Changed {
        /// The picture.
        path: PathBuf,
    },

    /// A decoder panicked.
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

    /// A batch has no pictures, or more than memory can address.
    #[error("a batch of {batch_size} pictures of size {size} is not possible")]
    BatchSize {
        /// Pictures.
        batch_size: usize,
        /// Height and width.
        size: usize,
    },

    /// Threads could not be started, or a cache folder could not be created.
    #[error("{what}: {problem}")]
    Setup {
        /// The action that failed.
        what: String,
        /// The error of the operating system.
        problem: String,
    },
}

impl DataError {
    /// An error of the reader of a table.
    pub(super) fn in_table(path: &Path, error: &csv::Error) -> Self {
        let path = path.to_owned();
        let line = error.position().map_or(1, csv::Position::line);
        match error.kind() {
            ErrorKind::Utf8 { .. } => Self::NotUtf8 { path, line },
            ErrorKind::UnequalLengths { expected_len, len, .. } => Self::Line {
                path,
                line,
                problem: format!(
                    "{} where the first line has {expected_len}; {}",
                    counted(*len as usize, "cell"),
                    if len > expected_len {
                        "quote a cell that has a comma"
                    } else {
                        "a cell is missing, or a quotation mark is never closed"
                    }
                ),
            },
            _ => Self::Line {
                path,
                line,
                problem: error.to_string(),
            },
        }
    }
}

/// A name with its blanks and accents made visible, if it has any that may differ from another name's.
fn told_apart(name: &str) -> String {
    if name.chars().all(|char| char.is_alphanumeric() && char.is_ascii()) {
        return name.to_owned();
    }
    let escaped = name.chars().flat_map(|char| {
        let kept = char.is_ascii() && !char.is_control();
        let escapes = (!kept).then(|| char.escape_unicode());
        kept.then_some(char).into_iter().chain(escapes.into_iter().flatten())
    });
    format!("\"{}\"", escaped.collect::<String>())
}

/// A third reading of folders in folders.
fn or_splits(folders: &[String]) -> String {
    if folders.is_empty() {
        return String::new();
    }
    format!(
        "; if {} are the splits of one data set, name them train, val or test",
        listed(folders)
    )
}

fn extensions() -> String {
    ENDINGS.map(|extension| format!(".{extension}")).join(", ")
}
