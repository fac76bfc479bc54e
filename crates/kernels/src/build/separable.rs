//! Adds a separable convolution to a network.

use std::sync::{Arc, OnceLock};

use crate::activation::Activation;
use crate::error::Error;
use crate::gemm::packed::PackedMatrix;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::depthwise3x3::DepthwiseKernel;
use crate::ops::separable::{FEWEST_STRASSEN_PIXELS, Separable, SeparableOp};
use crate::step::Step;
use crate::value::Value;

impl Network {
    /// Adds a separable convolution.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn separable(&mut self, separable: Separable<'_>) -> Result<Value, Error> {
        self.separable_with(separable, FEWEST_STRASSEN_PIXELS)
    }

    /// The same, with seven products instead of eight from so many pixels per thread.
    pub(crate) fn separable_with(
        &mut self,
        separable: Separable<'_>,
        fewest_strassen_pixels: usize,
    ) -> Result<Value, Error> {
        const OP: &str = "separable convolution";
        let Separable {
            depthwise,
            depthwise_bias,
            dilation,
            pointwise,
            bias,
            outputs,
            ..
        } = separable;
        let channels = self.channels(separable.input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        Error::if_zero(OP, "the dilation", dilation)?;
        Error::unless_length(OP, "the depthwise weights", &[9, channels], depthwise.len())?;
        Error::unless_length(OP, "the pointwise weights", &[channels, outputs], pointwise.len())?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        if let Some(bias) = depthwise_bias {
            Error::unless_length(OP, "the depthwise bias", &[channels], bias.len())?;
        }
        if !Separable::supports_before(separable.before) {
            return Err(Error::Unsupported {
                op: OP,
                what: "this activation on the input",
            });
        }
        let input = self.padded(separable.input)?;
        let residual = self.residual(OP, separable.residual, outputs)?;
        let op = SeparableOp {
            depthwise: DepthwiseKernel::new(depthwise, channels, dilation, depthwise_bias),
            pointwise: PackedMatrix::of_rows(|len| self.arena.zeros(len), [channels, outputs], bias, pointwise)?,
            strassen: OnceLock::new(),
            fewest_strassen_pixels,
            relu_before: separable.before == Activation::Relu,
            between: separable.between,
            after: separable.after,
        };
        Ok(self.push(
            AnyOp::Separable(Arc::new(op)),
            [input].into_iter().chain(residual),
            outputs,
        ))
    }

    /// The separable convolution that gives `value` in another network, with the same memory for its weights, on the
    /// first picture and with a residual.
    pub(crate) fn separable_like(&mut self, other: &Self, value: Value, residual: Value) -> Result<Value, Error> {
        let Some(Step {
            op: AnyOp::Separable(op),
            ..
        }) = other.operations().steps.get(value.0)
        else {
            return Err(Error::UnknownValue(value.0));
        };
        let outputs = other.channels(value)?;
        let input = self.padded(self.input())?;
        let residual = self.residual("separable convolution", Some(residual), outputs)?;
        Ok(self.push(
            AnyOp::Separable(Arc::clone(op)),
            [input].into_iter().chain(residual),
            outputs,
        ))
    }
}
