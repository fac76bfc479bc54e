//! Tracks which axis of an ONNX value is which axis of a feature map, and what a reshape does to the axes.

use graph::ChannelOrder;

use Axis::{Batch, Channels, Height, One, Width};

/// An axis of a value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Axis {
    Batch,
    Channels,
    Height,
    Width,
    /// An axis of length 1.
    One,
}

/// The axis order that a convolution reads.
pub(super) const CHANNELS_FIRST: [Axis; 4] = [Batch, Channels, Height, Width];
/// The axis order of TensorFlow.
pub(super) const CHANNELS_LAST: [Axis; 4] = [Batch, Height, Width, Channels];
/// The axes of a map of one pixel, as a convolution reads it.
pub(super) const PIXEL: [Axis; 4] = [Batch, Channels, One, One];
/// The axes of a vector.
pub(super) const VECTOR: [Axis; 2] = [Batch, Channels];

/// An element of a shape that the graph computes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Size {
    Known(i64),
    /// The number of pictures.
    Batch,
    Unknown,
}

/// The effect of a reshape.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Reshaped {
    /// The same values with these axes.
    Renamed(Vec<Axis>),
    /// A map becomes a vector.
    Flattened(ChannelOrder),
}

/// The index of an axis, which may be counted from the end.
pub(super) fn place(axis: i64, rank: usize) -> Option<usize> {
    let axis = if axis < 0 {
        axis.checked_add(i64::try_from(rank).ok()?)?
    } else {
        axis
    };
    usize::try_from(axis).ok().filter(|axis| *axis < rank)
}

/// The items in the order of a Transpose.
pub(super) fn permuted<T: Copy>(items: &[T], order: &[i64]) -> Option<Vec<T>> {
    let mut places: Vec<usize> = order
        .iter()
        .map(|axis| place(*axis, items.len()))
        .collect::<Option<_>>()?;
    let moved = places.iter().map(|place| items[*place]).collect();
    places.sort_unstable();
    places.into_iter().eq(0..items.len()).then_some(moved)
}

/// Whether a value has one number for each channel.
pub(super) fn is_pixel(axes: &[Axis]) -> bool {
    !axes.iter().any(|axis| matches!(axis, Height | Width))
}

/// The axes of the result of two values; an axis of length 1 fits any axis.
pub(super) fn broadcast(one: &[Axis], two: &[Axis]) -> Option<Vec<Axis>> {
    let fits = |(a, b): (&Axis, &Axis)| match (a, b) {
        (a, b) if a == b => Some(*a),
        (One, Height | Width) => Some(*b),
        (Height | Width, One) => Some(*a),
        _ => None,
    };
    let pairs = one.iter().zip(two).map(fits).collect::<Option<_>>();
    pairs.filter(|_| one.len() == two.len())
}

/// The order of a map's values in memory.
pub(super) fn order(axes: &[Axis]) -> Option<ChannelOrder> {
    match axes {
        axes if axes == CHANNELS_FIRST => Some(ChannelOrder::ChannelsFirst),
        axes if axes == CHANNELS_LAST || is_pixel(axes) => Some(ChannelOrder::ChannelsLast),
        _ => None,
    }
}

