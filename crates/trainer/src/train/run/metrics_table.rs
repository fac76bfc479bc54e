//! `metrics.csv`: one row per epoch.

use std::path::Path;
use std::sync::{Arc, Mutex};

use super::Run;
use crate::judge::metrics::{EpochRow, write_epochs};
use crate::train::error::TrainError;
use crate::train::event::{Event, Observer};
use crate::train::folder::METRICS;

impl Run {
    /// The run's observer, which also writes `metrics.csv` after every epoch.
    pub(super) fn metrics_writer(&self) -> Observer {
        let observer = Arc::clone(&self.settings.observer);
        let path = self.folder.join(METRICS);
        let rows = Mutex::new(self.progress.rows.clone());
        Arc::new(move |event| {
            if let Event::Epoch { row, .. } = &event
                && let Ok(mut rows) = rows.lock()
            {
                rows.push(row.clone());
                if let Err(error) = write(&path, &rows) {
                    observer(Event::Warning(error.to_string()));
                }
            }
            observer(event);
        })
    }
}

fn write(path: &Path, rows: &[EpochRow]) -> Result<(), TrainError> {
    let mut text = Vec::new();
    write_epochs(&mut text, rows).map_err(TrainError::file(path))?;
    Ok(files::write(path, true, &text)?)
}
