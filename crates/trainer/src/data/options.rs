//! How a data set is read and split.

use std::{path::PathBuf, str::FromStr, thread::available_parallelism};

use serde::{Deserialize, Serialize};
use xception_model::picture::{DecodeLimits, DecodeOptions, Reading};

use super::error::DataError;

/// How a data set is read and split. A run's folder saves all but `threads`, `limits` and `judging`, which change no
/// result of a training.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DataOptions {
    /// The share of the pictures for validation, if the data set names no split; 0.15 by default.
    pub val_fraction: f64,
    /// The share of the pictures for the test, if the data set names no split; 0.15 by default.
    pub test_fraction: f64,
    /// Whether validation is filled before the test, so that a class of two pictures has one for validation. Earlier
    /// versions filled the test first, and their runs' files lack this value; those runs resume with their split.
    #[serde(default)]
    pub validation_first: bool,
    /// The seed that chooses the pictures of these splits.
    pub seed: u64,
    /// Refuse a data set with a file that cannot be decoded, instead of skipping the file.
    pub strict: bool,
    /// The classes in the order of a network's outputs; `None` for the classes of the data, by name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub classes: Option<Vec<String>>,
    /// The columns and files of a table.
    #[serde(skip_serializing_if = "TableOptions::is_default")]
    pub table: TableOptions,
    /// Which folders are the classes, if folders lie in folders.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_folders: Option<ClassFolders>,
    /// How to treat classes whose names differ only in upper and lower case; `None` refuses them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub class_case: Option<ClassCase>,
    /// Whether the pictures are for evaluating a network. No training pictures are then needed.
    #[serde(skip)]
    pub judging: bool,
    /// The number of pictures that are checked at the same time; by default the number of processors.
    #[serde(skip, default = "processors")]
    pub threads: usize,
    /// How orientation, transparency and 16-bit samples are treated.
    #[serde(skip_serializing_if = "Reading::is_default")]
    pub reading: Reading,
    /// The limits for decoding a picture.
    #[serde(skip)]
    pub limits: DecodeLimits,
}

/// The columns and files of a table.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TableOptions {
    /// The column of the pictures' files; `None` for a column with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub file_column: Option<String>,
    /// The column of the labels; `None` for a column with a usual name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub label_column: Option<String>,
    /// The column that says train, val or test; `None` for a column with a usual name, if there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub split_column: Option<String>,
    /// The folder of the pictures; `None` for the table's own. Folders that the table names but that do not exist there
    /// are left out of the paths.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pictures: Option<PathBuf>,
    /// Whether a cell may hold several labels, separated by `;` or `|`. `None` means yes if the column is called
    /// `labels`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub multi_label: Option<bool>,
    /// Leave out pictures that do not exist, instead of refusing the table.
    #[serde(skip_serializing_if = "is_false")]
    pub skip_missing: bool,
}

impl TableOptions {
    fn is_default(&self) -> bool {
        *self == Self::default()
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde passes a reference")]
fn is_false(value: &bool) -> bool {
    !value
}

/// Which folders are the classes, if folders lie in folders.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassFolders {
    /// The folders in the data's folder, with all pictures below them.
    Top,
    /// The folders that hold pictures.
    Deepest,
}

/// How to treat classes whose names differ only in upper and lower case, blanks, or the way Unicode writes an accent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum ClassCase {
    /// They are one class.
    Merge,
    /// They are different classes.
    Keep,
}

/// A value that is none of the known words.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("expected {0}")]
pub struct UnknownWord(&'static str);

impl FromStr for ClassFolders {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "top" => Ok(Self::Top),
            "deepest" => Ok(Self::Deepest),
            _ => Err(UnknownWord("top or deepest")),
        }
    }
}

impl FromStr for ClassCase {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, Self::Err> {
        match word {
            "merge" => Ok(Self::Merge),
            "keep" => Ok(Self::Keep),
            _ => Err(UnknownWord("merge or keep")),
        }
    }
}

impl Default for DataOptions {
    fn default() -> Self {
        Self {
            val_fraction: 0.15,
            test_fraction: 0.15,
            validation_first: true,
            seed: 42,
            strict: false,
            classes: None,
            table: TableOptions::default(),
            class_folders: None,
            class_case: None,
            judging: false,
            threads: processors(),
            reading: Reading::default(),
            limits: DecodeLimits::default(),
        }
    }
}

impl DataOptions {
    /// How the pictures are decoded.
    pub(super) fn decode_options(&self) -> DecodeOptions {
        DecodeOptions {
            limits: self.limits,
            reading: self.reading,
        }
    }

    pub(super) fn check(&self) -> Result<(), DataError> {
        let (val, test) = (self.val_fraction, self.test_fraction);
        let valid = |fraction: f64| (0.0..1.0).contains(&fraction);
        if valid(val) && valid(test) && val + test < 1.0 {
            Ok(())
        } else {
            Err(DataError::Fractions { val, test })
        }
    }
}

/// The number of threads that run at the same time.
fn processors() -> usize {
    available_parallelism().map_or(1, usize::from)
}
