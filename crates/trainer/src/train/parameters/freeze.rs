use std::collections::HashSet;

use burn::module::{Flag, Module, ModuleMapper, Param};
use xception_model::graph::Op;
use xception_model::{Block, Network};

use crate::train::recipe::{Norms, Phase, Trains};
use crate::train::trainee::Trainee;

/// Freezes the parameters that the phase does not train, and sets the mode of the batch norms.
///
/// # Errors
///
/// The phase names a block that the network does not have.
pub(crate) fn prepare(trainee: Trainee, phase: &Phase) -> Result<Trainee, String> {
    let mut trainee = trainee.without_prefix().unfreeze();
    let blocks = trainee.network.blocks();
    let named = |name: &str| {
        blocks.iter().position(|(block, _)| block == name).ok_or_else(|| {
            let names: Vec<_> = blocks.iter().rev().map(|(name, _)| name.as_str()).collect();
            format!("the network has no block `{name}`; it has {}", names.join(", "))
        })
    };
    let first = match &phase.trains {
        Trains::All => 0,
        Trains::Head => named(Block::HEAD)?,
        Trains::From(block) => named(block)?,
        Trains::LastPercent(percent) => blocks.len() - (blocks.len() * usize::from(*percent)).div_ceil(100),
    };
    for (_, frozen) in blocks.into_iter().take(first) {
        trainee = trainee.freeze_group(frozen);
    }
    Ok(match phase.norms {
        Norms::Train => trainee,
        Norms::Inference => {
            let mut stop = StopNorms::new(&trainee.network);
            trainee.map(&mut stop)
        }
    })
}

/// Makes batch norms use and keep their stored statistics. Their scale and shift still learn.
struct StopNorms {
    /// The paths of the batch norms in the network.
    norms: HashSet<String>,
    path: Vec<String>,
}

impl StopNorms {
    fn new(network: &Network) -> Self {
        let norms = network
            .graph()
            .nodes
            .iter()
            .filter(|node| matches!(node.op, Op::BatchNorm(_)));
        Self {
            norms: norms.map(|node| node.path.clone()).collect(),
            path: Vec::new(),
        }
    }
}

impl ModuleMapper for StopNorms {
    fn enter_module(&mut self, name: &str, _: &str) {
        self.path.push(name.to_owned());
    }

    fn exit_module(&mut self, _: &str, _: &str) {
        self.path.pop();
    }

    fn map_flag(&mut self, flag: Param<Flag>) -> Param<Flag> {
        // The path consists of `network`, the path of the norm and the name of the flag.
        let norm = self.path.get(1..self.path.len().saturating_sub(1)).unwrap_or_default();
        if self.norms.contains(&norm.join(".")) {
            flag.with_value(false)
        } else {
            flag
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::testing::{Seen, batch, look, phase, trainee};
    use super::*;
    use crate::train::step::NetworkInput;
    use burn::optim::GradientsParams;
    use burn::train::TrainStep;

    fn statistics(trainee: &Trainee) -> Vec<Vec<f32>> {
        let seen = look(trainee, &GradientsParams::new());
        let found: Vec<_> = seen
            .into_iter()
            .filter(Seen::is_statistic)
            .map(|seen| seen.values)
            .collect();
        assert!(!found.is_empty());
        found
    }

    #[test]
    fn frozen_layers_get_no_gradient() {
        let (last, percent) = {
            let trainee = trainee();
            let blocks = trainee.network.blocks();
            (blocks[blocks.len() - 3].0.clone(), 300 / blocks.len())
        };
        let percent = u8::try_from(percent).unwrap();
        for (trains, trained) in [
            (Trains::Head, &["network.head"][..]),
            (Trains::From(last), &["network.head", "network.exit"]),
            (Trains::LastPercent(percent), &["network.head", "network.exit"]),
            (Trains::All, &["network."]),
        ] {
            let mut phase = phase();
            phase.trains = trains;
            let trainee = prepare(trainee(), &phase).unwrap();
            let gradients = TrainStep::step(&trainee, batch()).grads;
            for seen in look(&trainee, &gradients).iter().filter(|seen| !seen.is_statistic()) {
                let expected = trained.iter().any(|start| seen.path.starts_with(start));
                assert_eq!(seen.gradient.is_some(), expected, "{:?}: {}", phase.trains, seen.path);
            }
        }
    }

    #[test]
    fn norms_keep_or_update_their_statistics_as_the_phase_says() {
        for (norms, moves) in [(Norms::Inference, false), (Norms::Train, true)] {
            let mut phase = phase();
            phase.norms = norms;
            let trainee = prepare(trainee(), &phase).unwrap();
            let before = statistics(&trainee.valid().train());
            let item = batch();
            let NetworkInput::Pictures(pictures) = item.input.clone() else {
                unreachable!("it holds pictures")
            };
            let output = TrainStep::step(&trainee, item).item;
            assert_eq!(statistics(&trainee.valid().train()) != before, moves, "{norms:?}");
            let inference = trainee.network.valid().forward(pictures.inner()).unwrap();
            let far: f32 = (output.logits.inner() - inference).abs().max().into_scalar();
            // With the batch's own statistics, the logits would differ.
            assert_eq!(far > 1e-4, moves, "{norms:?}: {far}");
        }
    }

    /// Frozen norms keep their statistics, as in Keras, and are part of the frozen prefix. The step computes what it
    /// computes without a prefix.
    #[test]
    fn norms_of_frozen_blocks_keep_their_statistics_while_others_train() {
        let trainee = trainee();
        let blocks = trainee.network.blocks();
        let first = blocks.len() - 3;
        let mut phase = phase();
        phase.norms = Norms::Train;
        phase.trains = Trains::From(blocks[first].0.clone());
        let trainee = prepare(trainee, &phase).unwrap();
        let prefix = trainee.network.frozen_prefix();
        assert!(prefix.is_some());
        let item = batch();
        let NetworkInput::Pictures(pictures) = item.input.clone() else {
            unreachable!("it holds pictures")
        };
        // A copy, because a step moves statistics.
        let whole = prepare(trainee.valid().train(), &phase).unwrap().network;
        let expected = whole.forward(pictures).unwrap().inner();
        let seen = || {
            let seen = look(&trainee.valid().train(), &GradientsParams::new());
            seen.into_iter().filter(Seen::is_statistic)
        };
        let before: Vec<_> = seen().map(|seen| seen.values).collect();
        let logits = TrainStep::step(&trainee, item).item.logits.inner();
        let far: f32 = (logits - expected.clone()).abs().max().into_scalar();
        let largest: f32 = expected.abs().max().into_scalar();
        // With the statistics of the batch in the prefix, the logits would be other numbers.
        assert!(far <= 1e-5 * largest, "{far} of {largest}");
        let moved: Vec<_> = seen()
            .zip(before)
            .filter(|(after, before)| after.values != *before)
            .collect();
        assert!(!moved.is_empty());
        for (seen, _) in moved {
            assert!(seen.path.starts_with("network.exit"), "{}", seen.path);
        }
    }
}
