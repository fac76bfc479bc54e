//! Adds an average pooling to a network.

use crate::error::Error;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::average_pool::{AveragePool, AveragePoolOp};
use crate::ops::window::WindowShape;
use crate::value::Value;

impl Network {
    /// Adds an average pooling.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn average_pool(&mut self, pool: AveragePool) -> Result<Value, Error> {
        let channels = self.channels(pool.input)?;
        let window = WindowShape {
            taps: pool.window,
            stride: pool.stride,
            dilation: pool.dilation,
            padding: pool.padding,
        };
        window.check("average pool")?;
        let input = self.padded(pool.input)?;
        let op = AveragePoolOp {
            window,
            count_padding: pool.count_padding,
        };
        Ok(self.push(AnyOp::AveragePool(op), [input], channels))
    }
}
