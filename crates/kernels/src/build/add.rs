//! Adds the sum of two maps to a network.

use crate::error::Error;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::add::{Add, AddOp};
use crate::value::Value;

impl Network {
    /// Adds the sum of two maps.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn add(&mut self, add: Add) -> Result<Value, Error> {
        let channels = self.channels(add.a)?;
        self.expect_channels("add", "the second map", add.b, channels)?;
        let (a, b) = (self.padded(add.a)?, self.padded(add.b)?);
        Ok(self.push(AnyOp::Add(AddOp(add.activation)), [a, b], channels))
    }
}
