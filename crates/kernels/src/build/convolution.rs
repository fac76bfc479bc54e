//! Adds a convolution to a network.

use crate::error::Error;
use crate::memory::buffer::padded;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::convolution::{Convolution, ConvolutionOp, ConvolutionShape};
use crate::ops::depthwise::DepthwiseOp;
use crate::ops::window::WindowShape;
use crate::value::Value;

impl Network {
    /// Adds an ordinary or a depthwise convolution.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn convolution(&mut self, convolution: Convolution<'_>) -> Result<Value, Error> {
        const OP: &str = "convolution";
        let Convolution {
            input,
            weights,
            bias,
            outputs,
            kernel: [height, width],
            groups,
            ..
        } = convolution;
        let channels = self.channels(input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        Error::if_zero(OP, "the number of groups", groups)?;
        WindowShape {
            taps: convolution.kernel,
            stride: convolution.stride,
            dilation: convolution.dilation,
            padding: convolution.padding,
        }
        .check(OP)?;
        let shape = ConvolutionShape {
            inputs: channels,
            outputs,
            groups,
        };
        if !shape.is_supported() {
            return Err(Error::Unsupported {
                op: OP,
                what: "groups of several channels",
            });
        }
        Error::unless_length(
            OP,
            "the weights",
            &[outputs, channels / groups, height, width],
            weights.len(),
        )?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        let residual = self.residual(OP, convolution.residual, outputs)?;
        // A single channel is a group of its own either way.
        let (op, input) = if shape.is_depthwise() && channels > 1 {
            let input = self.padded(input)?;
            let op = DepthwiseOp::new(&convolution, channels)?;
            (AnyOp::Depthwise(op), input)
        } else {
            // Pixels of the picture lie side by side, pixels of maps a whole number of cache lines apart.
            let is_picture = self.is_picture(input);
            let step = if is_picture { channels } else { padded(channels) };
            let arena = &mut self.arena;
            let op = ConvolutionOp::new(|len| arena.zeros(len), &convolution, channels, step, !is_picture)?;
            (AnyOp::Convolution(op), input)
        };
        Ok(self.push(op, [input].into_iter().chain(residual), outputs))
    }
}
