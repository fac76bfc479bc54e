//! Adds a product to a network.

use crate::error::Error;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::multiply::{Multiply, MultiplyOp};
use crate::value::Value;

impl Network {
    /// Adds the product of a map and a factor for each channel.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn multiply(&mut self, multiply: Multiply) -> Result<Value, Error> {
        let channels = self.channels(multiply.input)?;
        self.expect_channels("multiply", "the factors", multiply.factors, channels)?;
        let (input, factors) = (self.padded(multiply.input)?, self.padded(multiply.factors)?);
        let op = AnyOp::Multiply(MultiplyOp(multiply.activation));
        Ok(self.push(op, [input, factors], channels))
    }
}
