//! Adds a max pooling to a network.

use crate::error::Error;
use crate::gemm::packed::PackedMatrix;
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::max_pool::{MaxPool, MaxPoolOp};
use crate::ops::window::WindowShape;
use crate::value::Value;

impl Network {
    /// Adds a max pooling.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn max_pool(&mut self, pool: MaxPool<'_>) -> Result<Value, Error> {
        const OP: &str = "max pool";
        let channels = self.channels(pool.input)?;
        let window = WindowShape {
            taps: pool.window,
            stride: pool.stride,
            dilation: pool.dilation,
            padding: pool.padding,
        };
        window.check(OP)?;
        let input = self.padded(pool.input)?;
        let (mut projected, mut projection) = (None, None);
        if let Some(shortcut) = pool.projection {
            let inputs = self.channels(shortcut.input)?;
            let sides = [inputs, channels];
            Error::unless_length(OP, "the weights of the projection", &sides, shortcut.weights.len())?;
            if let Some(bias) = shortcut.bias {
                Error::unless_length(OP, "the bias of the projection", &[channels], bias.len())?;
            }
            projected = Some(self.padded(shortcut.input)?);
            let zeros = |len| self.arena.zeros(len);
            projection = Some(PackedMatrix::of_rows(zeros, sides, shortcut.bias, shortcut.weights)?);
        }
        let op = MaxPoolOp { window, projection };
        Ok(self.push(AnyOp::MaxPool(op), [input].into_iter().chain(projected), channels))
    }
}
