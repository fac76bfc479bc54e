//! Adds an activation on its own to a network.

use crate::error::Error;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::activate::{Activate, ActivateOp};
use crate::value::Value;

impl Network {
    /// Adds an activation on its own.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn activate(&mut self, activate: Activate) -> Result<Value, Error> {
        let channels = self.channels(activate.input)?;
        let input = self.padded(activate.input)?;
        let op = AnyOp::Activate(ActivateOp(activate.activation));
        Ok(self.push(op, [input], channels))
    }
}
