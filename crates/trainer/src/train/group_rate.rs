use burn::optim::lr_scheduler::{LrScheduler, LrSchedulerRecord};

use super::schedule::{Length, Schedule};

/// The learning rate of one group of layers, as Burn's optimizers take it.
#[derive(Clone, Debug)]
pub(crate) struct GroupRate {
    pub schedule: Schedule,
    pub length: Length,
    /// The group's rate as a fraction of the schedule's rate.
    pub scale: f64,
    /// The number of the next update.
    pub update: usize,
}

impl LrScheduler for GroupRate {
    fn step(&mut self) -> f64 {
        let rate = self.scale * self.schedule.rate(self.update, self.length);
        self.update += 1;
        rate
    }

    fn to_record(&self) -> LrSchedulerRecord {
        LrSchedulerRecord::new().with_scalar("update", self.update as u64)
    }

    fn load_record(&mut self, record: LrSchedulerRecord) {
        if let Some(update) = record.scalar::<u64>("update") {
            self.update = update as usize;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::train::schedule::Shape;

    const LENGTH: Length = Length {
        updates_per_epoch: 10,
        samples_per_epoch: 80,
        epochs: 10,
    };

    #[test]
    fn a_group_of_layers_has_a_part_of_the_rate_and_resumes() {
        let mut rate = GroupRate {
            schedule: Schedule {
                rate: 2.0,
                warm_up: 0.0,
                shape: Shape::Cosine { end: 0.0 },
            },
            length: LENGTH,
            scale: 0.5,
            update: 0,
        };
        let first: Vec<_> = (0..5).map(|_| rate.step()).collect();
        assert!((first[0] - 1.0).abs() < 1e-12);
        let mut resumed = GroupRate {
            update: 0,
            ..rate.clone()
        };
        resumed.load_record(rate.to_record());
        assert_eq!(resumed.step().to_bits(), rate.step().to_bits());
    }
}
