//! Adds a scale and a shift to a network.

use crate::error::Error;
use crate::memory::buffer::{Buffer, padded};
use crate::network::Network;
use crate::ops::AnyOp;
use crate::ops::affine::{Affine, AffineOp};
use crate::value::Value;

impl Network {
    /// Adds a scale and a shift for each channel.
    ///
    /// # Errors
    ///
    /// See [`Network`].
    pub fn affine(&mut self, affine: Affine<'_>) -> Result<Value, Error> {
        const OP: &str = "scale and shift";
        let channels = self.channels(affine.input)?;
        Error::unless_length(OP, "the scale", &[channels], affine.scale.len())?;
        Error::unless_length(OP, "the shift", &[channels], affine.shift.len())?;
        let input = self.padded(affine.input)?;
        let pixel = |values: &[f32]| {
            let mut pixel = Buffer::zeros(padded(channels));
            pixel.as_mut_slice()[..channels].copy_from_slice(values);
            pixel
        };
        let op = AffineOp {
            scale: pixel(affine.scale),
            shift: pixel(affine.shift),
            activation: affine.activation,
        };
        Ok(self.push(AnyOp::Affine(op), [input], channels))
    }
}
