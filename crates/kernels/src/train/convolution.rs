//! Dense convolutions (one group) with any kernel, stride, dilation and padding, forward and backward.

use super::geometry::{Checked, Geometry};
use super::{pixel_product, weight_product};
use crate::error::Error;
use crate::error::volume;
use crate::simd::isa::Isa;

/// A dense convolution: every output channel is a sum over all input channels.
pub struct Convolution {
    checked: Checked,
    isa: Isa,
}

impl Convolution {
    /// Checks the sizes.
    ///
    /// # Errors
    ///
    /// An [`Error`] when a size is 0 or too large, or the window does not fit into the padded map.
    pub fn new(geometry: &Geometry, isa: Isa) -> Result<Self, Error> {
        let checked = Checked::new("convolution", geometry)?;
        volume(&[geometry.outputs, geometry.inputs, checked.taps()])?;
        Ok(Self { checked, isa })
    }

    /// Height and width of the output map.
    pub fn output_size(&self) -> [usize; 2] {
        self.checked.output.size()
    }

    /// Convolves `input`, `[batch, height, width, inputs]`, with `weights`, `[outputs, inputs, kernel height, kernel
    /// width]`, into `output`, `[batch, output height, output width, outputs]`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice is not that of its shape.
    pub fn forward(&self, input: &[f32], weights: &[f32], output: &mut [f32]) -> Result<(), Error> {
        self.check(input.len(), weights.len(), output.len())?;
        pixel_product::forward(&self.checked, self.isa, [input, weights], output);
        Ok(())
    }

    /// Writes the gradient of the input, shaped as the input. `output_gradient` is shaped as the output.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice is not that of its shape.
    pub fn input_gradient(
        &self,
        weights: &[f32],
        output_gradient: &[f32],
        input_gradient: &mut [f32],
    ) -> Result<(), Error> {
        self.check(input_gradient.len(), weights.len(), output_gradient.len())?;
        pixel_product::input_gradient(&self.checked, self.isa, [weights, output_gradient], input_gradient);
        Ok(())
    }

    /// Writes the gradient of the weights, shaped as the weights.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice is not that of its shape.
    pub fn weight_gradient(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) -> Result<(), Error> {
        self.check(input.len(), weight_gradient.len(), output_gradient.len())?;
        weight_product::weight_gradient(&self.checked, self.isa, [input, output_gradient], weight_gradient);
        Ok(())
    }

    fn check(&self, input: usize, weights: usize, output: usize) -> Result<(), Error> {
        let (inputs, outputs, taps) = self.sizes();
        Error::unless_length(self.checked.op, "the weights", &[outputs, inputs, taps], weights)?;
        self.checked.check_maps(input, output)
    }

    /// Input channels, output channels, taps.
    fn sizes(&self) -> (usize, usize, usize) {
        let Geometry { inputs, outputs, .. } = self.checked.geometry;
        (inputs, outputs, self.checked.taps())
    }
}
