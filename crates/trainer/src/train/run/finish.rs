//! The end of a run: its last and best weights, their evaluation, the card and the report.

use burn::module::Module;
use xception_model::Network;

use super::Run;
use crate::data::Split;
use crate::judge::metrics::Evaluation;
use crate::train::card;
use crate::train::error::TrainError;
use crate::train::folder::{EMA_MODEL, LAST_MODEL, MODEL};
use crate::train::outcome::Outcome;
use crate::train::phase::End;
use crate::train::run_file::now;

impl Run {
    /// The outcome of a run whose training ended.
    pub(super) fn end(self, end: End) -> Result<Outcome, TrainError> {
        match end {
            End::Complete => self.finish(false),
            End::TimeUp => {
                self.save_last()?;
                self.finish(true)
            }
            End::Stopped => Ok(self.stopped()),
        }
    }

    fn stopped(self) -> Outcome {
        Outcome {
            complete: false,
            time_up: false,
            evaluation: None,
            predictions: None,
            model: self.best(),
            progress: self.progress,
        }
    }

    /// Writes and judges the best weights.
    fn finish(self, time_up: bool) -> Result<Outcome, TrainError> {
        let model = self.best();
        let split = match self.dataset.count(Split::Test) {
            0 => Split::Val,
            _ => Split::Test,
        };
        xception_model::save(&model, &self.file.model, &self.folder.join(MODEL), true)?;
        let (mut evaluation, mut predictions) = (None, None);
        if self.dataset.count(split) > 0 {
            let Some(predicted) = self.predict(&model, split)? else {
                return Ok(self.stopped());
            };
            let judged =
                Evaluation::new(&predicted).map_err(|error| TrainError::run(&self.folder, error.to_string()))?;
            self.write_report(&model, split, &judged, &predicted)?;
            evaluation = Some((split, judged));
            predictions = Some(predicted);
        }
        let figures = evaluation.as_ref().map(|(split, judged)| (*split, judged));
        card::write(&self.folder, &self.file, &model, figures, now())?;
        Ok(Outcome {
            complete: true,
            time_up,
            evaluation,
            predictions,
            model,
            progress: self.progress,
        })
    }

    /// The network with the best weights; the last ones where none were validated.
    fn best(&self) -> Network {
        let best = self.weights.best.clone();
        best.unwrap_or_else(|| self.weights.trainee.network.valid())
    }

    /// Writes the last weights and their average.
    pub(super) fn save_last(&self) -> Result<(), TrainError> {
        let save = |network: &Network, name: &str| {
            xception_model::save(network, &self.file.model, &self.folder.join(name), true)
        };
        save(&self.weights.trainee.network.valid(), LAST_MODEL)?;
        if let Some(ema) = &self.weights.ema {
            save(ema.network(), EMA_MODEL)?;
        }
        Ok(())
    }
}
