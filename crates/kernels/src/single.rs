//! One separable convolution on its own, between pictures whose channels lie one after the other.

use crate::activation::Activation;
use crate::error::Error;
use crate::network::Network;
use crate::ops::separable::Separable;
use crate::simd::isa::Isa;
use crate::value::Value;

/// One separable convolution that keeps height and width, its weights packed: a [`Network`] of one layer.
///
/// For a layer between others that are not this crate's: pictures are `[batch, channels, height, width]` and are turned
/// around on the way in and out. A [`Network`] keeps them in the kernels' own order from layer to layer.
///
/// ```
/// use kernels::{Isa, SeparableConv, SeparableWeights};
///
/// # fn main() -> Result<(), kernels::Error> {
/// // One channel, a box filter, doubled: the middle of a 3 x 3 picture of ones sees all nine.
/// let layer = SeparableConv::new(&SeparableWeights::new(&[1.0; 9], &[2.0], 1), Isa::detect())?;
/// let mut output = [0.0; 9];
/// layer.run(&[1.0; 9], [1, 3, 3], None, &mut output)?;
/// assert_eq!(output[4], 18.0);
/// # Ok(())
/// # }
/// ```
pub struct SeparableConv {
    /// Without and with a residual.
    networks: [(Network, Value); 2],
    channels: usize,
    outputs: usize,
}

/// The weights and the options of a [`SeparableConv`].
#[derive(Clone, Copy, Debug)]
pub struct SeparableWeights<'a> {
    /// `[channels, 1, 3, 3]`.
    pub depthwise: &'a [f32],
    /// Distance between the taps; as many pixels are padded on every side.
    pub dilation: usize,
    /// `[outputs, channels, 1, 1]`.
    pub pointwise: &'a [f32],
    /// One value for each output.
    pub bias: Option<&'a [f32]>,
    /// Output channels.
    pub outputs: usize,
    /// Applied to the input: none or `ReLU`.
    pub before: Activation,
    /// Applied between the convolutions.
    pub between: Activation,
    /// Applied last.
    pub after: Activation,
}

impl<'a> SeparableWeights<'a> {
    /// Weights without bias, dilation and activations.
    pub const fn new(depthwise: &'a [f32], pointwise: &'a [f32], outputs: usize) -> Self {
        Self {
            depthwise,
            dilation: 1,
            pointwise,
            bias: None,
            outputs,
            before: Activation::None,
            between: Activation::None,
            after: Activation::None,
        }
    }
}

impl SeparableConv {
    /// Packs weights.
    ///
    /// # Errors
    ///
    /// An [`Error`] when weights and sizes do not fit together.
    pub fn new(weights: &SeparableWeights<'_>, isa: Isa) -> Result<Self, Error> {
        const OP: &str = "separable convolution";
        let SeparableWeights { depthwise, outputs, .. } = *weights;
        let channels = depthwise.len() / 9;
        Error::if_zero(OP, "the number of channels", channels)?;
        let mut plain = Network::new(channels, isa)?;
        let separable = Separable {
            dilation: weights.dilation,
            bias: weights.bias,
            before: weights.before,
            between: weights.between,
            after: weights.after,
            ..Separable::new(plain.input(), depthwise, weights.pointwise, outputs)
        };
        // The weights may be used once only, which does not pay for sums of them.
        let value = plain.separable_with(separable, usize::MAX)?;
        let mut added = Network::new(channels, isa)?;
        let residual = added.add_picture(outputs)?;
        let with_residual = added.separable_like(&plain, value, residual)?;
        Ok(Self {
            networks: [(plain, value), (added, with_residual)],
            channels,
            outputs,
        })
    }

    /// Input channels.
    pub fn channels(&self) -> usize {
        self.channels
    }

    /// Output channels.
    pub fn outputs(&self) -> usize {
        self.outputs
    }

    /// Convolves pictures `[batch, channels, height, width]` into `output`, `[batch, outputs, height, width]`, and adds
    /// `residual`, which is of the same shape, before the last activation.
    ///
    /// Uses all threads of the current rayon pool.
    ///
    /// # Errors
    ///
    /// An [`Error`] when the length of a slice is not that of its shape.
    pub fn run(
        &self,
        input: &[f32],
        shape: [usize; 3],
        residual: Option<&[f32]>,
        output: &mut [f32],
    ) -> Result<(), Error> {
        let [(plain, value), (added, with_residual)] = &self.networks;
        match residual {
            None => plain.run(input, shape, &mut [(*value, output)]),
            Some(residual) => added.run_with(&[input, residual], shape, &mut [(*with_residual, output)]),
        }
    }
}
