//! The sizes of a convolution.

use core::ops::Range;

use crate::error::Error;
use crate::error::volume;
use crate::memory::map::Map;
use crate::ops::window::{Padding, Side, WindowShape};

/// The sizes of a convolution of channels-last maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Number of pictures.
    pub batch: usize,
    /// Height and width of the input map.
    pub size: [usize; 2],
    /// Channels of the input map.
    pub inputs: usize,
    /// Channels of the output map.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Pixels from one window to the next, down and to the right.
    pub stride: [usize; 2],
    /// Pixels from one tap to the next.
    pub dilation: [usize; 2],
    /// Zeros around the input map.
    pub padding: Padding,
}

impl Geometry {
    /// Height and width of the output map.
    ///
    /// # Errors
    ///
    /// An [`Error`] when a size is 0 or too large, or the window does not fit into the padded map.
    pub fn output_size(&self) -> Result<[usize; 2], Error> {
        Ok(Checked::new("convolution", self, self.inputs)?.output.size())
    }

    fn window(&self) -> WindowShape {
        WindowShape {
            taps: self.kernel,
            stride: self.stride,
            dilation: self.dilation,
            padding: self.padding,
        }
    }
}

/// Neighbouring output pixels of a row, and the input pixels that one tap reads for them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct PixelRun {
    /// The first output pixel.
    pub output: usize,
    /// Number of pixels.
    pub count: usize,
    /// The first input pixel; `None` where the tap reads padding.
    pub input: Option<usize>,
    /// Pixels from one input pixel to the next.
    pub step: usize,
}

/// See [`Checked::runs`].
pub(super) struct Runs<'a> {
    checked: &'a Checked,
    pointwise: bool,
    /// Row and column of the tap.
    tap: [usize; 2],
    /// The windows of a row whose tap lies on the map.
    seen: Range<usize>,
    /// The pixels that are left.
    pixels: Range<usize>,
}

impl Iterator for Runs<'_> {
    type Item = PixelRun;

    #[inline]
    fn next(&mut self) -> Option<PixelRun> {
        if self.pixels.is_empty() {
            return None;
        }
        let Checked {
            input, output, sides, ..
        } = self.checked;
        let first = self.pixels.start;
        if self.pointwise {
            self.pixels.start = self.pixels.end;
            return Some(PixelRun {
                output: first,
                count: self.pixels.end - first,
                input: Some(first),
                step: 1,
            });
        }
        let (line, x) = (first / output.width, first % output.width);
        let (picture, y) = (line / output.height, line % output.height);
        let places = sides[0].place(y, self.tap[0]).zip(sides[1].place(x, self.tap[1]));
        let end = match places {
            Some(_) => self.seen.end,
            None if x < self.seen.start && sides[0].place(y, self.tap[0]).is_some() => self.seen.start,
            None => output.width,
        };
        let count = (end - x).min(self.pixels.len());
        self.pixels.start += count;
        Some(PixelRun {
            output: first,
            count,
            input: places.map(|(y, x)| (picture * input.height + y) * input.width + x),
            step: sides[1].stride,
        })
    }
}

/// Sizes that fit together.
pub(super) struct Checked {
    pub op: &'static str,
    pub geometry: Geometry,
    /// One picture of the input.
    pub input: Map,
    /// One picture of the output.
    pub output: Map,
    /// The window along the height and the width.
    pub sides: [Side; 2],
    /// Number of outputs, of inputs per output, and of taps.
    weights: [usize; 3],
}

impl Checked {
    /// Checks the sizes. Each output is a sum over `inputs` input channels.
    pub(super) fn new(op: &'static str, geometry: &Geometry, inputs: usize) -> Result<Self, Error> {
        let window = geometry.window();
        window.check(op)?;
        let [height, width] = geometry.size;
        for (what, count) in [
            ("the number of pictures", geometry.batch),
            ("the height", height),
            ("the width", width),
            ("the number of input channels", geometry.inputs),
            ("the number of output channels", geometry.outputs),
        ] {
            Error::if_zero(op, what, count)?;
        }
        let input = Map::dense(height, width, geometry.inputs)?;
        let sides = window.sides(op, &input)?;
        let output = Map::dense(sides[0].outputs, sides[1].outputs, geometry.outputs)?;
        volume(&[geometry.batch, input.len()])?;
        volume(&[geometry.batch, output.len()])?;
        let weights = [geometry.outputs, inputs, geometry.kernel[0] * geometry.kernel[1]];
        volume(&weights)?;
        Ok(Self {
            op,
            geometry: *geometry,
            input,
            output,
            sides,
            weights,
        })
    }

    /// Number of taps of the kernel.
    pub(super) const fn taps(&self) -> usize {
        self.weights[2]
    }

    /// Refuses maps and weights whose lengths do not match the sizes.
    pub(super) fn check(&self, input: usize, weights: usize, output: usize) -> Result<(), Error> {
        Error::unless_length(self.op, "the weights", &self.weights, weights)?;
        self.check_maps(input, output)
    }

    /// Refuses maps whose lengths do not match the sizes.
    pub(super) fn check_maps(&self, input: usize, output: usize) -> Result<(), Error> {
        let batch = self.geometry.batch;
        Error::unless_length(self.op, "the input map", &[batch, self.input.len()], input)?;
        Error::unless_length(self.op, "the output map", &[batch, self.output.len()], output)
    }

    /// Whether every output pixel reads only the input pixel of the same number.
    pub(super) fn is_pointwise(&self) -> bool {
        self.taps() == 1 && self.geometry.stride == [1; 2] && self.input.size() == self.output.size() && {
            let [down, right] = &self.sides;
            (down.before, right.before) == (0, 0)
        }
    }

    /// Runs of the output pixels `pixels`, numbered through the batch, with the input pixels that the tap `tap` reads.
    pub(super) fn runs(&self, pixels: Range<usize>, tap: usize) -> Runs<'_> {
        let kernel_width = self.geometry.kernel[1];
        let tap = [tap / kernel_width, tap % kernel_width];
        Runs {
            checked: self,
            pointwise: self.is_pointwise(),
            seen: self.sides[1].windows_of_tap(tap[1]),
            tap,
            pixels,
        }
    }
}
