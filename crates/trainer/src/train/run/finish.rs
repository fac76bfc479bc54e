//! The end of a run: its last and best weights, their evaluation, the card and the report.

use std::time::Instant;

use burn::module::Module;
use xception_model::Network;

use super::Run;
use super::judge::{Judged, Judgement};
use crate::judge::metrics::{Evaluation, Temperature};
use crate::train::calibrate::with_temperature;
use crate::train::card;
use crate::train::error::TrainError;
use crate::train::event::{Activity, Event};
use crate::train::folder::{self, EMA_MODEL, LAST_MODEL, MODEL};
use crate::train::outcome::{ActivityTime, Outcome};
use crate::train::phase::End;
use crate::train::run_file::now;

/// Activities besides the phases are listed if they take at least this many seconds.
const SHORTEST_ACTIVITY: f64 = 1.0;

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
            temperature: None,
            suspects: 0,
            times: self.activity_times(),
            model: self.best(),
            progress: self.progress,
        }
    }

    /// Writes and evaluates the best weights.
    fn finish(self, time_up: bool) -> Result<Outcome, TrainError> {
        let mut model = self.best();
        let start = Instant::now();
        let mut judged = match self.judge(&model)? {
            Judgement::Done(judged) => Some(*judged),
            Judgement::NoPictures => None,
            Judgement::Stopped => return Ok(self.stopped()),
        };
        let temperature = judged.as_ref().and_then(|judged| judged.temperature);
        let temperature = temperature.map(|temperature| (temperature, self.settings.calibrate && temperature.helps()));
        if let (Some((Temperature { value, .. }, true)), Some(judged)) = (temperature, &mut judged) {
            model = with_temperature(model, value).map_err(|problem| TrainError::run(&self.folder, problem))?;
            self.judge_again(&model, judged)?;
        }
        xception_model::save(&model, &self.file.model, &self.folder.join(MODEL), true)?;
        let mut times = self.activity_times();
        times.push(ActivityTime::since("evaluation", start));
        let start = Instant::now();
        if let Some(judged) = &judged {
            self.write_report(&model, judged, temperature.is_some_and(|(_, stored)| stored), &times)?;
            times.push(ActivityTime::since("report", start));
        }
        let figures = judged.as_ref().map(|judged| (judged.split, &judged.evaluation));
        card::write(&self.folder, &self.file, &model, figures, temperature, now())?;
        if !time_up && !self.settings.keep_checkpoints {
            self.discard();
        }
        let suspects = judged.as_ref().map_or(0, |judged| judged.suspects.len());
        let (evaluation, predictions) = judged
            .map(|judged| ((judged.split, judged.evaluation), judged.predictions))
            .unzip();
        Ok(Outcome {
            complete: true,
            time_up,
            evaluation,
            predictions,
            temperature,
            suspects,
            times,
            model,
            progress: self.progress,
        })
    }

    /// The figures for the same pictures, from a network with another last layer.
    fn judge_again(&self, model: &Network, judged: &mut Judged) -> Result<(), TrainError> {
        judged.predictions = self.predictions(model, judged.split, &judged.embeddings)?;
        judged.evaluation =
            Evaluation::new(&judged.predictions).map_err(|error| TrainError::run(&self.folder, error.to_string()))?;
        Ok(())
    }

    /// Removes the files that a finished run does not need: the run can't be resumed afterwards. A failure is a
    /// warning, because the run is complete.
    fn discard(&self) {
        if let Err(error) = folder::discard(&self.folder) {
            let warning = format!("{}: its checkpoints cannot be removed: {error}", self.folder.display());
            (self.settings.observer)(Event::Warning(warning));
        }
    }

    /// The time of each finished activity.
    fn activity_times(&self) -> Vec<ActivityTime> {
        let mut times = Vec::new();
        if self.progress.feature_seconds > 0.0 {
            times.push(ActivityTime {
                name: "features".to_owned(),
                seconds: self.progress.feature_seconds,
            });
        }
        for rows in self.progress.rows.chunk_by(|a, b| a.phase == b.phase) {
            if let Some(first) = rows.first() {
                times.push(ActivityTime {
                    name: first.phase.clone(),
                    seconds: rows.iter().map(|row| row.seconds).sum(),
                });
            }
        }
        let listed: f64 = times.iter().map(|time| time.seconds).sum();
        let other = self.progress.seconds - listed;
        if other >= SHORTEST_ACTIVITY {
            times.push(ActivityTime {
                name: "measurement and saving".to_owned(),
                seconds: other,
            });
        }
        times
    }

    /// The network with the best weights, or with the last weights if none were validated.
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

    /// Reports an activity to the observer.
    pub(super) fn tell(&self, activity: Activity, done: usize, total: usize) {
        (self.settings.observer)(Event::Work { activity, done, total });
    }
}
