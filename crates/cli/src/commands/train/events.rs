//! The events of a training, for people.

use std::sync::{Arc, Mutex, PoisonError};

use trainer::data::Split;
use trainer::report::duration;
use trainer::{Estimate, Event, Observer, PhaseEstimate, Stage};

use crate::commands::train::display::Display;
use crate::commands::train::table;
use crate::io::wrap::wrapped;

/// Of epochs shorter than this many seconds, only every tenth is printed: those of kept features take milliseconds.
const SHORT_EPOCH: f64 = 0.5;

/// The phase that runs.
#[derive(Default)]
struct Phase {
    name: String,
    epochs: usize,
    averages: bool,
    /// Epochs that are complete.
    done: usize,
    estimate: Option<PhaseEstimate>,
}

/// What the observer knows of the run.
#[derive(Default)]
struct Watched {
    phase: Phase,
    estimate: Option<Estimate>,
}

/// Shows each event on the display.
pub fn observer(display: &Arc<Display>) -> Observer {
    let display = Arc::clone(display);
    let watched = Mutex::new(Watched::default());
    Arc::new(move |event| {
        if let Event::Work {
            stage: Stage::Check,
            done,
            total,
        } = event
        {
            display.check(done, total);
            return;
        }
        let mut watched = watched.lock().unwrap_or_else(PoisonError::into_inner);
        watched.receive(event, &display);
    })
}

impl Watched {
    fn receive(&mut self, event: Event, display: &Display) {
        match event {
            Event::Work { stage, done, total } => {
                let name = self.stage_name(stage);
                display.advance(&name, self.expected(stage), (done, total), "");
            }
            Event::Estimate(estimate) => {
                display.print_last(&estimated(&estimate));
                self.estimate = Some(estimate);
            }
            Event::Phase {
                number,
                name,
                epochs,
                done,
                averages,
            } => {
                let phases = self.estimate.iter().flat_map(|estimate| &estimate.phases);
                let estimate = phases.into_iter().find(|phase| phase.number == number).cloned();
                let from = match done {
                    0 => String::new(),
                    done => format!(", {done} of them done"),
                };
                display.print_last(&format!("\nphase {} {name}: up to {epochs} epochs{from}", number + 1));
                display.print(&table::header(averages));
                self.phase = Phase {
                    name,
                    epochs,
                    averages,
                    done,
                    estimate,
                };
            }
            Event::Step { done, total, loss, .. } => {
                let phase = &self.phase;
                let name = format!("{}, epoch {} of {}", phase.name, phase.done + 1, phase.epochs);
                let expected = phase.estimate.as_ref().map(|phase| phase.epoch);
                display.advance(&name, expected, (done, total), &format!("loss {loss:.3}"));
            }
            Event::Epoch { number, row, best } => {
                self.phase.done = number;
                let is_last = number == self.phase.epochs;
                if row.seconds >= SHORT_EPOCH || number % 10 == 0 || number == 1 || is_last {
                    display.print(&table::row(number, self.phase.epochs, &row, best, self.phase.averages));
                }
            }
            Event::PhaseEnd {
                name,
                epochs,
                patience,
                best,
            } => {
                let best = best.map_or_else(String::new, |best| format!("; its best epoch is {best}"));
                let text = match patience {
                    Some(patience) => {
                        let reason = format!("no lower validation loss for {patience} epochs");
                        format!("phase {name} ends after epoch {epochs}: {reason}{best}")
                    }
                    None => format!("phase {name} ends after all {epochs} epochs{best}"),
                };
                display.print_last(&wrapped(&text, 2));
            }
            Event::Warning(text) => display.print(&wrapped(&format!("warning: {text}"), 9)),
            _ => {}
        }
    }

    fn stage_name(&self, stage: Stage) -> String {
        let phase = &self.phase;
        match stage {
            Stage::Measurement => "measuring the time of a step".to_owned(),
            Stage::Features(split) => format!("features of the {} pictures", pictures(split)),
            Stage::RateSearch => "trying learning rates".to_owned(),
            Stage::Saving => "saving".to_owned(),
            Stage::Validation => format!("validation of epoch {}", phase.done + 1),
            Stage::AverageValidation => format!("the same, averaged weights ({})", phase.done + 1),
            Stage::Predictions(split) => format!("predicting the {} pictures", pictures(split)),
            Stage::HeatMaps => "heat maps for the report".to_owned(),
            Stage::Report => "writing the report".to_owned(),
            _ => "working".to_owned(),
        }
    }

    /// The seconds of a stage, where they were measured before.
    fn expected(&self, stage: Stage) -> Option<f64> {
        let estimate = self.estimate.as_ref()?;
        match stage {
            Stage::Features(Split::Train) => estimate.phases.first().map(|phase| phase.features),
            _ => None,
        }
    }
}

/// What a run will take: the phases and the end.
fn estimated(estimate: &Estimate) -> String {
    let mut parts: Vec<String> = Vec::new();
    for phase in &estimate.phases {
        if phase.features >= 1.0 {
            parts.push(format!("features {}", duration(phase.features)));
        }
        if phase.epoch >= 1.0 {
            let each = if phase.epochs == 1 {
                "1 epoch of".to_owned()
            } else {
                format!("{} epochs of", phase.epochs)
            };
            parts.push(format!("{each} {}", duration(phase.epoch)));
        }
    }
    parts.push(format!("evaluation and report {}", duration(estimate.end)));
    let total = duration(estimate.total());
    wrapped(&format!("time      about {total} at most: {}", parts.join(", ")), 10)
}

/// The kind of a split's pictures.
pub fn pictures(split: Split) -> &'static str {
    match split {
        Split::Train => "training",
        Split::Val => "validation",
        Split::Test => "test",
    }
}
