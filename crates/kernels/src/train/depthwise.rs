//! Depthwise convolutions, forward and backward: every channel on its own, with any kernel, stride, dilation and
//! padding.

use super::correlation::Correlation;
use super::depthwise_rows::{forward_part, forward_rows};
use super::depthwise_sums::{Gate, GradientRows, Gradients};
use super::geometry::{Checked, Geometry};
use super::pixel_product::MapPart;
use super::scratch::Scratch;
use super::transform::Transform;
use crate::error::{Error, volume};
use crate::memory::buffer::{LINE, Shared, padded};
use crate::simd::isa::Isa;
use crate::team::{Round, work_through};

const OP: &str = "depthwise convolution";

/// Number of parts of the rows. Each part has its own sums. The parts depend only on the sizes.
const PARTS: usize = 32;

/// A depthwise convolution: one kernel for each channel.
pub struct Depthwise {
    checked: Checked,
    isa: Isa,
    forward: Correlation,
    backward: Vec<Correlation>,
}

/// The gradients that [`Depthwise::backward`] computes in one pass, and a gradient that it adds to them.
#[derive(Debug, Default)]
pub struct DepthwiseGradients<'a> {
    /// The gradient of the input before `ReLU` and after the norm of the [`Transform`]; shaped as the input.
    pub input: Option<&'a mut [f32]>,
    /// A second gradient of the same values, from another operation that reads them. It is added to `input`, and is
    /// shaped as the input.
    pub added: Option<&'a [f32]>,
    /// Two sums for each channel: of the input's gradient, and of its products with `value - centre`, where `value` is
    /// the value before the norm. The norm's own gradients are computed from these sums.
    pub sums: Option<[&'a mut [f32]; 2]>,
    /// The gradient of the weights; shaped as the weights.
    pub weights: Option<&'a mut [f32]>,
}

impl Depthwise {
    /// Checks the sizes.
    ///
    /// # Errors
    ///
    /// An [`Error`] when a size is 0 or too large, inputs and outputs differ, or the window does not fit into the
    /// padded map.
    pub fn new(geometry: &Geometry, isa: Isa) -> Result<Self, Error> {
        let checked = Checked::new(OP, geometry, 1)?;
        if geometry.inputs != geometry.outputs {
            return Err(Error::Channels {
                op: OP,
                what: "the output map",
                expected: geometry.inputs,
                found: geometry.outputs,
            });
        }
        volume(&[geometry.inputs + LINE, checked.taps() + 2, PARTS])?;
        Ok(Self {
            isa,
            forward: Correlation::forward(&checked),
            backward: Correlation::input_gradient(&checked),
            checked,
        })
    }

    /// Height and width of the output map.
    pub fn output_size(&self) -> [usize; 2] {
        self.checked.output.size()
    }

