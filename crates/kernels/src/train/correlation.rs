//! A convolution's output, or the gradient of its input: each pixel is a sum over the pixels of another map.

use core::ops::Range;

use super::geometry::Checked;
use crate::memory::map::Map;

/// The pixels of one map as sums over the pixels of another map.
pub(super) struct Correlation {
    pub batch: usize,
    /// One picture of the map that is read.
    pub source: Map,
    /// One picture of the map that is written.
    pub target: Map,
    /// Rows and columns of the pixels that are written, in each picture.
    pub size: [usize; 2],
    /// The first written pixel, and the distance from one written pixel to the next.
    pub first: [usize; 2],
    pub apart: [usize; 2],
    /// How far the taps move in the source from one written pixel to the next.
    pub step: [usize; 2],
    pub taps: Vec<Tap>,
    /// Number of neighbouring taps that are read as one: the taps read neighbouring pixels, none of them padding.
    pub merged: usize,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Tap {
    /// The tap's number in the weights.
    pub number: usize,
    /// The source pixel that the tap reads for the first written pixel.
    pub offset: [isize; 2],
}

impl Correlation {
    /// The correlation that computes the output.
    pub(super) fn forward(checked: &Checked) -> Self {
        let [down, right] = &checked.sides;
        let kernel_width = checked.geometry.kernel[1];
        let taps = (0..checked.taps()).map(|number| Tap {
            number,
            offset: [down.offset(number / kernel_width), right.offset(number % kernel_width)],
        });
        let side_by_side = checked.geometry.dilation[1] == 1 && right.inner() == (0..right.outputs);
        Self {
            batch: checked.geometry.batch,
            source: checked.input,
            target: checked.output,
            size: checked.output.size(),
            first: [0; 2],
            apart: [1; 2],
            step: checked.geometry.stride,
            taps: taps.collect(),
            merged: if side_by_side { kernel_width } else { 1 },
        }
    }

    /// The correlations that compute the gradient of the input: one for each remainder of row and column by the stride,
    /// because the same taps read all pixels with the same remainders.
    pub(super) fn input_gradient(checked: &Checked) -> Vec<Self> {
        let stride = checked.geometry.stride;
        let rows = 0..stride[0].min(checked.input.height);
        rows.flat_map(|down| (0..stride[1].min(checked.input.width)).map(move |right| [down, right]))
            .map(|first| Self::phase(checked, first))
            .collect()
    }

    /// The gradient of the input at pixel `first`, and at the pixels that lie whole strides from it.
    fn phase(checked: &Checked, first: [usize; 2]) -> Self {
        let (stride, kernel_width) = (checked.geometry.stride, checked.geometry.kernel[1]);
        // The window whose `tap` reads the first pixel; `None` if the pixel lies between two such windows.
        let offset = |axis: usize, tap: usize| {
            let place = first[axis].cast_signed() - checked.sides[axis].offset(tap);
            let stride = isize::try_from(stride[axis]).unwrap_or(isize::MAX);
            (place % stride == 0).then_some(place / stride)
        };
        let taps = (0..checked.taps()).filter_map(|number| {
            let (down, right) = (offset(0, number / kernel_width), offset(1, number % kernel_width));
            Some(Tap {
                number,
                offset: [down?, right?],
            })
        });
        Self {
            batch: checked.geometry.batch,
            source: checked.output,
            target: checked.input,
            size: [0, 1].map(|axis| (checked.input.size()[axis] - first[axis]).div_ceil(stride[axis])),
            first,
            apart: stride,
            step: [1; 2],
            taps: taps.collect(),
            merged: 1,
        }
    }

    /// For each of the pixels `pixels`, its place in the target and the place that each segment reads,
    /// `[segment][pixel]`. Places are counted in values.
    pub(super) fn places(
        &self,
        pixels: &Range<usize>,
        source: *const f32,
        zeros: *const f32,
    ) -> (Vec<usize>, Vec<*const f32>) {
        let [rows, columns] = self.size;
        let count = pixels.len();
        let segments = self.taps.len() / self.merged;
        let mut targets = Vec::with_capacity(count);
        let mut sources = vec![zeros; segments * count];
        let mut done = 0;
        while done < count {
            let pixel = pixels.start + done;
            let (line, x) = (pixel / columns, pixel % columns);
            let (picture, y) = (line / rows, line % rows);
            let len = (columns - x).min(count - done);
            let to = picture * self.target.len() + (self.first[0] + y * self.apart[0]) * self.target.row();
            let [first, step] = [self.first[1], self.apart[1]].map(|columns| columns * self.target.step);
            targets.extend((x..x + len).map(|x| to + first + x * step));
            for (segment, tap) in self.taps.iter().step_by(self.merged).enumerate() {
                let from_y = (y * self.step[0]).cast_signed() + tap.offset[0];
                if !(0..self.source.height.cast_signed()).contains(&from_y) {
                    continue;
                }
                let row = picture * self.source.len() + from_y.cast_unsigned() * self.source.row();
                let places = &mut sources[segment * count + done..][..len];
                for (x, place) in (x..).zip(places) {
                    let from_x = ((x * self.step[1]).cast_signed() + tap.offset[1]).cast_unsigned();
                    // As an unsigned number, a negative column is larger than any width.
                    if from_x < self.source.width {
                        *place = source.wrapping_add(row + from_x * self.source.step);
                    }
                }
            }
            done += len;
        }
        (targets, sources)
    }

    /// Whether each written pixel reads only the source pixel of the same number.
    pub(super) fn is_pointwise(&self) -> bool {
        let looks_at_itself = matches!(self.taps.as_slice(), [Tap { offset: [0, 0], .. }]);
        looks_at_itself && self.step == [1; 2] && self.size == self.target.size() && self.size == self.source.size()
    }

    /// The first offset and the numbers of three by three neighbouring taps, if both the pixels and the taps are side
    /// by side.
    pub(super) fn square(&self) -> Option<Square> {
        if self.taps.len() != 9 || self.apart != [1; 2] || self.step != [1; 2] {
            return None;
        }
        let least = |axis: usize| self.taps.iter().map(|tap| tap.offset[axis]).min();
        let first = [least(0)?, least(1)?];
        let mut numbers = [[None; 3]; 3];
        for tap in &self.taps {
            let [row, column] = [0, 1].map(|axis| (tap.offset[axis] - first[axis]).cast_unsigned());
            *numbers.get_mut(row)?.get_mut(column)? = Some(tap.number);
        }
        let mut square = Square {
            first,
            numbers: [[0; 3]; 3],
        };
        for (to, from) in square.numbers.as_flattened_mut().iter_mut().zip(numbers.as_flattened()) {
            *to = (*from)?;
        }
        Some(square)
    }
}

/// Three by three neighbouring taps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Square {
    /// The source pixel that the first tap reads for the first written pixel.
    pub first: [isize; 2],
    /// The numbers of the taps in the weights, from the top left to the bottom right.
    pub numbers: [[usize; 3]; 3],
}