/// The effect of a Reshape to `target` on a value with axes of these lengths, if it is one that a network uses.
pub(super) fn reshape(axes: &[Axis], lengths: &[Option<usize>], target: &[Size]) -> Option<Reshaped> {
    let length = |axis: Axis| axes.iter().position(|other| *other == axis).and_then(|at| lengths[at]);
    let is = |size: Size, axis: Axis| match size {
        Size::Known(-1) => true,
        Size::Known(size) => length(axis).and_then(|length| i64::try_from(length).ok()) == Some(size),
        Size::Batch => axis == Batch,
        Size::Unknown => false,
    };
    // 0 keeps the length of that axis.
    let kept = |at: usize, axis: Axis| target[at] == Size::Known(0) && axes.get(at) == Some(&axis);
    let is_batch = |size: Size| matches!(size, Size::Batch | Size::Known(-1 | 0)) || is(size, Batch);
    if !target.first().is_some_and(|size| is_batch(*size)) {
        return None;
    }
    if is_pixel(axes) {
        let mut renamed = vec![Batch];
        for (at, size) in target.iter().enumerate().skip(1) {
            let one = *size == Size::Known(1) || kept(at, One);
            renamed.push(if one { One } else { Channels });
        }
        let channels = renamed.iter().filter(|axis| **axis == Channels).count();
        match (channels, renamed.len()) {
            (1, _) => {}
            (0, 1) if length(Channels) == Some(1) => {}
            (0, last) if length(Channels) == Some(1) => renamed[last - 1] = Channels,
            _ => return None,
        }
        return Some(Reshaped::Renamed(renamed));
    }
    if let [first, rest] = target {
        let others = lengths.iter().zip(axes).filter(|(_, axis)| **axis != Batch);
        let values = others
            .map(|(length, _)| *length)
            .try_fold(1_usize, |product, length| product.checked_mul(length?));
        // If the batch takes the remaining length, each pixel could become a vector.
        let (Size::Known(-1), Size::Known(length)) = (*first, *rest) else {
            return order(axes).map(Reshaped::Flattened);
        };
        let fits = values.is_none_or(|values| i64::try_from(values) == Ok(length));
        let is_all = values.is_some() || !is(Size::Known(length), Channels);
        return order(axes).filter(|_| fits && is_all).map(Reshaped::Flattened);
    }
    // With one picture, channels may move without a transposition.
    let candidates = [axes, &CHANNELS_FIRST, &CHANNELS_LAST];
    let same = candidates.into_iter().find(|candidate| {
        let fits = |(at, axis): (usize, &Axis)| kept(at, *axis) || *axis == Batch || is(target[at], *axis);
        candidate.len() == target.len()
            && (*candidate == axes || length(Channels) == Some(1))
            && candidate.iter().enumerate().all(fits)
    });
    same.map(|axes| Reshaped::Renamed(axes.to_vec()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reshape_is_a_flatten_or_a_new_name() {
        let known = |sizes: &[i64]| sizes.iter().map(|size| Size::Known(*size)).collect::<Vec<_>>();
        let lengths = [None, Some(8), Some(3), Some(4)];
        let flat = |axes: &[Axis], target: &[Size]| reshape(axes, &lengths, target);
        let first = Some(Reshaped::Flattened(ChannelOrder::ChannelsFirst));
        assert_eq!(flat(&CHANNELS_FIRST, &known(&[0, -1])), first);
        assert_eq!(flat(&CHANNELS_FIRST, &[Size::Batch, Size::Unknown]), first);
        assert_eq!(flat(&CHANNELS_FIRST, &known(&[-1, 96])), first);
        assert_eq!(flat(&CHANNELS_FIRST, &known(&[-1, 8])), None, "a vector for each pixel");
        assert_eq!(
            flat(&CHANNELS_FIRST, &known(&[-1, 3, 4, 8])),
            None,
            "pixels in another order"
        );
        assert_eq!(
            flat(&CHANNELS_FIRST, &known(&[0, 8, -1, 4])),
            Some(Reshaped::Renamed(CHANNELS_FIRST.to_vec()))
        );
        let gray = [None, Some(5), Some(4), Some(1)];
        let renamed = reshape(&CHANNELS_LAST, &gray, &known(&[-1, 1, 5, 4]));
        assert_eq!(renamed, Some(Reshaped::Renamed(CHANNELS_FIRST.to_vec())));
        let renamed = reshape(&VECTOR, &[None, Some(8)], &known(&[-1, 1, 1, 8]));
        assert_eq!(renamed, Some(Reshaped::Renamed(vec![Batch, One, One, Channels])));
        assert_eq!(reshape(&VECTOR, &[None, Some(8)], &known(&[-1, 2, 4])), None);
    }
}
