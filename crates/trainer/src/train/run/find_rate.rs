//! The search for a learning rate.

use std::ops::ControlFlow;
use std::path::Path;

use burn::train::renderer::MetricsRenderer;

use super::Run;
use crate::data::Split;
use crate::plots;
use crate::train::error::TrainError;
use crate::train::finder::{self, FinderOptions, FoundRate, stopped};
use crate::train::folder::STEPS;
use crate::train::no_display::NoDisplay;
use crate::train::phase::End;
use crate::train::step_log::StepLog;

impl Run {
    /// Searches for a learning rate for the last phase: trains while the rate rises, and plots the loss. The earlier
    /// phases are trained first, because a network with a random head would suggest a rate for training the head. The
    /// run cannot be continued afterwards: give the search its own folder.
    ///
    /// # Errors
    ///
    /// [`TrainError`] as for training, or for a plot that cannot be written.
    pub fn find_rate(mut self, options: FinderOptions, plot: &Path) -> Result<FoundRate, TrainError> {
        let context = self.context();
        let mut steps = StepLog::open(&self.folder.join(STEPS), self.progress.step)?;
        let phases = self.file.recipe.phases.clone();
        let mut renderer: Box<dyn MetricsRenderer> = Box::new(NoDisplay);
        loop {
            let (number, is_last) = (self.progress.phase, self.progress.phase + 1 >= phases.len());
            let phase = phases.get(number).ok_or_else(stopped)?;
            let mut phase = phase.clone();
            if is_last {
                phase.batch_size = options.batch_size(self.dataset.count(Split::Train), phase.batch_size);
            }
            let ControlFlow::Continue(phase_run) = self.phase_run(&phase, &context, steps)? else {
                return Err(stopped());
            };
            if is_last {
                let found = finder::find(phase_run, options)?;
                plots::lr_finder(&found.curve, found.suggestion, plot)?;
                return Ok(found);
            }
            let end;
            (steps, renderer, end) = self.train_phase(phase_run, renderer)?;
            if end != End::Complete {
                return Err(stopped());
            }
        }
    }
}
