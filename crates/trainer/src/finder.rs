//! A learning-rate finder: the loss while the rate rises (Smith 2017; fastai's `lr_find`).

use burn::data::dataloader::DataLoader;

use crate::engine::{Event, Shared, Work};
use crate::error::TrainError;
use crate::feed::numbers;
use crate::layers;
use crate::random::{Purpose, Random};
use burn::train::TrainStep;

/// How a finder's rates run.
#[derive(Clone, Copy, Debug)]
pub struct FinderOptions {
    /// The first rate.
    pub from: f64,
    /// The last rate.
    pub to: f64,
    /// Steps between them.
    pub steps: usize,
}

impl Default for FinderOptions {
    /// From 1e-7 to 10 in 100 steps, as fastai.
    fn default() -> Self {
        Self {
            from: 1e-7,
            to: 10.0,
            steps: 100,
        }
    }
}

/// What a finder saw.
#[derive(Clone, Debug, PartialEq)]
pub struct Found {
    /// Rate and smoothed loss of each step.
    pub curve: Vec<(f64, f64)>,
    /// The rate half way down the longest fall of the loss, if there is one.
    pub suggestion: Option<f64>,
}

/// Trains while the rate rises, until the loss is four times the lowest.
pub(crate) fn find(mut work: Work, shared: &Shared, options: FinderOptions) -> Result<Found, TrainError> {
    let mut optimizer = layers::optimizer(&work.weights.trainee, &work.phase);
    let mut average = 0.0;
    let mut curve: Vec<(f64, f64)> = Vec::with_capacity(options.steps);
    let mut epoch = 0;
    'all: loop {
        work.train.begin(epoch, 0);
        for batch in work.train.iter() {
            let step = curve.len();
            if step == options.steps || shared.interrupter.should_stop() {
                break 'all;
            }
            let batch = batch.map_err(|error| TrainError::Engine(error.to_string()))?;
            shared.devices[0].seed(Random::new(shared.seed, Purpose::Step, 0, step).seed());
            let part = step as f64 / (options.steps - 1).max(1) as f64;
            let rate = options.from * (options.to / options.from).powf(part);
            let output = TrainStep::step(&work.weights.trainee, batch);
            let loss = f64::from(numbers(output.item.loss)[0]);
            average = 0.98 * average + 0.02 * loss;
            let smoothed = average / (1.0 - 0.98_f64.powf(step as f64 + 1.0));
            let lowest = curve.iter().map(|point| point.1).fold(smoothed, f64::min);
            if !smoothed.is_finite() || (step > 10 && smoothed > 4.0 * lowest) {
                break 'all;
            }
            curve.push((rate, smoothed));
            let mut gradients = output.grads;
            if let Some(longest) = work.phase.clip_norm {
                layers::clip(&work.weights.trainee, &mut gradients, longest);
            }
            work.weights.trainee = work.weights.trainee.optimize(&mut optimizer, rate.into(), gradients);
            (shared.observer)(Event::Step {
                done: curve.len(),
                total: options.steps,
                loss: smoothed,
                rate,
            });
        }
        epoch += 1;
    }
    // As fastai: the first steps and the last say little.
    let told = curve.get(options.steps / 10..curve.len().saturating_sub(5));
    let suggestion = told.and_then(valley);
    Ok(Found { curve, suggestion })
}

/// fastai's `valley` (`callback/schedule.py`): the rate half way through the longest falling subsequence of the losses, the
/// first of equally long ones.
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

    /// The places are those that fastai's own function gives for these curves.
    #[test]
    fn the_suggestion_is_fastai_s() {
        for (wobble, expected) in [(0.02, 51), (0.1, 58)] {
            // Flat to 1e-4, falling to 1e-1, rising after.
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
