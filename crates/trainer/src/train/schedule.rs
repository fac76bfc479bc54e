//! The learning rate over time.
//!
//! Burn's schedulers keep their own count, take no rate above 1 and have no one-cycle. Here a rate is a function of the
//! update's number, so a resumed run needs no state. Burn's `ModuleLrScheduler` applies the rate to groups of layers.

use std::f64::consts::PI;

use serde::{Deserialize, Serialize};

/// A learning rate as a function of the update's number.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Schedule {
    /// The highest rate.
    pub rate: f64,
    /// Epochs, or a fraction of one, in which the rate rises from 0 to its schedule.
    #[serde(default)]
    pub warm_up: f64,
    /// How the rate changes after the warm-up.
    pub shape: Shape,
}

/// How a rate changes after the warm-up.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Shape {
    /// The rate is constant.
    Constant,
    /// The rate falls along half a cosine, to `end` times its maximum at the phase's end (Loshchilov and Hutter 2017).
    Cosine {
        /// The last rate as a fraction of the highest.
        #[serde(default)]
        end: f64,
    },
    /// The rate is multiplied by `factor` at regular intervals of epochs or pictures.
    Step {
        /// The multiplier.
        factor: f64,
        /// The interval in epochs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        epochs: Option<f64>,
        /// The interval in pictures, instead of epochs.
        #[serde(default, skip_serializing_if = "Option::is_none")]
        samples: Option<u64>,
    },
    /// The rate rises from a 25th of its maximum over the fraction `peak` of the phase, then falls to a 100,000th, both
    /// along half a cosine (Smith and Topin 2018; fastai's `fit_one_cycle`).
    OneCycle {
        /// The fraction of the phase after which the rate is highest.
        #[serde(default = "peak")]
        peak: f64,
    },
}

const fn peak() -> f64 {
    0.25
}

/// The length of a phase in updates.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Length {
    /// Updates per epoch.
    pub updates_per_epoch: usize,
    /// Pictures per epoch.
    pub samples_per_epoch: usize,
    /// Epochs.
    pub epochs: usize,
}

impl Schedule {
    /// The rate of update `update`, counted from 0.
    pub fn rate(&self, update: usize, length: Length) -> f64 {
        let total = (length.updates_per_epoch * length.epochs).max(1) as f64;
        let epoch = update as f64 / length.updates_per_epoch.max(1) as f64;
        if epoch < self.warm_up {
            // The first update has a rate above 0.
            return self.rate * (update + 1) as f64 / (self.warm_up * length.updates_per_epoch as f64 + 1.0);
        }
        let cosine = |from: f64, to: f64, part: f64| to + (from - to) * f64::midpoint(1.0, (PI * part).cos());
        let factor = match self.shape {
            Shape::Constant => 1.0,
            Shape::Cosine { end } => {
                let warm_up = self.warm_up * length.updates_per_epoch as f64;
                cosine(1.0, end, (update as f64 - warm_up) / (total - warm_up).max(1.0))
            }
            Shape::Step {
                factor,
                epochs,
                samples,
            } => {
                let stairs = match (epochs, samples) {
                    (Some(epochs), _) => epoch / epochs,
                    (None, Some(samples)) => epoch * length.samples_per_epoch as f64 / samples as f64,
                    (None, None) => 0.0,
                };
                factor.powf(stairs.floor())
            }
            Shape::OneCycle { peak } => {
                let part = update as f64 / total;
                if part < peak {
                    cosine(1.0 / 25.0, 1.0, part / peak)
                } else {
                    cosine(1.0, 1e-5, (part - peak) / (1.0 - peak))
                }
            }
        };
        self.rate * factor
    }

