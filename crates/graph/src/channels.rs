//! Choices of channels that are joined again.

use alloc::vec;
use alloc::vec::Vec;

use crate::graph::{Graph, NodeId};
use crate::op::{Op, ScaleShift};

/// Channels of one node, with constants applied to each.
#[derive(Clone, Debug, PartialEq)]
pub struct ChosenChannels {
    /// The node that is read.
    pub source: NodeId,
    /// The number of each channel in the source.
    pub channels: Vec<usize>,
    /// The constants of each channel; `None` if they change nothing.
    pub constants: Option<ScaleShift>,
}

impl Graph {
    /// The concatenation of these outputs as one choice of one node's channels. `None` if they depend on several nodes,
    /// or on one in another way, or if none of them is a choice of channels.
    pub fn chosen_channels(&self, inputs: &[NodeId]) -> Option<ChosenChannels> {
        // Real chains have three nodes at most: choice, difference, quotient.
        const LONGEST: usize = 16;
        let mut chains = Vec::with_capacity(inputs.len());
        for input in inputs {
            let (mut at, mut chain) = (*input, Vec::new());
            while let Op::Take { .. } | Op::ScaleShift(_) = self.node(at).op {
                chain.push(at);
                at = *self.node(at).inputs.first()?;
                if chain.len() > LONGEST {
                    return None;
                }
            }
            chains.push((at, chain));
        }
        let source = chains.first()?.0;
        let takes = |id: &NodeId| matches!(self.node(*id).op, Op::Take { .. });
        let is_choice = chains.iter().any(|(_, chain)| chain.iter().any(takes));
        if !is_choice || chains.iter().any(|(own, _)| *own != source) {
            return None;
        }
        let count = self.features(source)?;
        let (mut channels, mut scale, mut shift) = (Vec::new(), Vec::new(), Vec::new());
        for (_, chain) in chains {
            let mut own: Vec<(usize, f64, f64)> = (0..count).map(|channel| (channel, 1.0, 0.0)).collect();
            for id in chain.into_iter().rev() {
                match &self.node(id).op {
                    Op::Take { channels } => {
                        own = channels.iter().map(|at| own.get(*at).copied()).collect::<Option<_>>()?;
                    }
                    Op::ScaleShift(constants) => {
                        for (at, (_, scale, shift)) in own.iter_mut().enumerate() {
                            *scale *= constants.scale_of(at);
                            *shift = *shift * constants.scale_of(at) + constants.shift_of(at);
                        }
                    }
                    _ => {}
                }
            }
            for (channel, own_scale, own_shift) in own {
                channels.push(channel);
                scale.push(own_scale);
                shift.push(own_shift);
            }
        }
        let changes = scale != vec![1.0; scale.len()] || shift != vec![0.0; shift.len()];
        Some(ChosenChannels {
            source,
            channels,
            constants: changes.then_some(ScaleShift { scale, shift }),
        })
    }
}

/// The places that Python's `start:end:step` takes out of `0..count` (`slice.indices`); each of the three may be open.
/// `None` if it takes none.
pub fn slice_indices([start, end, step]: [Option<i64>; 3], count: usize) -> Option<Vec<usize>> {
    let step = step.unwrap_or(1);
    let count = i64::try_from(count).ok()?;
    let (least, most) = if step > 0 { (0, count) } else { (-1, count - 1) };
    let bound = |number: Option<i64>, open: i64| match number {
        None => open,
        Some(number) if number < 0 => number.saturating_add(count).clamp(least, most),
        Some(number) => number.clamp(least, most),
    };
    let (first, behind) = if step > 0 { (least, most) } else { (most, least) };
    let (mut at, end) = (bound(start, first), bound(end, behind));
    let mut places = Vec::new();
    while step > 0 && at < end || step < 0 && at > end {
        places.push(usize::try_from(at).ok()?);
        at = at.saturating_add(step);
    }
    (!places.is_empty()).then_some(places)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slices_are_python_s() {
        for (range, expected) in [
            ([None, None, Some(-1)], Some(vec![2, 1, 0])),
            ([Some(-1), None, Some(-1)], Some(vec![2, 1, 0])),
            ([Some(2), Some(0), Some(-1)], Some(vec![2, 1])),
            ([Some(-1), Some(i64::MIN), Some(-1)], Some(vec![2, 1, 0])),
            ([None, None, Some(2)], Some(vec![0, 2])),
            ([Some(1), Some(9), None], Some(vec![1, 2])),
            ([Some(0), Some(-1), None], Some(vec![0, 1])),
            ([Some(i64::MIN), Some(i64::MAX), Some(i64::MAX)], Some(vec![0])),
            ([Some(5), None, None], None),
            ([None, None, Some(0)], None),
        ] {
            assert_eq!(slice_indices(range, 3), expected, "{range:?}");
        }
    }
}
