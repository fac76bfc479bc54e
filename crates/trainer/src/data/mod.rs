//! Labelled pictures: found, checked and split before training.
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
//!   folders `train`, `val` (or `valid`, `validation`) and `test`, or `seg_train`, `val_data` and the like, the
//!   classes' folders are inside them; or each class's folder holds them. Folders in folders that can be read in two
//!   ways are refused, and [`ClassFolders`] decides.
//! * A `.csv` or `.tsv` file with the columns `path`, `label` and optionally `split` (`train`, `val` or `test`); other
//!   usual names are known, and [`TableOptions`] gives any others. More columns are ignored, with a note. Paths are
//!   relative to the file. If the column is called `labels`, a picture may have any number of labels, separated by `;`
//!   or `|`.
//!
//! Pictures without a given split are split by a seed, each class in the same proportions. Files with the same pixels
//! go to the same split, because the network would know the answer for a copy of a training picture.
//!
//! Classes are in the order of their names' bytes, so `10` comes before `2`. Keras's `image_dataset_from_directory` and
//! torchvision's `ImageFolder` use the same order, and so do networks trained with them.

mod assign;
mod balance;
mod check;
mod columns;
mod conversion;
mod dataset;
mod delimiter;
mod error;
mod folders;
mod known;
mod layout;
mod listing;
mod one_hot;
mod open;
mod options;
mod pictures;
mod read;
mod report;
mod scan;
mod spelling;
mod split;
mod table;
mod text;

pub(crate) use balance::balanced_order;
pub use balance::class_weights;
pub use dataset::{Dataset, Sample};
pub use error::DataError;
pub use files::ContentHash;
pub(crate) use known::Known;
pub use options::{ClassCase, ClassFolders, DataOptions, TableOptions, UnknownWord};
pub(crate) use read::{decoder_failure, read_file};
pub use report::{Alike, ClassCount, DataReport, Member, Range, Sizes, Unreadable};
pub(crate) use spelling::spelling;
pub use split::Split;
pub use table::pictures_of_table;
