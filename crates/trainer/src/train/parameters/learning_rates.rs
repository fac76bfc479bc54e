use burn::optim::lr_scheduler::module_lr_scheduler::ModuleLrScheduler;

use crate::train::group_rate::GroupRate;
use crate::train::recipe::Phase;
use crate::train::schedule::Length;
use crate::train::trainee::Trainee;

/// The phase's learning rates from update `update` on. With a layer decay, each block's rate is a fraction of the next
/// later block's rate.
pub(crate) fn learning_rates(trainee: &Trainee, phase: &Phase, length: Length, update: usize) -> ModuleLrScheduler {
    let rate = |scale: f64| GroupRate {
        schedule: phase.schedule.clone(),
        length,
        scale,
        update,
    };
    let mut rates = ModuleLrScheduler::new(rate(1.0));
    if phase.layer_decay < 1.0 {
        let mut scale = 1.0;
        for (_, block) in trainee.network.blocks().into_iter().rev() {
            rates = rates.with_group(block, rate(scale));
            scale *= phase.layer_decay;
        }
    }
    rates
}

#[cfg(test)]
mod tests {
    use super::super::testing::{look, phase, trainee};
    use super::*;
    use burn::optim::GradientsParams;

    #[test]
    fn a_block_s_rate_is_a_part_of_the_later_block_s() {
        let trainee = trainee();
        let mut phase = phase();
        (phase.layer_decay, phase.schedule.warm_up) = (0.5, 0.0);
        let length = Length {
            updates_per_epoch: 10,
            samples_per_epoch: 80,
            epochs: 5,
        };
        let rate = learning_rates(&trainee, &phase, length, 0).step();
        let base = phase.schedule.rate(0, length);
        let blocks = || trainee.network.blocks().into_iter().rev();
        let names: Vec<String> = blocks().map(|(name, _)| name).collect();
        assert_eq!(
            names,
            [
                "head", "block7", "block6", "block5", "block4", "block3", "block2", "block1"
            ]
        );
        let mut checked = 0;
        for (place, (_, group)) in blocks().enumerate() {
            for seen in look(&trainee, &GradientsParams::new()) {
                if group.matches(&seen.id, Some(&seen.path)) {
                    let found = rate.lr_from_param(seen.id, Some(&seen.path));
                    let expected = base * 0.5_f64.powi(i32::try_from(place).unwrap());
                    assert!(
                        (found / expected - 1.0).abs() < 1e-12,
                        "{}: {found} {expected}",
                        seen.path
                    );
                    checked += 1;
                }
            }
        }
        assert_eq!(checked, look(&trainee, &GradientsParams::new()).len());
    }
}
