//! A learning-rate finder: records the loss while the rate rises (Smith 2017; fastai's `lr_find`).

use burn::data::dataloader::DataLoader;
use burn::train::TrainStep;

use super::error::TrainError;
use super::event::{Activity, Event};
use super::parameters::{clip, optimizer};
use super::phase::PhaseRun;
use crate::random::{Purpose, Random};
use crate::tensor::numbers;

/// The range of rates that a finder tries.
#[derive(Clone, Copy, Debug)]
pub struct FinderOptions {
    /// The first rate.
    pub from: f64,
    /// The last rate.
    pub to: f64,
    /// The number of steps from the first rate to the last.
    pub steps: usize,
}

impl Default for FinderOptions {
    /// From 1e-6 to 1 in 60 steps. fastai takes 100 steps from 1e-7 to 10. No network learns at the ends of that range.
    fn default() -> Self {
        Self {
            from: 1e-6,
            to: 1.0,
            steps: 60,
        }
    }
}

/// The search ends when the loss exceeds this multiple of the lowest loss. fastai's 4 needs many more steps.
const RISEN: f64 = 1.5;
/// The weight of the earlier losses in the smoothed loss, which is about the mean of the last ten steps. fastai's 0.98
/// smooths longer curves.
const SMOOTHING: f64 = 0.9;
/// The most epochs of a search, approximately.
const EPOCHS: usize = 1;
/// The fewest pictures per step.
const FEWEST: usize = 4;

/// The result of a finder.
#[derive(Clone, Debug, PartialEq)]
pub struct FoundRate {
    /// The rate and the smoothed loss of each step.
    pub curve: Vec<(f64, f64)>,
    /// The rate half way down the longest fall of the loss; `None` if the loss never falls.
    pub suggestion: Option<f64>,
}

/// Trains with a rising rate until the loss has risen.
pub(crate) fn find(phase_run: PhaseRun, options: FinderOptions) -> Result<FoundRate, TrainError> {
    let PhaseRun {
        context,
        phase,
        train,
        weights,
        ..
    } = phase_run;
    let mut trainee = weights.trainee;
    let mut optimizer = optimizer(&trainee, &phase);
    let mut smoothing = Smoothing::default();
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(options.steps);
    let mut epoch = 0;
    'all: loop {
        train.begin(epoch, 0);
        for batch in train.iter() {
            let step = curve.len();
            if context.interrupter.should_stop() {
                return Err(stopped());
            }
            if step == options.steps {
                break 'all;
            }
            let batch = batch.map_err(|error| TrainError::Stopped(error.to_string()))?;
            context.devices[0].seed(Random::new(context.seed, Purpose::Step, 0, step).seed());
            let rate = options.rate(step);
            let output = TrainStep::step(&trainee, batch);
            let loss = smoothing.add(f64::from(numbers(output.item.loss)[0]));
            let lowest = curve.iter().map(|point| point.1).fold(loss, f64::min);
            if !loss.is_finite() || (step > 10 && loss > RISEN * lowest) {
                break 'all;
            }
            curve.push((rate, loss));
            let mut gradients = output.grads;
            if let Some(longest) = phase.clip_norm {
                clip(&trainee, &mut gradients, longest);
            }
            trainee = trainee.optimize(&mut optimizer, rate.into(), gradients);
            (context.observer)(Event::Work {
                activity: Activity::RateSearch,
                done: curve.len(),
                total: options.steps,
            });
        }
        epoch += 1;
    }
    // As in fastai, the first tenth and the last five steps do not count.
    let counted = curve.get(options.steps / 10..curve.len().saturating_sub(5));
    let suggestion = counted.and_then(valley);
    Ok(FoundRate { curve, suggestion })
}

/// A partial curve suggests no rate.
pub(crate) fn stopped() -> TrainError {
    TrainError::Stopped("the search for a learning rate was interrupted, so there is no suggestion".to_owned())
}

impl FinderOptions {
    /// The pictures per step, for a phase with `batch_size`. The search then takes about one epoch.
    pub(crate) fn batch_size(self, pictures: usize, batch_size: usize) -> usize {
        (EPOCHS * pictures / self.steps.max(1)).max(FEWEST).min(batch_size)
    }

    /// The rate of a step. Rates are evenly spaced on a logarithmic scale from the first to the last.
    fn rate(&self, step: usize) -> f64 {
        let part = step as f64 / (self.steps - 1).max(1) as f64;
        self.from * (self.to / self.from).powf(part)
    }
}

/// An exponential moving average, corrected for the bias of its start.
#[derive(Default)]
struct Smoothing {
    average: f64,
    count: f64,
}

impl Smoothing {
    fn add(&mut self, value: f64) -> f64 {
        self.average = SMOOTHING * self.average + (1.0 - SMOOTHING) * value;
        self.count += 1.0;
        self.average / (1.0 - SMOOTHING.powf(self.count))
    }
}

/// fastai's `valley` (`callback/schedule.py`): the rate half way through the longest falling subsequence of the losses.
/// Of equally long subsequences, the first counts.
fn valley(curve: &[(f64, f64)]) -> Option<f64> {
    let mut length = vec![1_usize; curve.len()];
    for end in 1..curve.len() {
        for start in 0..end {
            if curve[end].1 < curve[start].1 && length[end] < length[start] + 1 {
                length[end] = length[start] + 1;
            }
        }
    }
    let (end, &longest) = length.iter().enumerate().rev().max_by_key(|(_, length)| **length)?;
    (longest >= 3).then(|| curve[end + longest / 3 + longest / 6 - longest].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_search_takes_about_an_epoch() {
        let options = FinderOptions::default();
        assert_eq!(options.batch_size(210, 16), 4);
        assert_eq!(options.batch_size(600, 16), 10);
        assert_eq!(options.batch_size(600, 2), 2);
        assert_eq!(options.batch_size(1_000_000, 32), 32);
    }

    /// fastai's own function gives these places for these curves.
    #[test]
    fn the_suggestion_is_fastai_s() {
        for (wobble, expected) in [(0.02, 51), (0.1, 58)] {
            // Flat to 1e-4, falling to 1e-1, then rising.
            let curve: Vec<(f64, f64)> = (0..100)
                .map(|step| {
                    let rate = 1e-7 * 10_f64.powf(f64::from(step) * 8.0 / 99.0);
                    let height = (rate.log10() + 4.0).clamp(0.0, 3.0);
                    let rise = 3.0 * (rate.log10() + 1.0).max(0.0);
                    (rate, 2.0 - 0.5 * height + rise + wobble * f64::from(7 * step).sin())
                })
                .collect();
            assert_eq!(valley(&curve[10..95]), Some(curve[expected].0), "{wobble}");
        }
        let points = |losses: &[f64]| (0..).map(f64::from).zip(losses.iter().copied()).collect::<Vec<_>>();
        let twice = points(&[5.0, 4.0, 3.0, 2.0, 9.0, 8.0, 7.0, 6.0]);
        assert_eq!(valley(&twice), Some(0.0), "the first fall");
        assert_eq!(valley(&points(&[1.0, 2.0, 1.5])), None);
        assert_eq!(valley(&[]), None);
    }
}
