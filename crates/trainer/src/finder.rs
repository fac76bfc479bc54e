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
    /// The rate two thirds into the longest fall of the loss, if there is one.
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
    let suggestion = valley(&curve);
    Ok(Found { curve, suggestion })
}

/// fastai's `valley`: the rate two thirds into the longest run of falling losses.
fn valley(curve: &[(f64, f64)]) -> Option<f64> {
    let mut length = vec![1_usize; curve.len()];
    for end in 1..curve.len() {
        for start in 0..end {
            if curve[end].1 < curve[start].1 && length[end] < length[start] + 1 {
                length[end] = length[start] + 1;
            }
        }
    }
    let (end, &longest) = length.iter().enumerate().max_by_key(|(_, length)| **length)?;
    if longest < 3 {
        return None;
    }
    let start = end + 1 - longest.min(end + 1);
    let third = (end - start) / 3;
    Some(curve[start + third + third / 2].0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_suggestion_lies_in_the_fall() {
        // Flat to 1e-4, falling to 1e-1, rising after.
        let curve: Vec<(f64, f64)> = (0..100)
            .map(|step| {
                let rate = 1e-7 * 10_f64.powf(f64::from(step) * 8.0 / 99.0);
                let height = (rate.log10() + 4.0).clamp(0.0, 3.0);
                (rate, 2.0 - 0.5 * height + 3.0 * (rate.log10() + 1.0).max(0.0))
            })
            .collect();
        let found = valley(&curve).expect("there is a valley");
        assert!((1e-4..1e-1).contains(&found), "{found}");
        assert_eq!(valley(&[(1.0, 1.0), (2.0, 2.0)]), None);
    }
}