    /// Whether all numbers are in their ranges.
    ///
    /// # Errors
    ///
    /// A sentence about the first number that is out of its range.
    pub fn validate(&self) -> Result<(), String> {
        let positive = |value: f64| value > 0.0 && value.is_finite();
        let shape = match self.shape {
            Shape::Constant => true,
            Shape::Cosine { end } => (0.0..=1.0).contains(&end),
            Shape::Step {
                factor,
                epochs,
                samples,
            } => {
                if epochs.is_some() == samples.is_some() {
                    return Err("schedule: shape `step` takes either `epochs` or `samples`".to_owned());
                }
                positive(factor) && epochs.is_none_or(positive) && samples != Some(0)
            }
            Shape::OneCycle { peak } => positive(peak) && peak < 1.0,
        };
        if !positive(self.rate) {
            return Err(format!("schedule: rate must be above 0, found {}", self.rate));
        }
        if !(self.warm_up >= 0.0 && self.warm_up.is_finite()) {
            return Err(format!("schedule: warm_up must be at least 0, found {}", self.warm_up));
        }
        if shape {
            Ok(())
        } else {
            Err(format!(
                "schedule: a number of shape {:?} is out of its range",
                self.shape
            ))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use burn::optim::lr_scheduler::cosine::CosineAnnealingLrSchedulerConfig;
    use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;
    use burn::optim::lr_scheduler::step::StepLrSchedulerConfig;

    const LENGTH: Length = Length {
        updates_per_epoch: 10,
        samples_per_epoch: 80,
        epochs: 10,
    };

    fn rates(warm_up: f64, shape: Shape) -> Vec<f64> {
        let schedule = Schedule {
            rate: 2.0,
            warm_up,
            shape,
        };
        schedule.validate().expect("it is sound");
        (0..=100).map(|update| schedule.rate(update, LENGTH)).collect()
    }

    #[test]
    fn a_cosine_warms_up_and_ends_low() {
        let rates = rates(1.0, Shape::Cosine { end: 0.1 });
        assert!(rates[0] > 0.0 && rates[0] < 0.2, "{}", rates[0]);
        assert!(rates.windows(2).take(10).all(|pair| pair[0] < pair[1]));
        assert!((rates[10] - 2.0).abs() < 1e-12);
        assert!((rates[55] - 1.1).abs() < 1e-12, "half way, half between: {}", rates[55]);
        assert!((rates[100] - 0.2).abs() < 1e-12);
    }

    #[test]
    fn the_papers_stairs() {
        let by_epochs = rates(
            0.0,
            Shape::Step {
                factor: 0.94,
                epochs: Some(2.0),
                samples: None,
            },
        );
        assert_eq!(by_epochs[19].to_bits(), 2.0_f64.to_bits());
        assert!((by_epochs[20] - 2.0 * 0.94).abs() < 1e-12);
        let by_samples = rates(
            0.0,
            Shape::Step {
                factor: 0.94,
                epochs: None,
                samples: Some(160),
            },
        );
        assert_eq!(by_epochs, by_samples);
    }

    #[test]
    fn curves_that_burn_has_are_burn_s() {
        let compare = |shape: Shape, mut burn: ModuleLrScheduler| {
            let schedule = Schedule {
                rate: 0.5,
                warm_up: 0.0,
                shape,
            };
            for update in 0..100 {
                let (found, expected) = (schedule.rate(update, LENGTH), burn.step().base());
                assert!((found / expected - 1.0).abs() < 1e-12, "{update}: {found} {expected}");
            }
        };
        let cosine = CosineAnnealingLrSchedulerConfig::new(0.5, 100).with_min_lr(0.05);
        compare(Shape::Cosine { end: 0.1 }, cosine.init().unwrap());
        let stairs = Shape::Step {
            factor: 0.94,
            epochs: Some(2.0),
            samples: None,
        };
        let step = StepLrSchedulerConfig::new(0.5, 20).with_gamma(0.94);
        compare(stairs, step.init().unwrap());
    }

    #[test]
    fn one_cycle_rises_and_falls() {
        let rates = rates(0.0, Shape::OneCycle { peak: 0.25 });
        assert!((rates[0] - 2.0 / 25.0).abs() < 1e-12);
        assert!((rates[25] - 2.0).abs() < 1e-12);
        assert!((rates[100] - 2e-5).abs() < 1e-12);
    }
}
