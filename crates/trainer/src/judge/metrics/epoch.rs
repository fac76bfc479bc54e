use std::fs::File;
use std::io::{self, Write};
use std::path::Path;

use serde::{Deserialize, Serialize};

/// One epoch of a training run: a row of `metrics.csv`.
///
/// A value that was not measured is `None` here and an empty field in the file.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EpochRow {
    /// The epoch's number, counted from 1 through all phases.
    pub epoch: usize,
    /// The name of the phase.
    pub phase: String,
    /// Steps since the run started.
    pub step: usize,
    /// The learning rate of the last step: the largest among the groups of layers.
    pub learning_rate: f64,
    /// The mean loss over the epoch's batches during training.
    pub train_loss: f64,
    /// The share of the epoch's pictures that was predicted correctly; `None` if mixing makes the share meaningless.
    pub train_accuracy: Option<f64>,
    /// The mean loss on the validation pictures.
    pub val_loss: Option<f64>,
    /// The share of the validation pictures that was predicted correctly.
    pub val_accuracy: Option<f64>,
    /// The validation loss of the averaged weights.
    pub ema_val_loss: Option<f64>,
    /// The validation accuracy of the averaged weights.
    pub ema_val_accuracy: Option<f64>,
    /// The time of the epoch, with validation.
    pub seconds: f64,
    /// The share of the training time in which the step waited for pictures, 0 to 1.
    pub wait_share: f64,
    /// The share of the training time outside steps and waiting, 0 to 1: copying batches, metrics, tables, display.
    pub overhead_share: f64,
}

/// Writes `metrics.csv`.
///
/// # Errors
///
/// The error of the writer.
pub fn write_epochs(output: impl Write, rows: &[EpochRow]) -> io::Result<()> {
    let mut writer = csv::Writer::from_writer(output);
    for row in rows {
        writer.serialize(row).map_err(io::Error::other)?;
    }
    writer.flush()
}

/// Reads `metrics.csv`.
///
/// # Errors
///
/// The file cannot be read, or is not such a table; the message names the line.
pub fn read_epochs(path: &Path) -> io::Result<Vec<EpochRow>> {
    let problem = |error: csv::Error| io::Error::other(format!("{}: {error}", path.display()));
    let mut reader = csv::Reader::from_reader(File::open(path)?);
    reader.deserialize().map(|row| row.map_err(problem)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_come_back_as_they_were() {
        let rows = [
            EpochRow {
                epoch: 1,
                phase: "head".to_owned(),
                step: 12,
                learning_rate: 1e-3,
                train_loss: 1.0 / 3.0,
                train_accuracy: None,
                val_loss: Some(0.1),
                val_accuracy: Some(1.0),
                seconds: 2.5,
                wait_share: 0.01,
                overhead_share: 0.001,
                ..EpochRow::default()
            },
            EpochRow {
                epoch: 2,
                phase: "a, \"b\"".to_owned(),
                ema_val_loss: Some(1e-9),
                ..EpochRow::default()
            },
        ];
        let file = tempfile::NamedTempFile::new().unwrap();
        write_epochs(file.as_file(), &rows).unwrap();
        assert_eq!(read_epochs(file.path()).unwrap(), rows);
        let text = std::fs::read_to_string(file.path()).unwrap();
        assert!(
            text.starts_with("epoch,phase,step,learning_rate,train_loss,train_accuracy,val_loss,"),
            "{text}"
        );

        std::fs::write(file.path(), text.replace("head", "head,1")).unwrap();
        let error = read_epochs(file.path()).unwrap_err().to_string();
        assert!(error.contains("line: 2"), "{error}");
    }
}
