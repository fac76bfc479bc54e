//! The head of a classifier: the mean over the last map, and a fully-connected layer of 1,000 classes.

use kernels::{Dense, Error, GlobalPool, GlobalPoolKind, Network, Value};

/// Adds the head after `map`, a map of `channels` channels; gives the network, the names of its layers, and its logits.
/// Weights are the first of `numbers`.
pub fn with_head(
    (mut network, mut names): (Network, Vec<String>),
    (map, channels): (Value, usize),
    numbers: &[f32],
) -> Result<(Network, Vec<String>, Value), Error> {
    let mean = network.global_pool(GlobalPool {
        input: map,
        kind: GlobalPoolKind::Average,
    })?;
    names.extend(["avg_pool", "predictions"].map(str::to_owned));
    let logits = network.dense(Dense {
        bias: Some(&numbers[..1000]),
        ..Dense::new(mean, &numbers[..channels * 1000], 1000)
    })?;
    Ok((network, names, logits))
}
