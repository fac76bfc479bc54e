//! The report on a data set, for the user who trains on it.

mod describe;
mod display;

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::split::Split;
pub(super) use describe::{Described, describe};

/// Counts, sizes, and the problems that may spoil results from this data.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct DataReport {
    /// The folder or table.
    pub root: PathBuf,
    /// Whether a picture may have any number of labels.
    pub multi_label: bool,
    /// How the pictures were split, as a phrase ("split by its folders", "split by seed 42").
    pub split_by: String,
    /// The number of pictures of each split.
    pub total: ClassCount,
    /// The number of pictures of each class in each split, in the order of the labels.
    pub classes: Vec<ClassCount>,
    /// Sizes in pixels.
    pub sizes: Sizes,
    /// Files that are left out because they cannot be decoded.
    pub unreadable: Vec<Unreadable>,
    /// Pictures that were decoded with a warning, without pictures that an earlier check lists.
    #[serde(default)]
    pub doubtful: Vec<Unreadable>,
    /// Groups of files with the same pixels.
    pub duplicates: Vec<Alike>,
    /// Groups with files in several splits, which make results look better than they are.
    pub leaking: Vec<Alike>,
    /// Groups with different labels, at least one of which is wrong.
    pub conflicting: Vec<Alike>,
    /// Other unusual things, one sentence each.
    pub warnings: Vec<String>,
}

/// The number of pictures of a class in each split.
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

/// The extremes and the median of some numbers.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Range {
    /// The smallest.
    pub min: u32,
    /// The median.
    pub median: u32,
    /// The largest.
    pub max: u32,
}

/// A file that cannot be decoded.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unreadable {
    /// The path in the data set.
    pub name: String,
    /// The reason.
    pub reason: String,
}

/// Files with the same pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Alike {
    /// Two or more files.
    pub files: Vec<Member>,
}

/// One of several files with the same pixels.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    /// The path in the data set.
    pub name: String,
    /// The file's classes.
    pub labels: Vec<String>,
    /// The file's split.
    pub split: Split,
}
