//! Adds a global pooling to a network.

use crate::error::Error;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::global_pool::{GlobalPool, GlobalPoolOp};
use crate::value::Value;

impl Network {
    /// Adds a pooling over all pixels.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn global_pool(&mut self, pool: GlobalPool) -> Result<Value, Error> {
        let channels = self.channels(pool.input)?;
        let input = self.padded(pool.input)?;
        let op = AnyOp::GlobalPool(GlobalPoolOp(pool.kind));
        Ok(self.push(op, [input], channels))
    }
}
