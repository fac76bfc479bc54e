//! `steps.csv`: the loss of every step.

use std::fs::{self, File, OpenOptions};
use std::io::{self, BufWriter, Write};
use std::path::{Path, PathBuf};

use super::error::TrainError;

const HEAD: &str = "step,phase,epoch,learning_rate,loss";

/// The table of a run's steps.
pub(crate) struct StepLog {
    path: PathBuf,
    output: BufWriter<File>,
}

impl StepLog {
    /// Opens the table to continue after step `last`. Later rows are dropped, because their steps are repeated.
    pub fn open(path: &Path, last: u64) -> Result<Self, TrainError> {
        let kept: Vec<String> = match fs::read_to_string(path) {
            Ok(text) => text
                .lines()
                .skip(1)
                .take_while(|line| {
                    let step = line.split(',').next().and_then(|step| step.parse::<u64>().ok());
                    step.is_some_and(|step| step <= last)
                })
                .map(str::to_owned)
                .collect(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Vec::new(),
            Err(error) => return Err(TrainError::file(path)(error)),
        };
        let mut text = HEAD.to_owned();
        for line in &kept {
            text.push('\n');
            text.push_str(line);
        }
        text.push('\n');
        files::write(path, true, text.as_bytes())?;
        let file = OpenOptions::new()
            .append(true)
            .open(path)
            .map_err(TrainError::file(path))?;
        Ok(Self {
            path: path.to_owned(),
            output: BufWriter::new(file),
        })
    }

    /// Adds the row of a step.
    pub fn write(&mut self, step: u64, phase: &str, epoch: usize, rate: f64, loss: f32) -> Result<(), TrainError> {
        // A phase's name may hold any character; CSV doubles quotes.
        let phase = if phase.contains([',', '"', '\n']) {
            format!("\"{}\"", phase.replace('"', "\"\"").replace('\n', " "))
        } else {
            phase.to_owned()
        };
        writeln!(self.output, "{step},{phase},{epoch},{rate:e},{loss}").map_err(TrainError::file(&self.path))
    }

    /// Syncs all rows to the disk.
    pub fn sync(&mut self) -> Result<(), TrainError> {
        self.output
            .flush()
            .and_then(|()| self.output.get_ref().sync_data())
            .map_err(TrainError::file(&self.path))
    }
}