    /// Convolves `input`, `[batch, height, width, channels]`, with `weights`, `[channels, 1, kernel height, kernel
    /// width]`, into `output`, `[batch, output height, output width, channels]`.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn forward(&self, input: &[f32], weights: &[f32], output: &mut [f32]) -> Result<(), Error> {
        self.forward_of(&Transform::default(), input, weights, output)
    }

    /// As [`forward`](Self::forward), on the transformed input.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn forward_of(
        &self,
        transform: &Transform<'_>,
        input: &[f32],
        weights: &[f32],
        output: &mut [f32],
    ) -> Result<(), Error> {
        self.checked.check(input.len(), weights.len(), output.len())?;
        transform.check(OP, self.checked.input.channels)?;
        let weights = self.pack(weights);
        forward_rows(&self.forward, self.isa, transform, [input, &weights], output);
        Ok(())
    }

    /// Writes a part of the output of [`forward_of`](Self::forward_of), on this thread, for the convolution that reads
    /// the part; see [`MapInput::Made`](super::MapInput::Made).
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn forward_part(
        &self,
        transform: &Transform<'_>,
        input: &[f32],
        weights: &[f32],
        part: MapPart<'_>,
    ) -> Result<(), Error> {
        let (channels, output) = (self.checked.input.channels, self.checked.output);
        let pixels = self.checked.geometry.batch * output.pixels();
        self.checked.check(input.len(), weights.len(), pixels * channels)?;
        transform.check(OP, channels)?;
        let inside = part.pixels.end.min(pixels).saturating_sub(part.pixels.start);
        Error::unless_length(OP, "the part", &[inside, channels], part.values.len())?;
        let weights = self.pack(weights);
        forward_part(&self.forward, self.isa, transform, [input, &weights], part);
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
        self.checked
            .check(input_gradient.len(), weights.len(), output_gradient.len())?;
        let weights = self.pack(weights);
        self.plain_input_gradient(&weights, output_gradient, input_gradient);
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
        self.checked
            .check(input.len(), weight_gradient.len(), output_gradient.len())?;
        let gradients = DepthwiseGradients {
            weights: Some(weight_gradient),
            ..DepthwiseGradients::default()
        };
        self.gradients(&Transform::default(), [input, &[], output_gradient], gradients);
        Ok(())
    }

    /// Writes the wanted gradients of [`forward_of`](Self::forward_of). If the kernel is 3 x 3 without stride and
    /// dilation, one pass over the maps computes all of them; otherwise each gradient takes a pass.
    ///
    /// # Errors
    ///
    /// [`Error::Length`] when the length of a slice does not match its shape.
    pub fn backward(
        &self,
        transform: &Transform<'_>,
        [input, weights, output_gradient]: [&[f32]; 3],
        gradients: DepthwiseGradients<'_>,
    ) -> Result<(), Error> {
        let channels = self.checked.input.channels;
        self.checked.check(input.len(), weights.len(), output_gradient.len())?;
        transform.check(OP, channels)?;
        if let Some(weights) = &gradients.weights {
            self.checked.check(input.len(), weights.len(), output_gradient.len())?;
        }
        for map in gradients.input.as_deref().into_iter().chain(gradients.added) {
            self.checked.check(map.len(), weights.len(), output_gradient.len())?;
        }
        for sums in gradients.sums.iter().flatten() {
            Error::unless_length(OP, "the sums", &[channels], sums.len())?;
        }
        let weights = self.pack(weights);
        self.gradients(transform, [input, &weights, output_gradient], gradients);
        Ok(())
    }

    /// Writes the gradients. The caller has checked the lengths and packed the weights.
    fn gradients(
        &self,
        transform: &Transform<'_>,
        [input, weights, output_gradient]: [&[f32]; 3],
        gradients: DepthwiseGradients<'_>,
    ) {
        let (channels, taps) = (self.checked.input.channels, self.checked.taps());
        let mut memory = None;
        let mut gradients = gradients;
        if gradients.input.is_none() && gradients.sums.is_some() {
            memory = Some(Scratch::take(input.len()));
        }
        if let Some(memory) = &mut memory {
            gradients.input = Some(memory.as_mut_slice());
        }
        let square = match self.backward.as_slice() {
            [only] if channels >= LINE => only.square(),
            _ => None,
        };
        let together = square.is_some();
        if let Some(input_gradient) = gradients.input.as_deref_mut().filter(|_| !together) {
            self.plain_input_gradient(weights, output_gradient, input_gradient);
        }

        // The sums of a part: one vector for each tap, then the two sums of the input's gradient.
        let step = padded(channels);
        let width = (taps + 2) * step;
        let lines = self.checked.geometry.batch * self.checked.input.height;
        let parts = lines.div_ceil(4).min(PARTS);
        let mut sums = Scratch::take(parts * width);
        let sums = sums.as_mut_slice();
        sums.fill(0.0);
        let memory = Shared::new(sums);
        let wants = Gradients {
            input: gradients.input.is_some(),
            weights: gradients.weights.is_some(),
        };
        let target = Shared::new(gradients.input.unwrap_or_default());
        let threads = rayon::current_num_threads();
        let lines_of = |part: usize| lines * part / parts..lines * (part + 1) / parts;
        let work = |_, _, part: usize| {
            let rows = GradientRows {
                checked: &self.checked,
                square,
                wants,
                transform,
                input: input.as_ptr(),
                weights,
                output_gradient: output_gradient.as_ptr(),
                added: gradients.added.map(<[f32]>::as_ptr),
                lines: lines_of(part),
                target: target.address(),
                sums: memory.address().wrapping_add(part * width),
            };
            // SAFETY: the lengths are checked; the rows of a part and its sums belong to one job.
            unsafe {
                self.isa.run(rows);
                if wants.input && !together {
                    self.isa.run(Gate {
                        map: &self.checked.input,
                        transform,
                        input: input.as_ptr(),
                        added: gradients.added.map(<[f32]>::as_ptr),
                        lines: lines_of(part),
                        target: target.address(),
                        sums: memory.address().wrapping_add(part * width + taps * step),
                    });
                }
            }
        };
        work_through(threads, &[Round::new(parts)], &work, &|_| ());

        let total = |index: usize| sums[index..].iter().step_by(width).sum::<f32>();
        if let Some(weights) = gradients.weights {
            for (channel, weights) in weights.chunks_exact_mut(taps).enumerate() {
                for (tap, weight) in weights.iter_mut().enumerate() {
                    *weight = total(tap * step + channel);
                }
            }
        }
        for (number, to) in gradients.sums.into_iter().flatten().enumerate() {
            for (channel, to) in to.iter_mut().enumerate() {
                *to = total((taps + number) * step + channel);
            }
        }
    }

    fn plain_input_gradient(&self, weights: &[f32], output_gradient: &[f32], input_gradient: &mut [f32]) {
        for correlation in &self.backward {
            let operands = [output_gradient, weights];
            forward_rows(correlation, self.isa, &Transform::default(), operands, input_gradient);
        }
    }

    /// Packs the weights as `[tap][channel]`.
    fn pack(&self, weights: &[f32]) -> Vec<f32> {
        let (channels, taps) = (self.checked.input.channels, self.checked.taps());
        let mut packed = vec![0.0; weights.len()];
        for (channel, weights) in weights.chunks_exact(taps).enumerate() {
            for (to, weight) in packed[channel..].iter_mut().step_by(channels).zip(weights) {
                *to = *weight;
            }
        }
        packed
    }
}
