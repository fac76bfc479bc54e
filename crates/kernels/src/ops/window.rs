//! Windows that move over a map: kernels of convolutions and poolings.

use crate::error::Error;
use crate::memory::map::{Map, Rows};
use crate::simd::isa::Isa;

/// Pixels beyond the edge of a map.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Padding {
    /// As Keras and TensorFlow: `ceil(size / stride)` outputs along a side; an odd pixel goes to the end.
    Same,
    /// A number of pixels on each side.
    Explicit {
        /// Rows above.
        top: usize,
        /// Columns before.
        left: usize,
        /// Rows below.
        bottom: usize,
        /// Columns after.
        right: usize,
    },
}

impl Padding {
    /// No padding.
    pub const VALID: Self = Self::symmetric(0);

    /// The same number of pixels on every side, as in PyTorch.
    pub const fn symmetric(pixels: usize) -> Self {
        Self::Explicit {
            top: pixels,
            left: pixels,
            bottom: pixels,
            right: pixels,
        }
    }

    /// The pixels before and after along one axis; `None` for as many as `Same` needs.
    const fn axis(self, axis: usize) -> Option<[usize; 2]> {
        match self {
            Self::Same => None,
            Self::Explicit {
                top,
                left,
                bottom,
                right,
            } => Some([[top, bottom], [left, right]][axis]),
        }
    }
}

/// Taps along a side above which a window is refused: every side keeps a list of its taps.
const MOST_TAPS: usize = 1 << 16;

/// No tap of a map lies this far from its window. Sums of two such distances do not overflow.
const FAR: isize = isize::MAX / 4;

/// Height, width, stride, dilation and padding of a window.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct WindowShape {
    pub taps: [usize; 2],
    pub stride: [usize; 2],
    pub dilation: [usize; 2],
    pub padding: Padding,
}

impl WindowShape {
    /// Checks the numbers that do not depend on a map.
    pub(crate) fn check(&self, op: &'static str) -> Result<(), Error> {
        for axis in 0..2 {
            Error::if_zero(op, "a side of the window", self.taps[axis])?;
            Error::if_zero(op, "the stride", self.stride[axis])?;
            Error::if_zero(op, "the dilation", self.dilation[axis])?;
        }
        if self.taps.into_iter().max() > Some(MOST_TAPS) {
            return Err(Error::TooLarge(self.taps.to_vec()));
        }
        Ok(())
    }

    /// The window along the height and the width of a map.
    pub(crate) fn sides(&self, op: &'static str, map: &Map) -> Result<[Side; 2], Error> {
        let side = |axis| Side::new(op, self, axis, map.size()[axis]);
        Ok([side(0)?, side(1)?])
    }

    /// The same for a map that [`sides`](Self::sides) has accepted before.
    pub(crate) fn checked_sides(&self, map: &Map) -> [Side; 2] {
        self.sides("", map)
            .unwrap_or_else(|_| unreachable!("sizes are checked before a run"))
    }

    /// Whether a window of `taps` keeps height and width and looks the same distance to all sides.
    pub(crate) fn keeps_size(&self) -> bool {
        let centred = |axis: usize| match self.padding.axis(axis) {
            None => true,
            Some([before, after]) => {
                let reach = (self.taps[axis] / 2).checked_mul(self.dilation[axis]);
                before == after && Some(before) == reach
            }
        };
        let odd = self.taps.iter().all(|taps| taps % 2 == 1);
        self.stride == [1; 2] && odd && centred(0) && centred(1)
    }
}

/// An operation on windows, at work on the rows of a picture.
pub(crate) struct WindowRows<'a> {
    pub isa: Isa,
    pub sides: &'a [Side; 2],
    pub input: Rows,
    pub input_map: &'a Map,
    /// The map that is projected or added.
    pub second: Option<(*const f32, &'a Map)>,
    pub output: *mut f32,
    pub output_map: &'a Map,
}

/// A window along one side of a map.
#[derive(Clone, Debug)]
pub(crate) struct Side {
    /// Pixels of the map.
    pub size: usize,
    /// Positions of the window.
    pub outputs: usize,
    pub stride: usize,
    /// Padding pixels before the map.
    pub before: u128,
    /// Padding pixels after the map that a window looks at.
    pub after: u128,
    /// The place of every tap in the first window, relative to the first pixel of the map.
    offsets: Vec<isize>,
}

impl Side {
    fn new(op: &'static str, shape: &WindowShape, axis: usize, size: usize) -> Result<Self, Error> {
        let (taps, stride) = (shape.taps[axis], shape.stride[axis]);
        // No product or sum of four 64-bit numbers, one of them at most `MOST_TAPS`, overflows.
        let [wide_size, wide_stride, dilation] = [size, stride, shape.dilation[axis]].map(|count| count as u128);
        let extent = (taps as u128 - 1) * dilation + 1;
        let (outputs, before) = match shape.padding.axis(axis) {
            None => {
                let outputs = wide_size.div_ceil(wide_stride);
                let needed = outputs.saturating_sub(1) * wide_stride + extent;
                (outputs, needed.saturating_sub(wide_size) / 2)
            }
            Some([before, after]) => {
                let padded = wide_size + before as u128 + after as u128;
                if extent > padded {
                    return Err(Error::Window { op, extent, padded });
                }
                ((padded - extent) / wide_stride + 1, before as u128)
            }
        };
        let last = outputs.saturating_sub(1) * wide_stride;
        let too_large = || Error::TooLarge(vec![size, taps, stride]);
        if last > FAR.unsigned_abs() as u128 {
            return Err(too_large());
        }
        let offset = |tap: usize| {
            let offset = (tap as u128 * dilation).cast_signed() - before.cast_signed();
            offset.clamp(-(FAR as i128), FAR as i128) as isize
        };
        Ok(Self {
            size,
            outputs: usize::try_from(outputs).map_err(|_| too_large())?,
            stride,
            before,
            after: (last + extent).saturating_sub(before + wide_size),
            offsets: (0..taps).map(offset).collect(),
        })
    }

