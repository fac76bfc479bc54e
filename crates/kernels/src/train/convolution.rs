//! Dense convolutions (one group) with any kernel, stride, dilation and padding, forward and backward.

use super::geometry::{Checked, Geometry};
use super::pixel_product::{self, MapInput, Visit};
use super::weight_product;
use crate::error::Error;
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
        let checked = Checked::new("convolution", geometry, geometry.inputs)?;
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
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn forward(&self, input: &[f32], weights: &[f32], output: &mut [f32]) -> Result<(), Error> {
        self.forward_of(MapInput::Ready(input), weights, output, None)
    }

    /// As [`forward`](Self::forward), for an input that may be computed part by part. `after` receives each part of the
    /// output once the part is written, usually while it is in the caches.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn forward_of(
        &self,
        input: MapInput<'_>,
        weights: &[f32],
        output: &mut [f32],
        after: Option<Visit<'_>>,
    ) -> Result<(), Error> {
        let expected = self.checked.geometry.batch * self.checked.input.len();
        self.checked.check(input.len(expected), weights.len(), output.len())?;
        pixel_product::forward(&self.checked, self.isa, input, weights, output, after);
        Ok(())
    }

    /// Writes the gradient of the input, shaped as the input. `output_gradient` is shaped as the output.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn input_gradient(
        &self,
        weights: &[f32],
        output_gradient: &[f32],
        input_gradient: &mut [f32],
    ) -> Result<(), Error> {
        self.input_gradient_of(weights, MapInput::Ready(output_gradient), input_gradient, None)
    }

    /// As [`input_gradient`](Self::input_gradient), for a gradient that may be computed part by part. `after` receives
    /// each part of the input's gradient once the part is written, usually while it is in the caches.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn input_gradient_of(
        &self,
        weights: &[f32],
        output_gradient: MapInput<'_>,
        input_gradient: &mut [f32],
        after: Option<Visit<'_>>,
    ) -> Result<(), Error> {
        let expected = self.checked.geometry.batch * self.checked.output.len();
        self.checked
            .check(input_gradient.len(), weights.len(), output_gradient.len(expected))?;
        pixel_product::input_gradient(&self.checked, self.isa, weights, output_gradient, input_gradient, after);
        Ok(())
    }

    /// Writes the gradient of the weights, shaped as the weights.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn weight_gradient(
        &self,
        input: &[f32],
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) -> Result<(), Error> {
        self.weight_gradient_of(MapInput::Ready(input), output_gradient, weight_gradient)
    }

    /// As [`weight_gradient`](Self::weight_gradient), for an input that may be computed part by part.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn weight_gradient_of(
        &self,
        input: MapInput<'_>,
        output_gradient: &[f32],
        weight_gradient: &mut [f32],
    ) -> Result<(), Error> {
        let expected = self.checked.geometry.batch * self.checked.input.len();
        self.checked
            .check(input.len(expected), weight_gradient.len(), output_gradient.len())?;
        weight_product::weight_gradient(&self.checked, self.isa, input, output_gradient, weight_gradient);
        Ok(())
    }
}
