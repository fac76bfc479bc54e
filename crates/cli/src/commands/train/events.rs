//! The events of a training, for people.

use std::sync::{Arc, Mutex, PoisonError};

use trainer::data::Split;
use trainer::report::duration;
use trainer::{Activity, Estimate, Event, Observer, PhaseEstimate};

use crate::commands::train::display::Display;
use crate::commands::train::table;
use crate::interrupt;
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
    /// The seconds of an epoch: measured before the run, later the time of the last epoch.
    epoch: Option<f64>,
}

/// What the observer knows of the run.
#[derive(Default)]
struct Watched {
    phase: Phase,
    estimate: Option<Estimate>,
    /// The number of the phase that runs or runs next.
    number: usize,
}

/// Shows each event on the display.
pub fn observer(display: &Arc<Display>) -> Observer {
    let display = Arc::clone(display);
    let watched = Mutex::new(Watched::default());
    Arc::new(move |event| {
        if let Event::Work {
            activity: Activity::Check,
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
            Event::Work { activity, done, total } => {
                match activity {
                    Activity::Measurement | Activity::Predictions(_) | Activity::HeatMaps | Activity::Report => {
                        interrupt::set_unsaved(false);
                    }
                    Activity::Features(_) => interrupt::set_unsaved(true),
                    _ => {}
                }
                let name = self.activity_name(activity);
                display.set_after(self.after(activity));
                display.advance(&name, self.expected(activity), (done, total), "");
            }
            Event::Estimate(estimate) => {
                display.print_last(&estimated(&estimate));
                self.number = estimate.phases.first().map_or(0, |phase| phase.number);
                self.estimate = Some(estimate);
            }
            Event::Phase {
                number,
                name,
                epochs,
                done,
                averages,
            } => {
                interrupt::set_unsaved(true);
                let epoch = self.phase_estimate(number).map(|phase| phase.epoch);
                let from = match done {
                    0 => String::new(),
                    done => format!(", {done} of them done"),
                };
                let epochs_text = if epochs == 1 {
                    "1 epoch".to_owned()
                } else {
                    format!("up to {epochs} epochs")
                };
                display.print_last(&format!("\nphase {} {name}: {epochs_text}{from}", number + 1));
                display.print(&table::header(averages));
                self.number = number;
                self.phase = Phase {
                    name,
                    epochs,
                    averages,
                    done,
                    epoch,
                };
            }
            Event::Step { done, total, loss, .. } => {
                let phase = &self.phase;
                let name = format!("{}, epoch {} of {}", phase.name, phase.done + 1, phase.epochs);
                let epochs = phase.epochs.saturating_sub(phase.done + 1) as f64;
                display.set_after(
                    self.later(self.number + 1)
                        .zip(phase.epoch)
                        .map(|(later, epoch)| later + epochs * epoch),
                );
                display.advance(&name, phase.epoch, (done, total), &format!("loss {loss:.3}"));
            }
            Event::Epoch { number, row, best } => {
                self.phase.done = number;
                self.phase.epoch = Some(row.seconds);
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
                self.number += 1;
                let best = best
                    .filter(|_| epochs > 1)
                    .map_or_else(String::new, |best| format!("; its best epoch is {best}"));
                let text = match patience {
                    None if epochs == 1 => format!("phase {name} ends after its epoch"),
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

    fn activity_name(&self, activity: Activity) -> String {
        let phase = &self.phase;
        match activity {
            Activity::Measurement => "measuring the time of a step".to_owned(),
            Activity::Features(split) => format!("features of {} pictures", pictures(split)),
            Activity::RateSearch => "trying learning rates".to_owned(),
            Activity::Saving => "saving".to_owned(),
            Activity::Validation => format!("validation of epoch {}", phase.done + 1),
            Activity::AverageValidation => format!("averaged weights of epoch {}", phase.done + 1),
            Activity::Predictions(split) => format!("predicting the {} pictures", pictures(split)),
            Activity::HeatMaps => "heat maps for the report".to_owned(),
            Activity::Report => "writing the report".to_owned(),
            _ => "working".to_owned(),
        }
    }

    /// The seconds of an activity, where they were measured before.
    fn expected(&self, activity: Activity) -> Option<f64> {
        match activity {
            Activity::Features(Split::Train) => self.phase_estimate(self.number).map(|phase| phase.features),
            _ => None,
        }
    }

    /// The seconds of the run after an activity, where they can be known.
    fn after(&self, activity: Activity) -> Option<f64> {
        match activity {
            Activity::Features(Split::Train) => {
                let phase = self.phase_estimate(self.number)?;
                Some(phase.epochs as f64 * phase.epoch + self.later(self.number + 1)?)
            }
            Activity::Validation | Activity::AverageValidation => {
                let epochs = self.phase.epochs.saturating_sub(self.phase.done + 1) as f64;
                Some(epochs * self.phase.epoch? + self.later(self.number + 1)?)
            }
            _ => None,
        }
    }

    /// The seconds of the phases from this one on, and of the evaluation and the report.
    fn later(&self, number: usize) -> Option<f64> {
        let estimate = self.estimate.as_ref()?;
        let phases = estimate.phases.iter().filter(|phase| phase.number >= number);
        Some(phases.map(PhaseEstimate::total).sum::<f64>() + estimate.end)
    }

    fn phase_estimate(&self, number: usize) -> Option<&PhaseEstimate> {
        self.estimate
            .as_ref()?
            .phases
            .iter()
            .find(|phase| phase.number == number)
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
    if estimate.end >= 1.0 {
        parts.push(format!("evaluation and report {}", duration(estimate.end)));
    }
    let total = duration(estimate.total().max(1.0));
    if parts.is_empty() {
        return format!("time      about {total} at most");
    }
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
