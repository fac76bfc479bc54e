//! Adds a fully-connected layer to a network.

use core::ops::Range;

use crate::error::Error;
use crate::gemm::packed::PackedMatrix;
use crate::memory::buffer::Buffer;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::dense::{Dense, DenseOp};
use crate::value::Value;

/// The name in errors.
const OP: &str = "dense";

impl Network {
    /// Adds a fully-connected layer.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn dense(&mut self, dense: Dense<'_>) -> Result<Value, Error> {
        let Dense {
            weights, bias, outputs, ..
        } = dense;
        let inputs = self.channels(dense.input)?;
        Error::unless_length(OP, "the weights", &[inputs, outputs], weights.len())?;
        self.packed_dense(&dense, |zeros, sizes| {
            PackedMatrix::of_columns(zeros, sizes, bias, weights)
        })
    }

    /// Adds a fully-connected layer whose weights are read some rows at a time, so that large ones are never in memory
    /// twice. `read` receives the numbers of some inputs, and memory for their weights, `[inputs, outputs]`;
    /// `dense.weights` is not used.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn dense_by_rows(
        &mut self,
        dense: Dense<'_>,
        read: impl FnMut(Range<usize>, &mut [f32]),
    ) -> Result<Value, Error> {
        self.packed_dense(&dense, |zeros, sizes| {
            PackedMatrix::by_rows(zeros, sizes, dense.bias, read)
        })
    }

    fn packed_dense(
        &mut self,
        dense: &Dense<'_>,
        pack: impl FnOnce(&mut dyn FnMut(usize) -> Buffer, [usize; 2]) -> Result<PackedMatrix, Error>,
    ) -> Result<Value, Error> {
        let &Dense { bias, outputs, .. } = dense;
        let inputs = self.channels(dense.input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        let input = self.padded(dense.input)?;
        let op = DenseOp {
            weights: pack(&mut |len| self.arena.zeros(len), [inputs, outputs])?,
            activation: dense.activation,
        };
        Ok(self.push(AnyOp::Dense(op), [input], outputs))
    }
}
