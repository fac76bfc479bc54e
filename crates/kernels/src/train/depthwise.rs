//! Depthwise convolutions, forward and backward: every channel on its own, with any kernel, stride, dilation and padding.

use super::geometry::{Checked, Geometry};
use crate::error::Error;
use crate::memory::buffer::volume;
use crate::simd::isa::Isa;

/// A depthwise convolution: one kernel for each channel.
pub struct Depthwise {
    checked: Checked,
    #[expect(dead_code, reason = "the plain loops need no instruction set")]
    isa: Isa,
}

impl Depthwise {
    /// Checks the sizes.
    ///
    /// # Errors
    ///
    /// An [`Error`] when a size is 0 or too large, inputs and outputs differ, or the window does not fit into the padded map.
    pub fn new(geometry: &Geometry, isa: Isa) -> Result<Self, Error> {
        const OP: &str = "depthwise convolution";
        let checked = Checked::new(OP, geometry)?;
        if geometry.inputs != geometry.outputs {
            return Err(Error::Channels {
                op: OP,
                what: "the output map",
                expected: geometry.inputs,
                found: geometry.outputs,
            });
        }
        volume(&[geometry.inputs, checked.taps()])?;
        Ok(Self { checked, isa })
    }

    /// Height and width of the output map.
    pub fn output_size(&self) -> [usize; 2] {
        self.checked.output.size()
    }

    /// Convolves `input`, `[batch, height, width, channels]`, with `weights`, `[channels, 1, kernel height, kernel width]`, into
    /// `output`, `[batch, output height, output width, channels]`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice is not that of its shape.
    pub fn forward(&self, input: &[f32], weights: &[f32], output: &mut [f32]) -> Result<(), Error> {
        let (channels, taps) = self.check(input.len(), weights.len(), output.len())?;
        output.fill(0.0);
        self.checked.each(|to, tap, from| {
            let from = &input[from * channels..][..channels];
            let sums = output[to * channels..][..channels].iter_mut();
            for ((sum, value), weights) in sums.zip(from).zip(weights.chunks_exact(taps)) {
                *sum += value * weights[tap];
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
        let (channels, taps) = self.check(input_gradient.len(), weights.len(), output_gradient.len())?;
        input_gradient.fill(0.0);
        self.checked.each(|from, tap, to| {
            let from = &output_gradient[from * channels..][..channels];
            let sums = input_gradient[to * channels..][..channels].iter_mut();
            for ((sum, gradient), weights) in sums.zip(from).zip(weights.chunks_exact(taps)) {
                *sum += gradient * weights[tap];
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
        let (channels, taps) = self.check(input.len(), weight_gradient.len(), output_gradient.len())?;
        weight_gradient.fill(0.0);
        self.checked.each(|output, tap, from| {
            let from = input[from * channels..][..channels].iter();
            let gradients = &output_gradient[output * channels..][..channels];
            for ((value, gradient), sums) in from.zip(gradients).zip(weight_gradient.chunks_exact_mut(taps)) {
                sums[tap] += value * gradient;
            }
        });
        Ok(())
    }

    /// Channels and taps.
    fn check(&self, input: usize, weights: usize, output: usize) -> Result<(usize, usize), Error> {
        let (channels, taps) = (self.checked.geometry.inputs, self.checked.taps());
        Error::unless_length(self.checked.op, "the weights", &[channels, taps], weights)?;
        self.checked.check_maps(input, output)?;
        Ok((channels, taps))
    }
}