    /// Taps of a window, those outside of the map included.
    pub(crate) fn most_taps(&self) -> usize {
        self.offsets.len()
    }

    /// The windows whose taps all lie on the map.
    pub(crate) fn inner(&self) -> core::ops::Range<usize> {
        let (Some(&first), Some(&last)) = (self.offsets.first(), self.offsets.last()) else {
            return 0..0;
        };
        // Offsets are at most `FAR`: nothing overflows.
        let start = first.min(0).unsigned_abs().div_ceil(self.stride);
        let end = match self.size.checked_add_signed(-last.max(0)) {
            Some(places) => places.div_ceil(self.stride).min(self.outputs),
            None => 0,
        };
        start..end
    }

    /// The taps of window `index` that lie on the map: the number of the tap, and the pixel.
    #[inline]
    pub(crate) fn taps(&self, index: usize) -> impl Iterator<Item = (usize, usize)> + Clone {
        // `new` has checked that the sum does not overflow.
        let start = (index * self.stride).cast_signed();
        let taps = self.offsets.iter().enumerate();
        taps.filter_map(move |(tap, offset)| {
            let place = (start + offset).cast_unsigned();
            // Negative places are larger than any size.
            (place < self.size).then_some((tap, place))
        })
    }

    /// The place of tap `tap` in the first window, relative to the first pixel of the map.
    pub(crate) fn offset(&self, tap: usize) -> isize {
        self.offsets[tap]
    }

    /// The pixel at which tap `tap` of window `index` looks, if it lies on the map.
    #[inline]
    pub(crate) fn place(&self, index: usize, tap: usize) -> Option<usize> {
        // `new` has checked that the sum does not overflow.
        let place = ((index * self.stride).cast_signed() + self.offsets[tap]).cast_unsigned();
        (place < self.size).then_some(place)
    }

    /// The window whose tap `tap` looks at pixel `place`, if there is one.
    pub(crate) fn window_at(&self, place: usize, tap: usize) -> Option<usize> {
        // Offsets are at most `FAR`: nothing overflows.
        let distance = usize::try_from(place.cast_signed() - self.offsets[tap]).ok()?;
        let window = distance / self.stride;
        (distance.is_multiple_of(self.stride) && window < self.outputs).then_some(window)
    }

    /// The windows whose tap `tap` lies on the map.
    pub(crate) fn windows_of_tap(&self, tap: usize) -> core::ops::Range<usize> {
        // Offsets are at most `FAR`: nothing overflows.
        let offset = self.offsets[tap];
        let start = offset.min(0).unsigned_abs().div_ceil(self.stride).min(self.outputs);
        let end = match self.size.checked_add_signed(-offset) {
            Some(places) => places.div_ceil(self.stride).min(self.outputs),
            None => 0,
        };
        start..end.max(start)
    }

    /// The pixels of window `index` from the first to the last.
    pub(crate) fn span(&self, index: usize) -> core::ops::Range<usize> {
        let mut taps = self.taps(index).map(|(_, place)| place);
        let first = taps.next().unwrap_or(0);
        first..taps.last().unwrap_or(first) + 1
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn side(size: usize, taps: usize, stride: usize, dilation: usize, padding: Padding) -> Result<Side, Error> {
        let shape = WindowShape {
            taps: [taps; 2],
            stride: [stride; 2],
            dilation: [dilation; 2],
            padding,
        };
        Side::new("test", &shape, 0, size)
    }

    #[test]
    fn same_puts_the_odd_pixel_at_the_end() {
        // TensorFlow's `Padding` guide: 74 -> 37 by 3 taps and stride 2 pads one pixel after and none before.
        let even = side(74, 3, 2, 1, Padding::Same).unwrap();
        assert_eq!((even.outputs, even.before, even.after), (37, 0, 1));
        let odd = side(147, 3, 2, 1, Padding::Same).unwrap();
        assert_eq!((odd.outputs, odd.before, odd.after), (74, 1, 1));
    }

    #[test]
    fn windows_that_do_not_fit_are_refused() {
        assert!(matches!(
            side(2, 3, 1, 1, Padding::VALID),
            Err(Error::Window {
                extent: 3,
                padded: 2,
                ..
            })
        ));
        assert!(side(2, 3, 1, usize::MAX, Padding::VALID).is_err());
        let shape = WindowShape {
            taps: [MOST_TAPS + 1, 1],
            stride: [1; 2],
            dilation: [1; 2],
            padding: Padding::Same,
        };
        assert!(matches!(shape.check("test"), Err(Error::TooLarge(_))));
    }

    #[test]
    fn taps_far_away_are_padding() {
        for dilation in [7, 1 << 40, usize::MAX] {
            let far = side(6, 3, 1, dilation, Padding::symmetric(dilation)).unwrap();
            assert_eq!(far.outputs, 6);
            assert_eq!(far.taps(4).collect::<Vec<_>>(), [(1, 4)]);
        }
    }
}
