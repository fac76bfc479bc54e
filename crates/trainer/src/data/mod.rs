//! A labelled set of pictures: found, checked and split before anything is trained on it.
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
//! * A folder with a folder a class; everything below a class's folder belongs to it. If there are `train`, `val` (or
//!   `valid`, `validation`) and `test` folders, the classes' folders are inside them.
//! * A `.csv` file with columns `path`, `label` and, if wanted, `split` (`train`, `val` or `test`); others are ignored, with
//!   a note. Paths are relative to the file. Several labels in one cell are separated by `;` or `|`, and then, or if the
//!   column is called `labels`, a picture may have any number of them.
//!
//! What is not split already is split by a seed, each class in the same proportions. There, files of one content go to
//! one side together: a copy in another folder would otherwise give the answer away.
//!
//! Classes are in the order of their names' bytes, so that `10` comes before `2`: the order of Keras's
//! `image_dataset_from_directory` and of torchvision's `ImageFolder`, and thus of networks trained by them.

mod balance;
mod check;
mod dataset;
mod error;
mod known;
mod listing;
mod options;
mod read;
mod report;
mod scan;
mod split;
mod table;

pub(crate) use balance::balanced_order;
pub use balance::class_weights;
pub use dataset::{Dataset, Sample, Split};
pub use error::DataError;
pub use files::ContentHash;
pub(crate) use known::Known;
pub use options::DataOptions;
pub(crate) use read::{decoder_failure, read_file};
pub use report::{Alike, ClassCount, DataReport, Member, Range, Sizes, Unreadable};
pub use scan::EXTENSIONS;
