//! Dense convolutions (one group) with any kernel, stride, dilation and padding, forward and backward.

use super::geometry::{Checked, Geometry};
use crate::error::Error;
use crate::memory::buffer::volume;
use crate::simd::isa::Isa;

/// A dense convolution: every output channel is a sum over all input channels.
pub struct Convolution {
    checked: Checked,
    #[expect(dead_code, reason = "the plain loops need no instruction set")]
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

    /// Convolves `input`, `[batch, height, width, inputs]`, with `weights`, `[outputs, inputs, kernel height, kernel width]`, into
    /// `output`, `[batch, output height, output width, outputs]`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice is not that of its shape.
    pub fn forward(&self, input: &[f32], weights: &[f32], output: &mut [f32]) -> Result<(), Error> {
        self.check(input.len(), weights.len(), output.len())?;
        let (inputs, outputs, taps) = self.sizes();
        output.fill(0.0);
        self.checked.each(|to, tap, from| {
            let from = &input[from * inputs..][..inputs];
            for (channel, sum) in output[to * outputs..][..outputs].iter_mut().enumerate() {
                for (value, weights) in from.iter().zip(weights[channel * inputs * taps..].chunks_exact(taps)) {
                    *sum += value * weights[tap];
                }
            }
        });
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
        let (inputs, outputs, taps) = self.sizes();
        input_gradient.fill(0.0);
        self.checked.each(|from, tap, to| {
            let to = &mut input_gradient[to * inputs..][..inputs];
            for (channel, &gradient) in output_gradient[from * outputs..][..outputs].iter().enumerate() {
                for (sum, weights) in to.iter_mut().zip(weights[channel * inputs * taps..].chunks_exact(taps)) {
                    *sum += gradient * weights[tap];
                }
            }
        });
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
        let (inputs, outputs, taps) = self.sizes();
        weight_gradient.fill(0.0);
        self.checked.each(|output, tap, from| {
            let from = &input[from * inputs..][..inputs];
            for (channel, &gradient) in output_gradient[output * outputs..][..outputs].iter().enumerate() {
                let sums = weight_gradient[channel * inputs * taps..].chunks_exact_mut(taps);
                for (value, sums) in from.iter().zip(sums) {
                    sums[tap] += gradient * value;
                }
            }
        });
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
