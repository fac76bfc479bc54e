//! The figures that `xception evaluate` prints, computed from predictions and true classes.
//!
//! Every figure follows scikit-learn's definition of the same name; `tests/report.rs` compares them. The expected
//! calibration error follows Guo et al. 2017 (arXiv 1706.04599).

mod calibration;
mod epoch;
mod evaluation;
mod interval;
mod mistakes;
mod predictions;
mod scores;
mod suspects;
mod tables;
mod temperature;

pub use calibration::{Bin, Calibration};
pub use epoch::{EpochRow, read_epochs, write_epochs};
pub use evaluation::{ConfusedPair, Evaluation, Task};
pub use interval::interval;
pub use mistakes::Mistake;
pub use predictions::{MetricsError, Predictions};
pub use scores::{ClassScore, Score};
pub use suspects::{Suspect, suspects, write_suspects};
pub use tables::{write_class_table, write_predictions};
pub use temperature::Temperature;
