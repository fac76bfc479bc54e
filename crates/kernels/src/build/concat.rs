//! Adds a concatenation to a network.

use crate::error::Error;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::concat::{Concat, ConcatOp};
use crate::value::Value;

impl Network {
    /// Adds a concatenation of channels.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn concat(&mut self, concat: Concat<'_>) -> Result<Value, Error> {
        Error::if_zero("concat", "the number of inputs", concat.inputs.len())?;
        let (mut inputs, mut channels) = (Vec::new(), 0_usize);
        for &input in concat.inputs {
            let more = self.channels(input)?;
            channels = channels
                .checked_add(more)
                .ok_or_else(|| Error::TooLarge(vec![channels, more]))?;
            inputs.push(self.padded(input)?);
        }
        Ok(self.push(AnyOp::Concat(ConcatOp), inputs, channels))
    }
}
