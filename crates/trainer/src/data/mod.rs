//! Labelled pictures: found, checked and split before a training starts.
//!
//! ```no_run
//! use trainer::data::{DataOptions, Dataset, Split};
//!
//! let (dataset, report) = Dataset::open("flowers", &DataOptions::default())?;
//! println!("{report}");
//! assert!(dataset.count(Split::Train) > 0);
//! # Ok::<(), trainer::data::DataError>(())
//! ```
//!
//! Two layouts are read:
//!
//! * A folder with one folder per class. All pictures below a class's folder belong to the class. Where there are
//!   folders `train`, `val` (or `valid`, `validation`) and `test`, the classes' folders are inside them.
//! * A `.csv` file with the columns `path`, `label` and optionally `split` (`train`, `val` or `test`). Other columns
//!   are ignored, with a note. Paths are relative to the file. Several labels in one cell are separated by `;` or `|`.
//!   Then, or if the column is called `labels`, a picture may have any number of labels.
//!
//! Pictures without a given split are split by a seed, each class in the same proportions. Files with the same content
//! go to the same split, because a copy in another split would give the answer away.
//!
//! Classes are in the order of their names' bytes, so that `10` comes before `2`: the order of Keras's
//! `image_dataset_from_directory` and of torchvision's `ImageFolder`, and thus of networks trained by them.

mod assign;
mod balance;
mod check;
mod dataset;
mod error;
mod formats;
mod known;
mod listing;
mod open;
mod options;
mod read;
mod report;
mod scan;
mod split;
mod table;
mod text;

pub(crate) use balance::balanced_order;
pub use balance::class_weights;
pub use dataset::{Dataset, Sample};
pub use error::DataError;
pub use files::ContentHash;
pub use formats::EXTENSIONS;
pub(crate) use known::Known;
pub use listing::pictures_of_table;
pub use options::DataOptions;
pub(crate) use read::{decoder_failure, read_file};
pub use report::{Alike, ClassCount, DataReport, Member, Range, Sizes, Unreadable};
pub use split::Split;
