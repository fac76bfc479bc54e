//! The sizes of a convolution.

use crate::error::Error;
use crate::memory::buffer::volume;
use crate::memory::map::Map;
use crate::ops::window::{Padding, Side, WindowShape};

/// The sizes of a convolution of channels-last maps.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Geometry {
    /// Pictures.
    pub batch: usize,
    /// Height and width of the input map.
    pub size: [usize; 2],
    /// Channels of the input map.
    pub inputs: usize,
    /// Channels of the output map.
    pub outputs: usize,
    /// Height and width of the kernel.
    pub kernel: [usize; 2],
    /// Pixels from a window to the next, down and to the right.
    pub stride: [usize; 2],
    /// Pixels from a tap to the next.
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
        Ok(Checked::new("convolution", self)?.output.size())
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
}

impl Checked {
    pub(super) fn new(op: &'static str, geometry: &Geometry) -> Result<Self, Error> {
        let window = geometry.window();
        window.check(op)?;
        let [height, width] = geometry.size;
        for (what, count) in [
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
        Ok(Self {
            op,
            geometry: *geometry,
            input,
            output,
            sides,
        })
    }

    /// Taps of the kernel.
    pub(super) const fn taps(&self) -> usize {
        self.geometry.kernel[0] * self.geometry.kernel[1]
    }

    /// Refuses maps of other lengths.
    pub(super) fn check_maps(&self, input: usize, output: usize) -> Result<(), Error> {
        let batch = self.geometry.batch;
        Error::unless_length(self.op, "the input map", &[batch, self.input.len()], input)?;
        Error::unless_length(self.op, "the output map", &[batch, self.output.len()], output)
    }

    /// Calls `visit` with the output pixel, the tap and the input pixel of every product, windows one after the other.
    pub(super) fn each(&self, mut visit: impl FnMut(usize, usize, usize)) {
        let (Map { height, width, .. }, kernel) = (self.output, self.geometry.kernel);
        for picture in 0..self.geometry.batch {
            for y in 0..height {
                for x in 0..width {
                    for (row, from_y) in self.sides[0].taps(y) {
                        for (column, from_x) in self.sides[1].taps(x) {
                            let output = (picture * height + y) * width + x;
                            let input = (picture * self.input.height + from_y) * self.input.width + from_x;
                            visit(output, row * kernel[1] + column, input);
                        }
                    }
                }
            }
        }
    }
}
