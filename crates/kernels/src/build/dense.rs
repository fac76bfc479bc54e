//! Adds a fully-connected layer to a network.

use crate::error::Error;
use crate::gemm::packed::PackedMatrix;
use crate::network::Network;
use crate::ops::Layer;
use crate::ops::dense::{Dense, DenseOp};
use crate::value::Value;

impl Network {
    /// Adds a fully-connected layer.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn dense(&mut self, dense: Dense<'_>) -> Result<Value, Error> {
        const OP: &str = "dense";
        let Dense {
            weights, bias, outputs, ..
        } = dense;
        let inputs = self.channels(dense.input)?;
        Error::if_zero(OP, "the number of outputs", outputs)?;
        Error::unless_length(OP, "the weights", &[inputs, outputs], weights.len())?;
        if let Some(bias) = bias {
            Error::unless_length(OP, "the bias", &[outputs], bias.len())?;
        }
        let input = self.padded(dense.input)?;
        let op = DenseOp {
            weights: PackedMatrix::of_columns(|len| self.arena.zeros(len), [inputs, outputs], bias, weights)?,
            activation: dense.activation,
        };
        Ok(self.push(Layer::Dense(op), [input], outputs))
    }
}
