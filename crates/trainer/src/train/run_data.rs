use std::path::Path;

use super::error::TrainError;
use super::event::{Activity, Event, Observer};
use crate::data::{DataOptions, DataReport, Dataset, Known};

/// The checked pictures of a new run. Problems of the data are found before anything else is loaded.
pub struct RunData {
    pub(crate) dataset: Dataset,
    pub(crate) report: DataReport,
    pub(crate) known: Known,
}

impl RunData {
    /// Opens, checks and splits the pictures.
    ///
    /// # Errors
    ///
    /// [`TrainError::Data`].
    pub fn open(data: &Path, options: &DataOptions, observer: &Observer) -> Result<Self, TrainError> {
        let (dataset, report, known) = Dataset::open_known(data, options, &Known::default(), &|done, total| {
            observer(Event::Work {
                activity: Activity::Check,
                done,
                total,
            });
        })?;
        dataset.check_held_out(options)?;
        Ok(Self { dataset, report, known })
    }

    /// The pictures.
    pub fn dataset(&self) -> &Dataset {
        &self.dataset
    }

    /// The counts and problems of the pictures.
    pub fn report(&self) -> &DataReport {
        &self.report
    }
}
